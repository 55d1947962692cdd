//! `postern migrate` and `postern keys export` as an operator runs them, and the logins after it.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::{Duration, SystemTime},
};

use postern_verify::{ClaimRules, JwkSet, KeyKinds, MAX_TOKEN_BYTES, Policy, UnverifiedToken};
use serde_json::{Value, json};
use tempfile::TempDir;

const PASSWORD: &str = "correct horse";
/// What libxcrypt makes of it.
const HASH: &str = "$2y$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e";
const SECRET: &str = "the one secret of the shop, as text";
const ISSUER: &str = "https://auth.example.com";

/// A folder for the data and the files that are moved in.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn postern(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
        command.args(arguments).current_dir(self.0.path());
        command.env("POSTERN_DATA_DIR", self.0.path().join("data"));
        for name in ["POSTERN_LISTEN", "POSTERN_ISSUER_URL", "POSTERN_ALLOW_ORIGIN"] {
            command.env_remove(name);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The exit code, and what was printed on standard output and standard error.
    fn run(&self, arguments: &[&str], input: &str) -> (i32, String, String) {
        let mut child = self.postern(arguments).spawn().unwrap();
        // A command that needs no input may be gone already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8(text).unwrap());
        for secret in [HASH, SECRET, PASSWORD] {
            assert!(!stderr.contains(secret), "{stderr}");
        }
        (status.code().unwrap(), stdout, stderr)
    }

    #[track_caller]
    fn succeed(&self, arguments: &[&str], input: &str) -> String {
        let (code, output, errors) = self.run(arguments, input);
        assert_eq!((code, errors.as_str()), (0, ""), "{arguments:?}");
        output
    }

    fn user_ids(&self, domain: &str) -> Vec<String> {
        let list = self.succeed(&["user", "list", domain], "");
        let rows = list.lines().skip(1);
        rows.map(|row| row.split_whitespace().next().unwrap().to_owned()).collect()
    }

    fn server(&self) -> Server {
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--issuer-url", ISSUER];
        let mut child = self.postern(&arguments).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on http://").unwrap().to_owned();
        Server { child, address }
    }
}

/// A running `postern serve`; killed when dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// The token, if the login succeeds.
    fn login(&self, domain: &str, username: &str, password: &str) -> Option<String> {
        let body = json!({ "domain": domain, "username": username, "password": password });
        let (body, mut answer) = (body.to_string(), String::new());
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let head = "POST /login HTTP/1.1\r\nHost: x\r\nConnection: close";
        write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        stream.read_to_string(&mut answer).unwrap();
        let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        body["token"].as_str().map(str::to_owned)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(values: &[Value]) -> String {
    values.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")
}

/// Whether the core takes the token for the domain with the keys of `document`.
fn passes(token: &str, domain: &str, document: &str) -> bool {
    let keys = JwkSet::parse(document.as_bytes(), KeyKinds::WithSecrets).unwrap();
    let token = UnverifiedToken::parse(token.as_bytes(), MAX_TOKEN_BYTES).unwrap();
    let mut rules = ClaimRules::new(format!("{ISSUER}/{domain}"));
    rules.audiences = vec![domain.to_owned()];
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    token.verify(&keys).is_ok_and(|signed| signed.check(&rules, now).is_ok())
}

#[test]
fn users_of_the_original_system_log_in_with_their_old_passwords() {
    let place = Place::new();
    place.file("secrets.json", &json!({ "shop": SECRET }).to_string());
    let text = |value: &str| json!({ "S": value });
    place.file(
        "table.json",
        &format!(
            "{:#}",
            json!({ "Count": 3, "Items": [
                { "id": text("7f1c"), "doc_type": text("user"), "domain": text("shop"),
                  "username": text("ada"), "password": text(HASH) },
                { "id": text("shop#bob"), "doc_type": text("user"), "password": text(HASH) },
                { "id": text("s-1"), "doc_type": text("session") },
            ] })
        ),
    );
    let migrate = ["migrate", "--old-secrets", "secrets.json", "--old-table", "table.json"];
    let (code, output, errors) = place.run(&migrate, "");
    assert_eq!(code, 3, "{errors}");
    assert_eq!(errors, "left out: items of doc_type `session`: 1\n");
    let expected = "domains: 1 created, 0 unchanged, 0 left out\n\
                    users: 2 created, 0 unchanged, 0 left out\n";
    assert_eq!(output, expected);

    let server = place.server();
    let token = server.login("shop", "ada", PASSWORD).unwrap();
    assert!(server.login("shop", "bob", PASSWORD).is_some());
    assert!(server.login("shop", "ada", PASSWORD).is_some(), "with the hash made anew");
    assert!(server.login("shop", "ada", "wrong horse").is_none());
    assert!(place.user_ids("shop").contains(&"7f1c".to_owned()));

    let exported = place.succeed(&["keys", "export", "shop", "--dangerous-secrets"], "");
    assert!(passes(&token, "shop", &exported));
    let (code, _, errors) = place.run(&migrate, "");
    assert_eq!((code, errors.matches("as after a login").count()), (3, 2), "{errors}");
}

#[test]
fn lines_come_from_files_and_from_standard_input_and_twice_is_once() {
    let place = Place::new();
    place.file("domains.jsonl", &lines(&[json!({ "type": "domain", "name": "shop" })]));
    let users = lines(&[
        json!({ "type": "user", "domain": "shop", "username": "ada", "password_hash": HASH,
            "id": "kept" }),
        json!({ "type": "user", "domain": "shop", "username": "bob", "password_hash": HASH,
            "disabled": true }),
    ]);
    let migrate = ["migrate", "domains.jsonl", "-"];
    let dry = place.succeed(&[&migrate[..], &["--dry-run"]].concat(), &users);
    assert!(dry.contains("users: 2 to create, 0 unchanged") && dry.contains("dry run"), "{dry}");
    assert_eq!(place.succeed(&["domain", "list"], "").lines().count(), 1);
    let first = place.succeed(&migrate, &users);
    assert!(first.ends_with("users: 2 created, 0 unchanged, 0 left out\n"), "{first}");
    let second = place.succeed(&migrate, &users);
    assert!(second.ends_with("users: 0 created, 2 unchanged, 0 left out\n"), "{second}");
    assert!(second.starts_with("domains: 0 created, 1 unchanged"), "{second}");
    let server = place.server();
    assert!(server.login("shop", "ada", PASSWORD).is_some());
    assert!(server.login("shop", "bob", PASSWORD).is_none(), "disabled");
}

#[test]
fn one_wrong_line_keeps_all_out() {
    let place = Place::new();
    let user = |name: &str, hash: &str| {
        json!({ "type": "user", "domain": "shop", "username": name,
        "password_hash": hash })
    };
    let input = lines(&[
        json!({ "type": "domain", "name": "shop" }),
        user("ada", HASH),
        user("bob", PASSWORD),
        user("eve", &HASH.replace("$04$", "$15$")),
    ]);
    let (code, output, errors) = place.run(&["migrate", "-"], &input);
    assert_eq!((code, output.as_str()), (1, ""));
    let expected = "error: nothing was written, because the input is wrong:\n  \
        standard input line 3: `password_hash`: it is no bcrypt (`$2a$`, `$2b$`, `$2y$`) and no \
        argon2id hash\n  \
        standard input line 4: `password_hash`: its bcrypt cost `15` is not within 4 to 14: a \
        login would take seconds\n";
    assert_eq!(errors, expected);
    assert_eq!(place.succeed(&["domain", "list"], "").lines().count(), 1);
}

#[test]
fn input_that_is_missing_or_cannot_be_read_is_an_error() {
    let place = Place::new();
    assert_eq!(place.run(&["migrate"], "").0, 2);
    assert_eq!(place.run(&["migrate", "--dry-run"], "").0, 2);
    let (code, _, errors) = place.run(&["migrate", "nowhere.jsonl"], "");
    assert_eq!((code, errors.starts_with("error: cannot read `nowhere.jsonl`: ")), (1, true));
    let (code, _, errors) = place.run(&["migrate", "-", "--old-table", "-"], "");
    assert_eq!((code, errors.as_str()), (1, "error: standard input, `-`, can be read only once\n"));
    fs::write(place.0.path().join("latin1"), b"\xe4").unwrap();
    let (code, _, errors) = place.run(&["migrate", "latin1"], "");
    assert_eq!((code, errors.contains("UTF-8")), (1, true), "{errors}");
    let (code, _, errors) = place.run(&["migrate", "-"], &" ".repeat(64 * 1024 * 1024 + 1));
    assert_eq!((code, errors.contains("longer than 64 MiB")), (1, true), "{errors}");
}

#[test]
fn a_domains_keys_are_exported_as_others_need_them() {
    let place = Place::new();
    place.succeed(&["domain", "create", "open"], "");
    place.succeed(&["domain", "create", "closed", "--alg", "HS256"], "");
    for domain in ["open", "closed"] {
        place.succeed(&["user", "create", domain, "ada"], PASSWORD);
    }
    let server = place.server();
    let public = place.succeed(&["keys", "export", "open"], "");
    assert!(passes(&server.login("open", "ada", PASSWORD).unwrap(), "open", &public));
    assert!(!public.contains("\"d\""), "no private key");
    let secret = place.succeed(&["keys", "export", "closed", "--dangerous-secrets"], "");
    let token = server.login("closed", "ada", PASSWORD).unwrap();
    assert!(passes(&token, "closed", &secret));
    assert!(!passes(&token, "open", &secret));
    let other: Value = serde_json::from_str(&secret).unwrap();
    let members: Vec<_> = other["keys"][0].as_object().unwrap().keys().collect();
    assert_eq!(members, ["alg", "k", "kid", "kty", "use"]);
    Policy::parse(
        json!({ "providers": { "closed": { "issuer": format!("{ISSUER}/closed"),
            "algorithms": ["HS256"], "local_jwks": { "inline_string": secret } } }, "rules": [] })
        .to_string()
        .as_bytes(),
    )
    .unwrap();

    for (arguments, reason) in [
        (&["keys", "export", "closed"][..], "signs HS256 and has no public keys"),
        (&["keys", "export", "open", "--dangerous-secrets"], "private keys are never exported"),
        (&["keys", "export", "nowhere"], "unknown domain `nowhere`"),
    ] {
        let (code, output, errors) = place.run(arguments, "");
        assert_eq!((code, output.as_str(), errors.contains(reason)), (1, "", true), "{errors}");
    }
}
