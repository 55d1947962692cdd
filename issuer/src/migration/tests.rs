use async_trait::async_trait;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::{
    administration::{ImportMode, Ports},
    clock::{Clock, virtual_time::VirtualClock},
    key::SigningAlgorithm,
    key_set::{KeySet, Rotation},
    secret::SecretBytes,
    sqlite::Sqlite,
    store::StoreError,
    user::User,
    vault::{KeySetId, Vault},
};

const NOW: Timestamp = Timestamp(1_700_000_000);
const HASH: &str = "$2b$05$abcdefghijklmnopqrstuul9W/bOUOPAuDuYBlAfPW8jdF/V25n8i";
const SECRET: &str = "thirty-two bytes of a text secret";

fn ports() -> (TempDir, Ports) {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = Arc::new(Sqlite::open(folder.path()).unwrap());
    let clock = Arc::new(VirtualClock::at(NOW.0));
    (folder, Ports { store: sqlite.clone(), vault: sqlite, clock })
}

fn names() -> TableMembers {
    TableMembers { domain: "domain".to_owned(), username: "username".to_owned(), password: None }
}

fn lines_of(values: &[Value]) -> String {
    values.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")
}

fn reading(read: impl FnOnce(&mut Migration)) -> Migration {
    let mut migration = Migration::new(NOW);
    read(&mut migration);
    migration
}

fn from_lines(values: &[Value]) -> Migration {
    reading(|migration| migration.read_lines("in.jsonl", &lines_of(values)))
}

fn from_table(text: &str) -> Migration {
    reading(|migration| migration.read_table("table.json", text, &names()))
}

async fn write(ports: &Ports, migration: Migration) -> MigrationReport {
    migration.carry_out(ports, ImportMode::Write).await.unwrap()
}

/// What is told, of input that is wrong. Nothing is there afterwards.
async fn refused(migration: Migration) -> String {
    let (_folder, ports) = ports();
    let error = migration.carry_out(&ports, ImportMode::Write).await.unwrap_err();
    assert!(matches!(error, MigrationError::Invalid(_)), "{error}");
    assert!(ports.domains().await.unwrap().is_empty());
    error.to_string()
}

async fn user_of(ports: &Ports, domain: &str, username: &str) -> Option<User> {
    ports.store.user(&domain.parse().unwrap(), &username.parse().unwrap()).await.unwrap()
}

fn user(username: &str) -> Value {
    json!({ "type": "user", "domain": "shop", "username": username, "password_hash": HASH })
}

fn tally(created: u64, unchanged: u64, left_out: u64) -> Tally {
    Tally { created, unchanged, left_out }
}

#[tokio::test]
async fn lines_say_all_of_a_domain_and_a_user() {
    let (_folder, ports) = ports();
    let input = from_lines(&[
        json!({ "type": "user", "domain": "shop", "username": "ada", "password_hash": HASH,
            "id": "u-1", "disabled": 1_600_000_001, "created_at": "2020-01-01T00:00:00Z" }),
        json!({ "type": "user", "domain": "blog", "username": "ada", "password_hash": HASH,
            "disabled": true }),
        json!({ "type": "domain", "name": "shop", "algorithm": "EdDSA", "audience": "api",
            "token_lifetime": 60, "session_lifetime": 3600, "jwks_max_age": 10 }),
        json!({ "type": "domain", "name": "blog" }),
        json!({ "type": "domain", "name": "text", "secret": { "text": SECRET } }),
        json!({ "type": "domain", "name": "bytes", "algorithm": "HS256",
            "secret": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE" }),
    ]);
    let report = write(&ports, input).await;
    assert_eq!((report.domains, report.users), (tally(4, 0, 0), tally(2, 0, 0)));
    assert_eq!(report.left_out, [""; 0]);
    let ada = user_of(&ports, "shop", "ada").await.unwrap();
    assert_eq!((ada.id.as_str(), ada.created_at), ("u-1", Timestamp(1_577_836_800)));
    assert_eq!(ada.disabled_at, Some(Timestamp(1_600_000_001)));
    assert_eq!(ada.password_hash.0, HASH);
    let ada = user_of(&ports, "blog", "ada").await.unwrap();
    assert_eq!((ada.id.len(), ada.created_at, ada.disabled_at), (22, NOW, Some(NOW)));
    let listed = ports.domains().await.unwrap();
    let algorithms: Vec<_> = listed.iter().map(|(_, algorithm)| algorithm.unwrap()).collect();
    let (es256, hs256) = (SigningAlgorithm::Es256, SigningAlgorithm::Hs256);
    assert_eq!(algorithms, [es256, hs256, SigningAlgorithm::EdDsa, hs256]);
    let settings = &listed[2].0.settings;
    assert_eq!((settings.audience.as_str(), settings.token_lifetime), ("api", 60));
    assert_eq!((settings.session_lifetime, settings.jwks_max_age), (3600, 10));
    for (name, secret) in [("text", SECRET.as_bytes()), ("bytes", &[1; 32])] {
        let (key_set, _) = ports.key_set(&name.parse().unwrap()).await.unwrap();
        assert_eq!(key_set.current.secret.as_ref().unwrap().expose(), secret);
        assert_eq!(key_set.next.secret.as_ref().unwrap().expose().len(), 64);
        assert_eq!(key_set.current.id.len(), 22, "no hash of the secret");
    }
}

#[tokio::test]
async fn each_wrong_line_is_named_and_nothing_of_it_is_quoted() {
    let hidden = "hunter2hunter2hunter2hun";
    for (line, expected) in [
        (format!("\"{hidden}\""), "it is no JSON object"),
        (format!("{{\"type\": \"{hidden}"), "it is not valid JSON, at its column"),
        (format!(r#"{{"secret": "{hidden}", "secret": ""}}"#), "a member comes twice"),
        (json!({ "secret": hidden }).to_string(), "`type`: it is missing"),
        (json!({ "type": hidden }).to_string(), "`type`: it is neither"),
        (
            json!({ "type": "domain", "name": hidden.to_uppercase() }).to_string(),
            "`name`: it is no",
        ),
        (
            json!({ "type": "domain", "name": "a", "x": hidden }).to_string(),
            "`x`: there is no such",
        ),
        (json!({ "type": "domain", "name": "a", "secret": hidden }).to_string(), "32 bytes"),
        (json!({ "type": "domain", "name": "a", "secret": "?" }).to_string(), "base64url"),
        (
            json!({ "type": "domain", "name": "a", "secret": [hidden] }).to_string(),
            "neither base64",
        ),
        (json!({ "type": "domain", "name": "a", "token_lifetime": hidden }).to_string(), "seconds"),
        (
            json!({ "type": "domain", "name": "a", "token_lifetime": 1 }).to_string(),
            "not within 10",
        ),
        (
            json!({ "type": "domain", "name": "a", "algorithm": "ES256",
                "secret": { "text": SECRET } })
            .to_string(),
            "only an HS256 domain",
        ),
        (
            json!({ "type": "domain", "name": "a", "algorithm": hidden }).to_string(),
            "none of ES256",
        ),
    ] {
        let migration = reading(|migration| migration.read_lines("f", &format!("\n{line}\n")));
        let told = refused(migration).await;
        assert!(told.contains("\n  f line 2: ") && told.contains(expected), "{told}");
        assert!(!told.to_lowercase().contains("hunter2") && !told.contains(SECRET), "{told}");
    }
    for (member, value, expected) in [
        ("password_hash", json!(hidden), "it is no bcrypt"),
        ("password_hash", json!(HASH.replace("$05$", "$15$")), "cost `15`"),
        ("password_hash", json!(7), "it is no text"),
        ("username", json!(" hunter2"), "invalid username"),
        ("id", json!("hunter2\n"), "1 to 128"),
        ("disabled", json!(hidden), "RFC 3339"),
        ("created_at", json!(1_700_000_000_000_u64), "seconds since 1970"),
        ("created_at", json!("1969-01-01T00:00:00Z"), "seconds since 1970"),
        ("domain", json!("nowhere"), "neither here nor in the input"),
    ] {
        let mut line = user("ada");
        line[member] = value;
        let told = refused(from_lines(&[json!({ "type": "domain", "name": "shop" }), line])).await;
        assert!(told.contains("\n  in.jsonl line 2: ") && told.contains(expected), "{told}");
        assert!(!told.contains("hunter2") && !told.contains(HASH), "{told}");
    }
}

#[tokio::test]
async fn twenty_problems_are_told_and_the_others_counted() {
    let told = refused(from_lines(&vec![json!({}); 23])).await;
    assert_eq!(told.matches("\n  in.jsonl line ").count(), 20);
    assert!(told.ends_with("\n  and 3 more"), "{told}");
}

#[tokio::test]
async fn what_comes_twice_is_wrong_wherever_it_comes() {
    let shop = json!({ "type": "domain", "name": "shop" });
    let (mut one, mut two) = (user("ada"), user("bob"));
    one["id"] = json!("same");
    two["id"] = json!("same");
    for twice in [[shop.clone(), shop.clone()], [user("ada"), user("ada")], [one, two]] {
        let told = refused(from_lines(&[vec![shop.clone()], twice.to_vec()].concat())).await;
        assert!(told.contains(" comes twice, first in in.jsonl line "), "{told}");
    }
    let both = reading(|migration| {
        migration.read_secrets("s.json", &json!({ "shop": SECRET }).to_string());
        migration.read_lines("in.jsonl", &lines_of(&[shop]));
    });
    let told = refused(both).await;
    assert!(told.contains("in.jsonl line 1: the domain comes twice, first in s.json"), "{told}");
}

#[tokio::test]
async fn a_second_time_changes_nothing_and_what_differs_is_left_alone() {
    let (_folder, ports) = ports();
    let input = [
        json!({ "type": "domain", "name": "shop", "token_lifetime": 60 }),
        json!({ "type": "domain", "name": "old", "secret": { "text": SECRET } }),
        user("ada"),
        user("bob"),
    ];
    write(&ports, from_lines(&input)).await;
    let before = (ports.domains().await.unwrap(), user_of(&ports, "shop", "ada").await);
    let report = write(&ports, from_lines(&input)).await;
    assert_eq!((report.domains, report.users), (tally(0, 2, 0), tally(0, 2, 0)));

    let mut changed = input.clone();
    changed[0]["token_lifetime"] = json!(61);
    changed[1]["secret"]["text"] = json!(SECRET.to_uppercase());
    changed[2]["password_hash"] = json!(HASH.replace("$2b", "$2a"));
    changed[3]["disabled"] = json!(true);
    let report = write(&ports, from_lines(&changed)).await;
    assert_eq!((report.domains, report.users), (tally(0, 0, 2), tally(0, 0, 2)));
    let mut left_out = report.left_out;
    left_out.sort();
    assert_eq!(
        left_out,
        [
            "domain `old` (in.jsonl line 2) is there already: it does not have that secret",
            "domain `shop` (in.jsonl line 1) is there already: it has another token lifetime",
            "user `ada` of domain `shop` (in.jsonl line 3) is there already: it has another password \
         hash",
            "user `bob` of domain `shop` (in.jsonl line 4) is there already: it is disabled here and \
         not there, or there and not here",
        ]
    );
    assert_eq!((ports.domains().await.unwrap(), user_of(&ports, "shop", "ada").await), before);

    let mut thief = user("eve");
    thief["id"] = json!(before.1.unwrap().id);
    let report = write(&ports, from_lines(&[thief])).await;
    assert_eq!(report.users, tally(0, 0, 1));
    assert!(report.left_out[0].ends_with("its id is another user's"), "{:?}", report.left_out);
}

#[tokio::test]
async fn a_secret_that_was_rotated_out_of_use_still_is_the_domains() {
    let (_folder, ports) = ports();
    let input = [json!({ "type": "domain", "name": "old", "secret": { "text": SECRET } })];
    write(&ports, from_lines(&input)).await;
    let rotation = Rotation::Regular;
    ports.rotate_keys(&"old".parse().unwrap(), rotation).await.unwrap();
    assert_eq!(write(&ports, from_lines(&input)).await.domains, tally(0, 1, 0));
}

#[tokio::test]
async fn a_dry_run_tells_and_writes_nothing() {
    let (_folder, ports) = ports();
    let input = [json!({ "type": "domain", "name": "shop" }), user("ada")];
    let dry = || from_lines(&input).carry_out(&ports, ImportMode::DryRun);
    let report = dry().await.unwrap();
    assert_eq!((report.domains, report.users), (tally(1, 0, 0), tally(1, 0, 0)));
    assert!(ports.domains().await.unwrap().is_empty());
    write(&ports, from_lines(&input)).await;
    let report = dry().await.unwrap();
    assert_eq!((report.domains, report.users), (tally(0, 1, 0), tally(0, 1, 0)));
}

#[tokio::test]
async fn one_object_of_secrets_makes_hs256_domains() {
    let (_folder, ports) = ports();
    let secrets = json!({ "shop": SECRET, "blog": SECRET.to_uppercase() }).to_string();
    let input = || reading(|migration| migration.read_secrets("s.json", &secrets));
    assert_eq!(write(&ports, input()).await.domains, tally(2, 0, 0));
    assert_eq!(write(&ports, input()).await.domains, tally(0, 2, 0));
    for (name, secret) in [("shop", SECRET), ("blog", &SECRET.to_uppercase())] {
        let (key_set, _) = ports.key_set(&name.parse().unwrap()).await.unwrap();
        assert_eq!(key_set.current.secret.unwrap().expose(), secret.as_bytes());
    }
    for (name, secret, expected) in [
        ("shop", json!("short-secret"), "domain `shop`: the secret is shorter than the 32 bytes"),
        ("shop", json!("x".repeat(1025)), "domain `shop`: the secret is longer"),
        ("shop", json!({ "a": "short-secret" }), "`shop`: it is no text"),
        ("Shop", json!(SECRET), "domain `Shop`: it is no domain name"),
    ] {
        let text = json!({ name: secret }).to_string();
        let told = refused(reading(|migration| migration.read_secrets("s.json", &text))).await;
        assert!(told.contains("\n  s.json: ") && told.contains(expected), "{told}");
        assert!(!told.contains("short-secret") && !told.contains(SECRET), "{told}");
    }
}

/// The same items in every form that a table comes in.
#[tokio::test]
async fn a_table_is_read_in_each_of_its_forms() {
    let plain = [
        json!({ "id": "u-1", "doc_type": "user", "domain": "shop", "username": "ada",
            "password": HASH, "email": "ada@example.com", "disabled": true }),
        json!({ "id": "bob", "doc_type": "user", "domain": "shop", "hash": HASH }),
        json!({ "id": "shop#eve", "doc_type": "user", "password_hash": HASH }),
        json!({ "id": "s-1", "doc_type": "session", "user": "ada" }),
        json!({ "id": "s-2", "doc_type": "session", "user": "bob" }),
        json!({ "id": "x" }),
    ];
    let attribute = |value: &Value| match value {
        Value::Bool(_) => json!({ "BOOL": value }),
        _ => json!({ "S": value }),
    };
    let typed: Vec<Value> = plain
        .iter()
        .map(|item| {
            let members = item.as_object().unwrap().iter();
            members.map(|(name, value)| (name.clone(), attribute(value))).collect()
        })
        .collect();
    let exported: Vec<_> = typed.iter().map(|item| json!({ "Item": item })).collect();
    let scan = json!({ "Items": typed, "Count": 6, "ConsumedCapacity": null });
    for text in [lines_of(&plain), lines_of(&typed), lines_of(&exported), format!("{scan:#}")] {
        let (_folder, ports) = ports();
        write(&ports, from_lines(&[json!({ "type": "domain", "name": "shop" })])).await;
        let report = write(&ports, from_table(&text)).await;
        assert_eq!(report.users, tally(3, 0, 0), "{text}");
        assert_eq!(
            report.left_out,
            [
                "items of doc_type `session`: 2",
                "items without doc_type: 1",
                "member `email` of users: 1",
            ]
        );
        let ada = user_of(&ports, "shop", "ada").await.unwrap();
        assert_eq!((ada.id.as_str(), ada.disabled_at), ("u-1", Some(NOW)));
        for name in ["bob", "eve"] {
            let user = user_of(&ports, "shop", name).await.unwrap();
            assert_eq!((user.id.len(), user.disabled_at), (22, None), "an id of our own");
        }
        assert_eq!(write(&ports, from_table(&text)).await.users, tally(0, 3, 0));
    }
}

#[tokio::test]
async fn a_part_of_a_scan_is_told() {
    let (_folder, ports) = ports();
    for more in ["LastEvaluatedKey", "NextToken"] {
        let text = json!({ "Items": [], more: { "id": { "S": "x" } } }).to_string();
        let report = write(&ports, from_table(&text)).await;
        let told = "the rest of the table: the scan in table.json ends before it: 1";
        assert_eq!(report.left_out, [told]);
    }
}

#[tokio::test]
async fn a_tables_members_may_have_other_names() {
    let (_folder, ports) = ports();
    let item = json!({ "id": "shopkeeper", "doc_type": "user", "project": "shop", "login": "ada",
        "secret": HASH, "password": "not this" });
    let names = TableMembers {
        domain: "project".to_owned(),
        username: "login".to_owned(),
        password: Some("secret".to_owned()),
    };
    let report = write(
        &ports,
        reading(|migration| {
            migration.read_lines("f", &json!({ "type": "domain", "name": "shop" }).to_string());
            migration.read_table("t", &item.to_string(), &names);
        }),
    )
    .await;
    assert_eq!(report.left_out, ["member `password` of users: 1"]);
    assert_eq!(user_of(&ports, "shop", "ada").await.unwrap().id, "shopkeeper");
}

#[tokio::test]
async fn a_tables_wrong_users_are_named() {
    let item = |changes: Value| {
        let mut item = json!({ "id": "u-1", "doc_type": "user", "domain": "shop",
            "username": "ada", "password": HASH });
        for (name, value) in changes.as_object().unwrap() {
            item[name] = value.clone();
        }
        item
    };
    for (changes, expected) in [
        (json!({ "password": "hunter2" }), "`password`: it is no bcrypt"),
        (json!({ "password": null }), "it has no `password_hash`"),
        (json!({ "hash": HASH }), "choose with --password-member"),
        (json!({ "domain": null }), "`domain`: it is missing"),
        (json!({ "domain": null, "id": "#hunter2" }), "`id`: it is no domain name"),
        (json!({ "username": null, "id": " hunter2" }), "`id`: invalid username"),
        (json!({ "disabled": "hunter2" }), "`disabled`: it is neither"),
        (json!({ "doc_type": 7 }), "`doc_type`: it is no text"),
    ] {
        let items = json!({ "Items": [{ "id": "x" }, item(changes)] });
        let told = refused(from_table(&items.to_string())).await;
        assert!(told.contains("\n  table.json item 2: ") && told.contains(expected), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[tokio::test]
async fn a_domain_that_is_left_half_made_is_finished_only_with_its_own_secret() {
    let (_folder, mut ports) = ports();
    ports.vault = Arc::new(ByName(ports.vault));
    let secret = |text: &str| {
        from_lines(&[json!({ "type": "domain", "name": "shop", "secret": { "text": text } })])
    };
    let key_set = KeySet::of_secret(SecretBytes::new(SECRET.as_bytes().to_vec()), NOW).unwrap();
    let id = ports.vault.id_for(&"shop".parse().unwrap());
    ports.vault.create_key_set(&id, &key_set).await.unwrap();
    let other = secret(&SECRET.to_uppercase()).carry_out(&ports, ImportMode::Write).await;
    let told = other.unwrap_err().to_string();
    assert!(told.ends_with("its secret is not among them"), "{told}");
    assert!(ports.domains().await.unwrap().is_empty());
    assert_eq!(write(&ports, secret(SECRET)).await.domains, tally(1, 0, 0));
    assert_eq!(ports.key_set(&"shop".parse().unwrap()).await.unwrap().0, key_set);
}

/// A vault that keeps a domain's keys under the domain's name.
struct ByName(Arc<dyn Vault>);
#[async_trait]
impl Vault for ByName {
    fn id_for(&self, domain: &DomainName) -> KeySetId {
        KeySetId::stored(domain.to_string())
    }
    async fn create_key_set(&self, id: &KeySetId, key_set: &KeySet) -> Result<(), StoreError> {
        self.0.create_key_set(id, key_set).await
    }
    async fn key_set(&self, id: &KeySetId) -> Result<Option<KeySet>, StoreError> {
        self.0.key_set(id).await
    }
    async fn replace_key_set(
        &self,
        id: &KeySetId,
        generation: u64,
        key_set: &KeySet,
        clock: Arc<dyn Clock>,
    ) -> Result<KeySet, StoreError> {
        self.0.replace_key_set(id, generation, key_set, clock).await
    }
}
