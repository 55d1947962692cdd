//! A write is carried out and nobody hears of it: the SDK tries again, and the answer is that of
//! one write, which is there once.

use std::sync::Arc;
use std::time::Duration;

use postern_issuer::{Account, EndReason, LoginFailures, RefreshHash, Store, StoreError, User};
use postern_tests::{Fault, FaultProxy};

use crate::shop::{At, NOW, domain, read, renamed, session, shop_with};
use crate::table::Table;

fn lose_next(proxy: &FaultProxy, operation: &'static str) {
    proxy.pass();
    proxy.fail(operation, 1, Fault::LoseAnswer);
}

#[tokio::test]
async fn a_domain_and_a_user_are_created_once_and_their_creator_hears_so() {
    Table::run_with_faults(|table, proxy| async move {
        let store = table.store_behind(&proxy).await;
        let ada = shop_with(&*store, "ada").await;
        lose_next(&proxy, "TransactWriteItems");
        store.create_domain(&domain("blog")).await.unwrap();
        assert_eq!(proxy.requests("TransactWriteItems"), 2);
        let names: Vec<_> = store.domains().await.unwrap();
        assert_eq!(
            names.iter().map(|domain| domain.name.as_str()).collect::<Vec<_>>(),
            ["blog", "shop"]
        );

        let bob = renamed(&ada, "bob");
        lose_next(&proxy, "TransactWriteItems");
        store.create_user(&bob).await.unwrap();
        assert_eq!(proxy.requests("TransactWriteItems"), 2);
        // The token of a call is good for ten minutes; here the item itself has to tell.
        proxy.pass();
        proxy.fail("TransactWriteItems", 1, Fault::Cancel("TransactionConflict"));
        let eve = renamed(&ada, "eve");
        let again = User { id: "another".to_owned(), ..eve.clone() };
        store.create_user(&eve).await.unwrap();
        assert!(matches!(store.create_user(&again).await, Err(StoreError::AlreadyExists)));
        assert_eq!(store.users(&ada.domain).await.unwrap(), [ada, bob, eve]);
    })
    .await;
}

/// The answer is lost and the call is over; what comes next is another call, with another token.
#[tokio::test]
async fn a_creation_after_a_cancelled_one_knows_its_own_write() {
    Table::run_with_faults(|table, proxy| async move {
        let store = table.store_behind(&proxy).await;
        let ada = shop_with(&*store, "ada").await;
        proxy.pass();
        proxy.fail("TransactWriteItems", 1, Fault::CarryOutAndCancel("TransactionConflict"));
        let bob = renamed(&ada, "bob");
        store.create_user(&bob).await.unwrap();
        proxy.fail("TransactWriteItems", 1, Fault::CarryOutAndCancel("TransactionConflict"));
        store.create_domain(&domain("blog")).await.unwrap();
        assert_eq!(proxy.requests("TransactWriteItems"), 4);
        assert_eq!(store.users(&ada.domain).await.unwrap(), [ada, bob]);
    })
    .await;
}

#[tokio::test]
async fn a_session_is_created_refreshed_and_ended_once() {
    Table::run_with_faults(|table, proxy| async move {
        let store = table.store_behind(&proxy).await;
        let ada = shop_with(&*store, "ada").await;
        let session = session(&ada, 1);
        lose_next(&proxy, "PutItem");
        assert!(store.create_session(&session).await.unwrap());
        assert_eq!(proxy.requests("PutItem"), 2);
        assert_eq!(read(&*store, &session).await.as_ref(), Some(&session));

        let (first, second) = (session.current_refresh, RefreshHash([2; 32]));
        lose_next(&proxy, "UpdateItem");
        let clock = Arc::new(At(NOW.plus(5)));
        let replaced = store.replace_refresh(&session, first, second, clock.clone()).await;
        assert_eq!((replaced.unwrap(), proxy.requests("UpdateItem")), (Some(NOW.plus(5)), 2));
        let stored = read(&*store, &session).await.unwrap();
        assert_eq!((stored.current_refresh, stored.previous_refresh), (second, Some(first)));
        assert_eq!(stored.refreshed_at, NOW.plus(5));
        let third = RefreshHash([3; 32]);
        let loser = store.replace_refresh(&session, first, third, clock).await;
        assert_eq!(loser.unwrap(), None);

        lose_next(&proxy, "UpdateItem");
        assert!(store.end_session(&session, EndReason::Logout, NOW.plus(7)).await.unwrap());
        // And once more, for the version of the domain's status lists.
        assert_eq!(proxy.requests("UpdateItem"), 2 + 1);
        assert!(!store.end_session(&session, EndReason::Reuse, NOW.plus(8)).await.unwrap());
        let ended = read(&*store, &session).await.unwrap().ended;
        assert_eq!(ended, Some((NOW.plus(7), EndReason::Logout)));
    })
    .await;
}

/// A racer learns of the successor from the table, and its client is quick.
#[tokio::test]
async fn a_refresh_whose_answer_is_lost_stands_when_a_racer_goes_on_from_it() {
    Table::run_with_faults(|table, proxy| async move {
        let (store, racer) = (table.store_behind(&proxy).await, table.store());
        let ada = shop_with(&*racer, "ada").await;
        for end_it in [false, true] {
            let session = session(&ada, u64::from(end_it));
            assert!(racer.create_session(&session).await.unwrap());
            lose_next(&proxy, "UpdateItem");
            proxy.fail("UpdateItem", 1, Fault::Delay(Duration::from_millis(600)));
            let first = session.current_refresh;
            let (second, third) = (RefreshHash([2; 32]), RefreshHash([3; 32]));
            let clock = Arc::new(At(NOW.plus(5)));
            let slow = store.replace_refresh(&session, first, second, clock);
            let quick = async {
                while read(&*racer, &session).await.unwrap().current_refresh != second {}
                let clock = Arc::new(At(NOW.plus(6)));
                let taken = racer.replace_refresh(&session, second, third, clock).await.unwrap();
                assert_eq!(taken, Some(NOW.plus(6)));
                if end_it {
                    let reason = EndReason::Logout;
                    assert!(racer.end_session(&session, reason, NOW.plus(7)).await.unwrap());
                }
            };
            let (replaced, ()) = tokio::join!(slow, quick);
            assert_eq!((replaced.unwrap(), proxy.requests("UpdateItem")), (Some(NOW.plus(5)), 2));
            assert_eq!(read(&*racer, &session).await.unwrap().current_refresh, third);
        }
    })
    .await;
}

#[tokio::test]
async fn a_password_hash_is_replaced_and_a_failed_login_counted_once() {
    Table::run_with_faults(|table, proxy| async move {
        let store = table.store_behind(&proxy).await;
        let ada = shop_with(&*store, "ada").await;
        let other = crate::shop::user("other").await.password_hash;
        lose_next(&proxy, "UpdateItem");
        assert!(store.replace_password_hash(&ada, &other).await.unwrap());
        assert_eq!(proxy.requests("UpdateItem"), 2);
        assert!(!store.replace_password_hash(&ada, &other).await.unwrap());

        let account = Account::new(ada.domain.clone(), "ada");
        for count in 1..4 {
            // The first has no failures to add to, and takes another request for that.
            let requests = if count == 1 { 3 } else { 2 };
            proxy.pass();
            if count == 1 {
                proxy.fail("UpdateItem", 1, Fault::Delay(Duration::ZERO));
            }
            proxy.fail("UpdateItem", 1, Fault::LoseAnswer);
            store.record_login_failure(&account, NOW).await.unwrap();
            assert_eq!(proxy.requests("UpdateItem"), requests);
            let counted = store.login_failures(&account).await.unwrap();
            assert_eq!(counted, Some(LoginFailures { since: NOW, count }));
        }
    })
    .await;
}

#[tokio::test]
async fn a_user_is_disabled_and_a_generation_required_once() {
    Table::run_with_faults(|table, proxy| async move {
        let store = table.store_behind(&proxy).await;
        let ada = shop_with(&*store, "ada").await;
        let session = session(&ada, 1);
        assert!(store.create_session(&session).await.unwrap());
        lose_next(&proxy, "UpdateItem");
        assert!(store.disable_user(&ada.domain, &ada.username, NOW.plus(1)).await.unwrap());
        let ended = read(&*store, &session).await.unwrap().ended;
        assert_eq!(ended, Some((NOW.plus(1), EndReason::Disabled)));
        lose_next(&proxy, "UpdateItem");
        store.require_generation(&ada.domain, 5).await.unwrap();
        assert_eq!(store.domain(&ada.domain).await.unwrap().unwrap().least_generation, 5);
    })
    .await;
}
