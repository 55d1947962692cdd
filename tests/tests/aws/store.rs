//! The store on DynamoDB.

#![expect(clippy::panic, reason = "a test stops at the first surprise")]

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, KeyType, PointInTimeRecoveryStatus, TimeToLiveStatus,
};
use postern_issuer::{
    Account, Clock, EndReason, RefreshHash, Store, StoreError, SystemClock, contract,
};
use postern_tests::Fault;
use serde_json::{Value, json};

use crate::service::Service;
use crate::shop::{At, NOW, domain, read, renamed, session, shop_with};
use crate::table::Table;

const MONTH: u64 = 30 * 24 * 60 * 60;

#[tokio::test(flavor = "multi_thread")]
async fn passes_the_store_contract() {
    Table::run(|table| async move { contract::store(table.store()).await }).await;
}

#[tokio::test]
async fn the_table_has_the_documented_keys_expires_items_and_can_be_restored() {
    Table::run(|table| async move {
        let client = table.client();
        let described = client.describe_table().table_name(&table.name).send().await.unwrap();
        let described = described.table.unwrap();
        let keys: Vec<_> = described.key_schema().iter().collect();
        let keys: Vec<_> = keys.iter().map(|key| (key.attribute_name(), key.key_type())).collect();
        assert_eq!(keys, [("pk", &KeyType::Hash), ("sk", &KeyType::Range)]);
        assert!(described.global_secondary_indexes().is_empty());
        let ttl = client.describe_time_to_live().table_name(&table.name).send().await.unwrap();
        let ttl = ttl.time_to_live_description.unwrap();
        assert_eq!(ttl.attribute_name(), Some("ttl"));
        let on = [TimeToLiveStatus::Enabled, TimeToLiveStatus::Enabling];
        assert!(on.contains(ttl.time_to_live_status().unwrap()));
        let again = postern_issuer::create_table(&table.config, &table.name).await;
        assert!(matches!(again, Err(StoreError::AlreadyExists)));
        // DynamoDB Local has no backups.
        let backups = client.describe_continuous_backups().table_name(&table.name).send().await;
        if let Ok(backups) = backups {
            let described = backups.continuous_backups_description.unwrap();
            let recovery = described.point_in_time_recovery_description.unwrap();
            let status = recovery.point_in_time_recovery_status.unwrap();
            assert_eq!(status, PointInTimeRecoveryStatus::Enabled);
        }
    })
    .await;
}

/// An emulator answers every read consistently, so it is the requests that have to be looked at.
#[tokio::test(flavor = "multi_thread")]
async fn every_read_is_consistent_and_nothing_is_scanned() {
    Table::run_with_faults(|table, proxy| async move {
        contract::store(table.store_behind(&proxy).await).await;
        let requests = proxy.seen();
        for (operation, request) in &requests {
            let consistent = match operation.as_str() {
                "GetItem" | "Query" => &request["ConsistentRead"],
                "BatchGetItem" => &request["RequestItems"][&table.name]["ConsistentRead"],
                "PutItem" | "UpdateItem" | "DeleteItem" | "TransactWriteItems" => continue,
                other => panic!("{other}"),
            };
            assert_eq!(consistent, &json!(true), "{operation}");
            assert_eq!(request.get("IndexName"), None);
        }
        assert!(requests.iter().any(|(operation, _)| operation == "Query"));
    })
    .await;
}

/// What the function's role allows.
#[tokio::test]
async fn the_routes_need_no_more_than_reads_and_writes_of_single_items() {
    Table::run_with_faults(|table, proxy| async move {
        let store = table.store_behind(&proxy).await;
        let service = Service::on(store, Arc::new(SystemClock));
        service.create_domain("shop").await;
        service.create_user("shop", "ada").await;
        proxy.pass();
        assert_eq!(service.try_login("shop", "ada", "wrong horse").await.status, 400);
        let token = service.login("shop", "ada").await.token();
        let next = service.refresh(&token).await.token();
        let public = ["/shop/.well-known/jwks.json", "/shop/status-lists/0"];
        for path in ["/auth", "/status", "/readyz"].into_iter().chain(public) {
            assert_eq!(service.get(path, &next).await.status, 200, "{path}");
        }
        assert_eq!(service.logout(&next).await.status, 204);
        for (operation, request) in proxy.seen() {
            for key in leading_keys(&operation, &request) {
                let begins_with = |prefix: &&str| key.starts_with(*prefix);
                let own = match operation.as_str() {
                    "BatchGetItem" | "GetItem" => true,
                    "Query" => key.starts_with("status#"),
                    "DeleteItem" => ["user#", "failures#"].iter().any(begins_with),
                    _ => ["user#", "failures#", "status#", "ready"].iter().any(begins_with),
                };
                assert!(own, "{operation} of {key}");
            }
        }
        let operations: BTreeSet<_> = proxy.seen().into_iter().map(|(name, _)| name).collect();
        // The rights to a transaction are those to each of its writes.
        let allowed = [
            "BatchGetItem",
            "DeleteItem",
            "GetItem",
            "PutItem",
            "Query",
            "TransactWriteItems",
            "UpdateItem",
        ];
        assert_eq!(operations, allowed.map(str::to_owned).into());
    })
    .await;
}

/// The partitions that a request names, as IAM's `dynamodb:LeadingKeys` has them.
fn leading_keys<'r>(operation: &str, request: &'r Value) -> Vec<String> {
    let keys: Vec<&'r Value> = match operation {
        "PutItem" => vec![&request["Item"]["pk"]],
        "Query" => vec![&request["ExpressionAttributeValues"][":pk"]],
        "TransactWriteItems" => {
            let writes = request["TransactItems"].as_array().unwrap();
            let of = |write: &'r Value| match write.get("Put") {
                Some(put) => &put["Item"]["pk"],
                None => &write["Update"]["Key"]["pk"],
            };
            writes.iter().map(of).collect()
        }
        _ => vec![&request["Key"]["pk"]],
    };
    keys.into_iter().map(|key| key["S"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn items_lie_where_the_layout_says_and_hashes_are_bytes() {
    Table::run(|table| async move {
        let store = table.store();
        let ada = shop_with(&*store, "ada").await;
        let session = session(&ada, 1);
        assert!(store.create_session(&session).await.unwrap());
        let account = Account::new(ada.domain.clone(), "ada");
        store.record_login_failure(&account, NOW).await.unwrap();
        store.ready().await.unwrap();

        // Base64url of the SHA-256 of `ada`.
        let failures = "failures#shop#_e5DDUC9V97qwYbNl5ADPQ8G-QmogG585ucXq3x9UCk";
        let id = format!("session#{}", session.id);
        let user_id = format!("id#{}", ada.id);
        for key in [
            ["domain#shop", "domain"],
            ["domains", "shop"],
            ["domain#shop", "user#ada"],
            ["user#shop#ada", "user"],
            [&user_id, "id"],
            ["user#shop#ada", &id],
            [failures, "failures"],
            ["ready", "ready"],
        ] {
            assert!(table.item(key).await.is_some(), "{key:?}");
        }
        let item = table.item(["user#shop#ada", &id]).await.unwrap();
        let ttl = (session.expires_at.0 + MONTH).to_string();
        assert_eq!(item["ttl"], AttributeValue::N(ttl));
        assert!(!item.contains_key("status_list"));
        assert_eq!(item["current_refresh"], binary(&session.current_refresh.0));
        assert_eq!(item["successor_key"], binary(session.successor_key.expose()));
    })
    .await;
}

/// `#` separates the parts of a key; the parts of longest names come near the 1024 bytes of one.
#[tokio::test]
async fn users_of_any_name_are_told_apart() {
    Table::run(|table| async move {
        let store = table.store();
        let ada = shop_with(&*store, "ada").await;
        let longest = "\u{1d11e}".repeat(128);
        let names =
            ["#", "ada#", "ada#user", "session#x", "user", "user#ada", "ünï cødé", &longest];
        let users: Vec<_> = names.iter().map(|name| renamed(&ada, name)).collect();
        for (number, user) in (0..).zip(&users) {
            store.create_user(user).await.unwrap();
            assert!(store.create_session(&session(user, number)).await.unwrap());
        }
        for (number, user) in (0..).zip(&users) {
            let found = store.user(&user.domain, &user.username).await.unwrap();
            assert_eq!(found.as_ref(), Some(user));
            let session = session(user, number);
            assert_eq!(read(&*store, &session).await, Some(session));
        }
        let listed = store.users(&ada.domain).await.unwrap();
        let listed: Vec<_> = listed.iter().map(|user| user.username.to_string()).collect();
        let mut expected = [&names[..], &["ada"]].concat();
        expected.sort_unstable();
        assert_eq!(listed, expected);
    })
    .await;
}

#[tokio::test]
async fn lists_of_many_pages_are_whole_and_in_order() {
    Table::run(|table| async move {
        let store = table.store();
        let ada = shop_with(&*store, "ada").await;
        let mut expected = vec!["ada".to_owned()];
        for number in 0..120 {
            let user = renamed(&ada, &format!("user {number}"));
            store.create_user(&user).await.unwrap();
            expected.push(user.username.to_string());
        }
        for name in ["blog", "wiki", "mail", "chat"] {
            store.create_domain(&domain(name)).await.unwrap();
        }
        expected.sort();
        for entries in [7, 1000] {
            let store = (*table.store()).clone().in_pages_of(entries);
            let users = store.users(&ada.domain).await.unwrap();
            let names: Vec<_> = users.iter().map(|user| user.username.to_string()).collect();
            assert_eq!(names, expected);
            let domains = store.domains().await.unwrap();
            let names: Vec<_> = domains.iter().map(|domain| domain.name.as_str()).collect();
            assert_eq!(names, ["blog", "chat", "mail", "shop", "wiki"]);
        }
    })
    .await;
}

#[tokio::test]
async fn disabling_ends_the_sessions_of_all_pages() {
    Table::run(|table| async move {
        let store = (*table.store()).clone().in_pages_of(3);
        let ada = shop_with(&store, "ada").await;
        let sessions: Vec<_> = (0..40).map(|number| session(&ada, number)).collect();
        for session in &sessions {
            assert!(store.create_session(session).await.unwrap());
        }
        let [first, ..] = &sessions[..] else { panic!("no sessions") };
        assert!(store.end_session(first, EndReason::Logout, NOW.plus(1)).await.unwrap());
        assert!(store.disable_user(&ada.domain, &ada.username, NOW.plus(5)).await.unwrap());
        for session in &sessions {
            let item = table.item(["user#shop#ada", &format!("session#{}", session.id)]).await;
            let (moment, reason) = if session == first { (1, "logout") } else { (5, "disabled") };
            let item = item.unwrap();
            assert_eq!(item["ended_at"], AttributeValue::N((NOW.0 + moment).to_string()));
            assert_eq!(item["end_reason"], AttributeValue::S(reason.to_owned()));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_stores_on_one_table_one_wins_each_race() {
    Table::run(|table| async move {
        let ada = shop_with(&*table.store(), "ada").await;
        for round in 0..10_u8 {
            let stores = [table.store(), table.store()];
            let name = format!("user-{round}");
            let session = session(&ada, round.into());
            assert!(stores[0].create_session(&session).await.unwrap());
            let race = |(racer, store): (u8, Arc<dyn Store>)| {
                let mut user = renamed(&ada, &name);
                user.id = format!("{round}-{racer}");
                let domain = domain(&name);
                let session = session.clone();
                tokio::spawn(async move {
                    let next = RefreshHash([racer; 32]);
                    let clock = Arc::new(At(NOW));
                    let current = session.current_refresh;
                    (
                        store.create_domain(&domain).await,
                        store.create_user(&user).await,
                        store.replace_refresh(&session, current, next, clock).await.unwrap(),
                    )
                })
            };
            let racers = stores.clone().map(|store| store as Arc<dyn Store>);
            let racers: Vec<_> = (0..).zip(racers).map(race).collect();
            let mut won = [0; 3];
            for racer in racers {
                let (domain, user, refresh) = racer.await.unwrap();
                for refused in [&domain, &user].into_iter().filter_map(|made| made.as_ref().err()) {
                    assert!(matches!(refused, StoreError::AlreadyExists), "{refused}");
                }
                let outcomes = [domain.is_ok(), user.is_ok(), refresh.is_some()];
                won = std::array::from_fn(|race| won[race] + u8::from(outcomes[race]));
            }
            assert_eq!(won, [1; 3]);
        }
    })
    .await;
}

#[tokio::test]
async fn a_disabling_that_dies_half_way_has_ended_all_sessions_and_can_be_finished() {
    Table::run_with_faults(|table, proxy| async move {
        let store = table.store_behind(&proxy).await;
        let ada = shop_with(&*store, "ada").await;
        let (one, two) = (session(&ada, 1), session(&ada, 2));
        assert!(store.create_session(&one).await.unwrap());
        assert!(store.create_session(&two).await.unwrap());
        assert!(store.end_session(&two, EndReason::Logout, NOW.plus(1)).await.unwrap());
        // It stops at the second step, at which the sessions are gone through.
        proxy.fail("Query", 1, Fault::Refuse(400, "AccessDeniedException"));
        let died = store.disable_user(&ada.domain, &ada.username, NOW.plus(5)).await;
        assert!(matches!(died, Err(StoreError::Unavailable(_))));

        let item = table.item(["user#shop#ada", &format!("session#{}", one.id)]).await.unwrap();
        assert!(!item.contains_key("ended_at"));
        let ended = Some((NOW.plus(5), EndReason::Disabled));
        assert_eq!(read(&*store, &one).await.unwrap().ended, ended);
        let logged_out = Some((NOW.plus(1), EndReason::Logout));
        assert_eq!(read(&*store, &two).await.unwrap().ended, logged_out);
        assert!(!store.create_session(&session(&ada, 3)).await.unwrap());

        assert!(store.disable_user(&ada.domain, &ada.username, NOW.plus(9)).await.unwrap());
        let item = table.item(["user#shop#ada", &format!("session#{}", one.id)]).await.unwrap();
        assert_eq!(item["ended_at"], AttributeValue::N((NOW.0 + 5).to_string()));
        let next = RefreshHash([9; 32]);
        let late = store.replace_refresh(&one, one.current_refresh, next, Arc::new(At(NOW))).await;
        assert_eq!(late.unwrap(), None);
    })
    .await;
}

/// The user of that name is another one now.
#[tokio::test]
async fn a_session_of_a_namesake_is_none_and_a_refused_one_leaves_nothing() {
    Table::run(|table| async move {
        let store = table.store();
        let ada = shop_with(&*store, "ada").await;
        let old = session(&ada, 1);
        assert!(store.create_session(&old).await.unwrap());
        let another = AttributeValue::S("another".to_owned());
        table.set(["user#shop#ada", "user"], "id", another).await;
        assert_eq!(read(&*store, &old).await, None);

        let late = session(&ada, 2);
        assert!(!store.create_session(&late).await.unwrap());
        assert_eq!(table.item(["user#shop#ada", &format!("session#{}", late.id)]).await, None);
    })
    .await;
}

/// DynamoDB deletes items within days of their time; until then they are what they are.
#[tokio::test]
async fn a_session_that_is_past_its_time_and_not_deleted_yet_cannot_be_used() {
    Table::run(|table| async move {
        let store = table.store();
        let ada = shop_with(&*store, "ada").await;
        let session = session(&ada, 1);
        assert!(store.create_session(&session).await.unwrap());
        let late = session.expires_at.plus(MONTH + 1);
        let read = read(&*store, &session).await.unwrap();
        assert_eq!((read.expires_at, read.ended), (session.expires_at, None));
        for moment in [session.expires_at, late] {
            let (current, next) = (session.current_refresh, RefreshHash([7; 32]));
            let clock = Arc::new(At(moment)) as Arc<dyn Clock>;
            let refreshed = store.replace_refresh(&session, current, next, clock).await;
            assert_eq!(refreshed.unwrap(), None);
            assert!(!store.end_session(&session, EndReason::Logout, moment).await.unwrap());
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_damaged_is_named_by_its_kind_alone() {
    Table::run(|table| async move {
        let store = table.store();
        let ada = shop_with(&*store, "ada").await;
        let session = session(&ada, 1);
        assert!(store.create_session(&session).await.unwrap());
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let key = format!("session#{}", session.id);
        let session_key = ["user#shop#ada", key.as_str()];
        for (attribute, value) in [
            ("current_refresh", AttributeValue::B(Blob::new([1; 31]))),
            ("successor_key", text("secret")),
            ("expires_at", text("never")),
            ("ended_at", AttributeValue::N("5".to_owned())),
        ] {
            let intact = table.item(session_key).await.unwrap();
            table.set(session_key, attribute, value).await;
            let read = store.session(&ada.domain, &ada.username, &session.id).await;
            assert_eq!(damage(read), "stored session is damaged", "{attribute}");
            let put = table.client().put_item().table_name(&table.name);
            put.set_item(Some(intact)).send().await.unwrap();
        }
        table.set(["user#shop#ada", "user"], "password_hash", AttributeValue::N("1".into())).await;
        let read = store.user(&ada.domain, &ada.username).await;
        assert_eq!(damage(read), "stored user is damaged");
        table.set(["user#shop#ada", "user"], "username", text("\u{7}secret")).await;
        table.set(["domain#shop", "domain"], "jwks_max_age", text("secret")).await;
        assert_eq!(damage(store.domain(&ada.domain).await), "stored domain is damaged");
        table.set(["domain#shop", "domain"], "name", text("se/cret")).await;
        assert_eq!(damage(store.domains().await), "stored domain name is damaged");
        assert_eq!(
            damage(store.create_user(&renamed(&ada, "bob")).await),
            "stored domain name is damaged"
        );
    })
    .await;
}

fn damage<T>(read: Result<T, StoreError>) -> String {
    match read {
        Err(error @ StoreError::Damaged(_)) => error.to_string(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("read"),
    }
}

fn binary(bytes: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}
