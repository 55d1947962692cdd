//! DynamoDB is throttled, slow or down, for a while or for good.

use std::sync::Arc;
use std::time::{Duration, Instant};

use postern_issuer::{
    Account, EndReason, RefreshHash, Session, Store, StoreError, SystemClock, User,
};
use postern_tests::Fault;

use crate::service::Service;
use crate::shop::{At, NOW, domain, read, renamed, session, shop_with, user};
use crate::table::Table;

/// What one call may take, and a little more for a busy machine.
const LIMIT: Duration = Duration::from_secs(10);
const FOR_GOOD: usize = usize::MAX;
const OPERATIONS: [&str; 7] = [
    "GetItem",
    "BatchGetItem",
    "PutItem",
    "UpdateItem",
    "Query",
    "TransactWriteItems",
    "DeleteItem",
];

#[tokio::test]
async fn what_is_refused_for_a_moment_is_tried_again() {
    Table::run_with_faults(|table, proxy| async move {
        let store = table.store_behind(&proxy).await;
        for (round, fault) in [
            Fault::Refuse(400, "ThrottlingException"),
            Fault::Refuse(400, "ProvisionedThroughputExceededException"),
            Fault::Refuse(500, "InternalServerError"),
            Fault::Refuse(503, "ServiceUnavailable"),
        ]
        .into_iter()
        .enumerate()
        {
            proxy.pass();
            for operation in OPERATIONS {
                proxy.fail(operation, 2, fault.clone());
            }
            use_all(&*store, &format!("shop-{round}")).await;
            for operation in OPERATIONS {
                assert!(proxy.requests(operation) >= 3, "{operation}");
            }
        }
    })
    .await;
}

/// Comes to the same with every operation, with faults or without.
async fn use_all(store: &dyn Store, name: &str) {
    store.create_domain(&domain(name)).await.unwrap();
    let ada = User { domain: name.parse().unwrap(), ..user("ada").await };
    store.create_user(&ada).await.unwrap();
    let session = session(&ada, 1);
    assert!(store.create_session(&session).await.unwrap());
    assert_eq!(read(store, &session).await.as_ref(), Some(&session));
    assert!(store.end_session(&session, EndReason::Logout, NOW).await.unwrap());
    assert_eq!(store.users(&ada.domain).await.unwrap(), std::slice::from_ref(&ada));
    let account = Account::new(ada.domain, "ada");
    store.forget_login_failures(&account).await.unwrap();
}

#[tokio::test]
async fn items_that_a_batch_left_unread_are_asked_for_again() {
    Table::run_with_faults(|table, proxy| async move {
        let store = table.store_behind(&proxy).await;
        let ada = shop_with(&*store, "ada").await;
        let session = session(&ada, 1);
        assert!(store.create_session(&session).await.unwrap());
        proxy.fail("BatchGetItem", 3, Fault::ReadNothing);
        assert_eq!(read(&*store, &session).await.as_ref(), Some(&session));
        proxy.fail("BatchGetItem", FOR_GOOD, Fault::ReadNothing);
        let started = Instant::now();
        let read = store.users(&ada.domain).await;
        assert!(matches!(read, Err(StoreError::Busy(_))), "{read:?}");
        assert!(started.elapsed() < LIMIT);
    })
    .await;
}

/// A conflict with another transaction is no answer to whether there is such a user. `MiniStack` does
/// one thing after the other and never has one, so the proxy answers as DynamoDB does.
#[tokio::test]
async fn a_transaction_that_conflicts_for_good_is_busy_and_nothing_is_written() {
    Table::run_with_faults(|table, proxy| async move {
        let store = table.store_behind(&proxy).await;
        let ada = shop_with(&*store, "ada").await;
        proxy.fail("TransactWriteItems", 3, Fault::Cancel("TransactionConflict"));
        let bob = renamed(&ada, "bob");
        store.create_user(&bob).await.unwrap();
        assert_eq!(proxy.requests("TransactWriteItems"), 2 + 4);
        proxy.fail("TransactWriteItems", FOR_GOOD, Fault::Cancel("TransactionConflict"));
        let started = Instant::now();
        let refused = store.create_user(&renamed(&ada, "eve")).await;
        assert!(matches!(refused, Err(StoreError::Busy(_))), "{refused:?}");
        assert!(started.elapsed() < LIMIT);
        assert_eq!(store.users(&ada.domain).await.unwrap(), [ada, bob]);
    })
    .await;
}

#[tokio::test]
async fn throttled_for_good_is_busy_and_the_routes_answer_503() {
    try_later(Some(Fault::Refuse(400, "ThrottlingException"))).await;
}

#[tokio::test]
async fn too_slow_is_busy_and_the_routes_answer_503() {
    try_later(Some(Fault::Delay(Duration::from_secs(60)))).await;
}

#[tokio::test]
async fn down_is_busy_and_the_routes_answer_503() {
    try_later(None).await;
}

/// Without a fault, nobody listens.
async fn try_later(fault: Option<Fault>) {
    Table::run_with_faults(async move |table, mut proxy| {
        let store = table.store_behind(&proxy).await;
        let service = Service::on(store.clone(), Arc::new(SystemClock));
        service.create_domain("shop").await;
        service.create_user("shop", "ada").await;
        let token = service.login("shop", "ada").await.token();
        let ada = store.user(&"shop".parse().unwrap(), &"ada".parse().unwrap()).await;
        let session = session(&ada.unwrap().unwrap(), 1);
        match fault {
            Some(fault) => proxy.fail("", FOR_GOOD, fault),
            None => proxy.refuse_connections().await,
        }
        refuse_for_now(&service, &session, &token).await;

        proxy.pass();
        if proxy.is_refusing() {
            proxy.accept().await.unwrap();
        }
        // Nothing of what was refused stands in the way.
        service.login("shop", "ada").await.token();
        service.refresh(&token).await.token();
    })
    .await;
}

/// All at once, so that the slowest is all that it takes.
async fn refuse_for_now(service: &Service, session: &Session, token: &str) {
    let store = &service.ports.store;
    let started = Instant::now();
    let (current, next) = (session.current_refresh, RefreshHash([2; 32]));
    let (created, replaced, ready, login, refresh, auth, health) = tokio::join!(
        store.create_session(session),
        store.replace_refresh(session, current, next, Arc::new(At(NOW))),
        store.ready(),
        service.login("shop", "ada"),
        service.refresh(token),
        service.get("/auth", token),
        service.get("/readyz", ""),
    );
    assert!(started.elapsed() < LIMIT, "{:?}", started.elapsed());
    for refused in [created.err(), replaced.err(), ready.err()] {
        assert!(matches!(refused, Some(StoreError::Busy(_))), "{refused:?}");
    }
    for answer in [login, refresh, auth] {
        answer.assert_try_again_later();
    }
    health.assert_refused(503, "Not ready");
}
