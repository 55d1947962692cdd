//! Status lists on DynamoDB: what is revoked, by whichever process, all of them publish.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use base64ct::{Base64UrlUnpadded, Encoding};
use miniz_oxide::inflate::decompress_to_vec_zlib;
use postern_issuer::{DynamoDb, EndReason, Session, StatusPlace, Store, SystemClock, Timestamp};
use postern_tests::Fault;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::service::Service;
use crate::shop::{NOW, read, session, shop_with};
use crate::table::Table;

const DAY: u64 = 24 * 60 * 60;
const LIMIT: Duration = Duration::from_secs(1);
const SECOND_PLACE: StatusPlace = StatusPlace { list: 0, index: 77 };

fn claims(token: &str) -> Value {
    let claims = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&Base64UrlUnpadded::decode_vec(claims).unwrap()).unwrap()
}

/// Whether an edge with that list refuses the token.
fn refuses(list: &Value, token: &str) -> bool {
    let (token, not_before) = (claims(token), &list["postern_not_before"]);
    let own = not_before["subjects"][token["sub"].as_str().unwrap()].as_u64();
    let cut_off = own.max(not_before["all"].as_u64()).unwrap_or(0);
    let compressed = list["status_list"]["lst"].as_str().unwrap();
    let compressed = Base64UrlUnpadded::decode_vec(compressed).unwrap();
    let bits = decompress_to_vec_zlib(&compressed).unwrap();
    let index = token["status"]["status_list"]["idx"].as_u64().unwrap();
    let byte = bits[usize::try_from(index / 8).unwrap()];
    byte >> (index % 8) & 1 == 1 || token["iat"].as_u64().unwrap() < cut_off
}

/// How long it takes until both processes publish that the token is refused, asked all the time.
async fn published_everywhere(services: [&Service; 2], token: &str) -> Duration {
    let started = Instant::now();
    for service in services {
        while !refuses(&service.status_list("shop").await, token) {
            assert!(started.elapsed() < LIMIT, "not published in a second");
            sleep(Duration::from_millis(20)).await;
        }
    }
    started.elapsed()
}

fn placed(session: Session) -> Session {
    Session { status: Some(SECOND_PLACE), ..session }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_process_revokes_all_publish_within_a_second() {
    Table::run(|table| async move {
        let one = Service::on(table.store(), Arc::new(SystemClock));
        let two = one.beside(table.store(), Arc::new(SystemClock));
        one.create_domain("shop").await;
        for name in ["ada", "bob", "eve"] {
            one.create_user("shop", name).await;
        }
        let by_logout = one.login("shop", "ada").await.token();
        let by_end = two.login("shop", "ada").await.token();
        let by_disabling = one.login("shop", "bob").await.token();
        let by_domain = two.login("shop", "eve").await.token();
        let tokens = [&by_logout, &by_end, &by_disabling, &by_domain];
        for service in [&one, &two] {
            let list = service.status_list("shop").await;
            assert!(tokens.iter().all(|token| !refuses(&list, token)));
        }
        let (shop, ports) = ("shop".parse().unwrap(), &one.ports);
        assert_eq!(one.logout(&by_logout).await.status, 204);
        published_everywhere([&one, &two], &by_logout).await;
        ports.end_sessions_of_user(&shop, &"ada".parse().unwrap()).await.unwrap();
        published_everywhere([&one, &two], &by_end).await;
        ports.disable_user(&shop, &"bob".parse().unwrap()).await.unwrap();
        published_everywhere([&one, &two], &by_disabling).await;
        assert!(!refuses(&two.status_list("shop").await, &by_domain));
        assert_eq!(two.get("/auth", &by_domain).await.status, 200);
        ports.end_sessions_of_domain(&shop).await.unwrap();
        published_everywhere([&one, &two], &by_domain).await;
        for token in tokens {
            assert_eq!(two.get("/auth", token).await.status, 403);
            assert_eq!(two.refresh(token).await.status, 401);
        }
        let later = two.login("shop", "eve").await.token();
        assert_eq!(one.get("/auth", &later).await.status, 200);
        sleep(Duration::from_millis(300)).await;
        assert!(!refuses(&one.status_list("shop").await, &later));
    })
    .await;
}

#[tokio::test]
async fn what_is_revoked_lies_where_the_layout_says_until_its_time_is_over() {
    Table::run(|table| async move {
        let store = table.store();
        let ada = shop_with(&*store, "ada").await;
        let (domain, session) = (&ada.domain, placed(session(&ada, 1)));
        store.allocate_status(domain).await.unwrap();
        assert!(store.create_session(&session).await.unwrap());
        assert!(store.end_session(&session, EndReason::Logout, NOW.plus(1)).await.unwrap());
        store.raise_not_before(domain, None, NOW.plus(2)).await.unwrap();
        store.raise_not_before(domain, Some(&ada.id), NOW.plus(3)).await.unwrap();
        let expired = session.expires_at.0 + DAY;
        let (listed, subject) =
            (format!("not_before#00000000001700000003#{}", ada.id), format!("subject#{}", ada.id));
        for (key, ttl) in [
            (["status#shop", "counter"], None),
            (["status#shop", "version"], None),
            (["status#shop", "not_before#all"], None),
            (["status#shop", &listed], Some(NOW.0 + 3 + 2 * DAY)),
            (["status#shop", &subject], Some(NOW.0 + 3 + 401 * DAY)),
            (["status#shop#0", "revoked#00000000001700000001#77"], Some(expired)),
        ] {
            let item = table.item(key).await.unwrap_or_else(|| panic!("{key:?}"));
            let number = |ttl: u64| AttributeValue::N(ttl.to_string());
            assert_eq!(item.get("ttl").cloned(), ttl.map(number), "{key:?}");
        }
        assert_eq!(read(&*store, &session).await.unwrap().status, Some(SECOND_PLACE));
    })
    .await;
}

/// However many sessions the user has.
#[tokio::test]
async fn disabling_revokes_with_one_item() {
    Table::run(|table| async move {
        let store = table.store();
        let ada = shop_with(&*store, "ada").await;
        for number in 0..5 {
            let status = Some(store.allocate_status(&ada.domain).await.unwrap());
            let session = Session { status, ..session(&ada, number) };
            assert!(store.create_session(&session).await.unwrap());
        }
        assert!(store.disable_user(&ada.domain, &ada.username, NOW.plus(5)).await.unwrap());
        assert_eq!(store.revoked_since(&ada.domain, 0, Timestamp(0)).await.unwrap(), []);
        let known = store.not_before(&ada.domain, Timestamp(0)).await.unwrap();
        assert_eq!(known.subjects.into_iter().collect::<Vec<_>>(), [(ada.id, NOW.plus(6))]);
    })
    .await;
}

#[tokio::test]
async fn long_lists_come_in_pages_and_whole() {
    Table::run(|table| async move {
        let store = (*table.store()).clone().in_pages_of(3);
        let ada = shop_with(&store, "ada").await;
        let mut ended = BTreeSet::new();
        for number in 0..10 {
            let place = StatusPlace { list: 2, index: 1_048_575 - u32::try_from(number).unwrap() };
            let session = Session { status: Some(place), ..session(&ada, number) };
            assert!(store.create_session(&session).await.unwrap());
            let moment = NOW.plus(number);
            assert!(store.end_session(&session, EndReason::Logout, moment).await.unwrap());
            store.raise_not_before(&ada.domain, Some(&format!("u{number}")), moment).await.unwrap();
            ended.insert((place.index, moment));
        }
        let revoked = store.revoked_since(&ada.domain, 2, NOW).await.unwrap();
        assert_eq!(revoked.into_iter().collect::<BTreeSet<_>>(), ended);
        assert_eq!(store.revoked_since(&ada.domain, 2, NOW.plus(4)).await.unwrap().len(), 6);
        assert_eq!(store.not_before(&ada.domain, NOW).await.unwrap().subjects.len(), 10);
        assert_eq!(store.revoked_since(&ada.domain, 0, NOW).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn an_end_whose_answer_is_lost_is_one_end_and_one_revocation() {
    Table::run_with_faults(|table, proxy| async move {
        let store = table.store_behind(&proxy).await;
        let ada = shop_with(&*store, "ada").await;
        let faults = [
            Fault::LoseAnswer,
            Fault::Cancel("TransactionConflict"),
            Fault::CarryOutAndCancel("TransactionConflict"),
        ];
        for (number, fault) in (1..).zip(faults) {
            let status = Some(StatusPlace { list: number, index: 9 });
            let session = Session { status, ..session(&ada, number.into()) };
            assert!(store.create_session(&session).await.unwrap());
            proxy.pass();
            proxy.fail("TransactWriteItems", 1, fault);
            let moment = NOW.plus(1);
            assert!(store.end_session(&session, EndReason::Logout, moment).await.unwrap());
            assert_eq!(proxy.requests("TransactWriteItems"), 2);
            assert!(!store.end_session(&session, EndReason::Reuse, NOW.plus(2)).await.unwrap());
            let revoked = store.revoked_since(&ada.domain, number, Timestamp(0)).await.unwrap();
            assert_eq!(revoked, [(9, moment)]);
            let ended = read(&*store, &session).await.unwrap().ended;
            assert_eq!(ended, Some((moment, EndReason::Logout)));
        }
    })
    .await;
}

/// Neither half is there without the other.
#[tokio::test]
async fn an_end_that_fails_revokes_nothing() {
    Table::run_with_faults(|table, proxy| async move {
        let store = table.store_behind(&proxy).await;
        let ada = shop_with(&*store, "ada").await;
        let session = placed(session(&ada, 1));
        assert!(store.create_session(&session).await.unwrap());
        proxy.fail("TransactWriteItems", 1, Fault::Refuse(400, "AccessDeniedException"));
        let failed = store.end_session(&session, EndReason::Logout, NOW.plus(1)).await;
        assert!(failed.is_err());
        assert_eq!(read(&*store, &session).await.unwrap().ended, None);
        assert_eq!(store.revoked_since(&ada.domain, 0, Timestamp(0)).await.unwrap(), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_two_places_are_the_same_however_many_answers_are_lost() {
    Table::run_with_faults(|table, proxy| async move {
        let behind: Arc<DynamoDb> = table.store_behind(&proxy).await;
        let stores = [table.patient_store(), behind, table.patient_store()];
        let ada = shop_with(&*stores[0], "ada").await;
        proxy.fail("UpdateItem", 5, Fault::LoseAnswer);
        let allocations: Vec<_> = (0..45)
            .map(|number: usize| {
                let (store, domain) = (Arc::clone(&stores[number % 3]), ada.domain.clone());
                tokio::spawn(async move { store.allocate_status(&domain).await.unwrap() })
            })
            .collect();
        let mut places = BTreeSet::new();
        for allocation in allocations {
            assert!(places.insert(allocation.await.unwrap()));
        }
        assert_eq!(places.len(), 45);
        assert_eq!(stores[0].status_lists(&ada.domain).await.unwrap(), 1);
    })
    .await;
}

/// It is a hint: what it hints at is done.
#[tokio::test]
async fn a_version_that_cannot_be_counted_is_nobodys_failure() {
    Table::run_with_faults(|table, proxy| async move {
        let store = table.store_behind(&proxy).await;
        let ada = shop_with(&*store, "ada").await;
        let session = placed(session(&ada, 1));
        assert!(store.create_session(&session).await.unwrap());
        proxy.fail("UpdateItem", 1, Fault::Refuse(400, "AccessDeniedException"));
        assert!(store.end_session(&session, EndReason::Logout, NOW).await.unwrap());
        assert_eq!(store.status_version(&ada.domain).await.unwrap(), 0);
        assert_eq!(store.revoked_since(&ada.domain, 0, Timestamp(0)).await.unwrap(), [(77, NOW)]);
    })
    .await;
}
