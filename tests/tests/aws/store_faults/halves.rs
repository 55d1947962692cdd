//! A process that dies while it writes leaves nothing half written.
//!
//! Between DynamoDB and a client that dies there is one request, which holds a whole transaction: it
//! arrives or it does not. That a request is carried out as a whole is DynamoDB's own promise.

use std::time::Duration;

use postern_issuer::Store;
use postern_tests::Fault;

use crate::shop::{domain, renamed, shop_with};
use crate::table::Table;

const WRITES: u64 = 60;

#[tokio::test]
async fn a_creation_that_is_dropped_is_there_with_its_entry_or_not_at_all() {
    Table::run_with_faults(|table, proxy| async move {
        let store = table.store_behind(&proxy).await;
        let ada = shop_with(&*store, "ada").await;
        let mut written = 0;
        for number in 0..WRITES {
            let name = format!("u{number}");
            let (user, domain) = (renamed(&ada, &name), domain(&name));
            let writing = store.clone();
            let write = tokio::spawn(async move {
                let _ = tokio::join!(writing.create_user(&user), writing.create_domain(&domain));
            });
            // From before the first request to after the last one.
            tokio::time::sleep(Duration::from_micros(number * 250)).await;
            write.abort();
            let _ = write.await;
        }
        // Until what is under way has arrived.
        tokio::time::sleep(Duration::from_millis(300)).await;
        for name in (0..WRITES).map(|number| format!("u{number}")) {
            let user = table.item([&format!("user#shop#{name}"), "user"]).await;
            let entry = table.item(["domain#shop", &format!("user#{name}")]).await;
            assert_eq!(user.is_some(), entry.is_some(), "{name}");
            let domain = table.item([&format!("domain#{name}"), "domain"]).await;
            let listed = table.item(["domains", &name]).await;
            assert_eq!(domain.is_some(), listed.is_some(), "{name}");
            written += usize::from(user.is_some()) + usize::from(domain.is_some());
        }
        assert!((1..2 * 60).contains(&written), "{written}: all or none were dropped in time");
        assert!(!store.users(&ada.domain).await.unwrap().is_empty());
        store.domains().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_request_that_is_cut_short_writes_nothing() {
    Table::run_with_faults(|table, proxy| async move {
        let store = table.store_behind(&proxy).await;
        let ada = shop_with(&*store, "ada").await;
        proxy.fail("TransactWriteItems", usize::MAX, Fault::CutShort);
        assert!(store.create_user(&renamed(&ada, "bob")).await.is_err());
        assert!(store.create_domain(&domain("blog")).await.is_err());
        for key in [
            ["user#shop#bob", "user"],
            ["domain#shop", "user#bob"],
            ["domain#blog", "domain"],
            ["domains", "blog"],
        ] {
            assert_eq!(table.item(key).await, None, "{key:?}");
        }
        proxy.pass();
        store.create_user(&renamed(&ada, "bob")).await.unwrap();
        store.create_domain(&domain("blog")).await.unwrap();
    })
    .await;
}
