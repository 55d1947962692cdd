//! A thousand at once: nothing that was acknowledged is lost, and of a race's answers all agree.
//!
//! On a busy machine the emulator may be too slow for some. They are told to come back, and do, as
//! clients are to. The issuers' clock stands still, so that a late racer is a racer.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use postern_issuer::{Account, Clock, Store, StoreError, SystemClock, Timestamp};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::service::{Answer, Service};
use crate::shop::{At, session, shop_with};
use crate::table::Table;

const SESSIONS: u64 = 1000;
const DOMAINS: usize = 4;
/// More of one domain would wait for their passwords' check in vain.
const LOGINS_OF_DOMAIN: usize = 16;
const RACERS: usize = 10;
const FAILURES: u32 = 200;
const TRIES: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_concurrent_sessions_none_is_lost() {
    Table::run(|table| async move {
        let store = table.patient_store();
        let ada = shop_with(&*store, "ada").await;
        let mut creations = JoinSet::new();
        for number in 0..SESSIONS {
            let (store, ada) = (store.clone(), ada.clone());
            creations.spawn(async move {
                for number in (number..).step_by(1000).take(TRIES) {
                    let session = session(&ada, number);
                    match store.create_session(&session).await {
                        Err(StoreError::Busy(_)) => {}
                        created => {
                            assert!(created.unwrap());
                            return session;
                        }
                    }
                }
                panic!("busy for good")
            });
        }
        let mut reads = JoinSet::new();
        for session in creations.join_all().await {
            let store = store.clone();
            reads.spawn(async move {
                for _ in 0..TRIES {
                    let stored = store.session(&session.domain, &session.username, &session.id);
                    match stored.await {
                        Err(StoreError::Busy(_)) => {}
                        stored => {
                            assert_eq!(stored.unwrap(), Some(session));
                            return;
                        }
                    }
                }
                panic!("busy for good")
            });
        }
        assert_eq!(reads.join_all().await.len(), 1000);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_and_a_thousand_racing_refreshes_give_each_session_one_successor() {
    Table::run(|table| async move {
        let service = Service::on(table.patient_store(), Arc::new(At(SystemClock.now())));
        let domains: Vec<_> = (0..DOMAINS).map(|number| format!("shop-{number}")).collect();
        for domain in &domains {
            service.create_domain(domain).await;
            for user in ["ada", "bob"] {
                service.create_user(domain, user).await;
            }
        }
        let mut tokens = log_in(&service, &domains, LOGINS_OF_DOMAIN).await;
        assert_eq!(tokens.len(), 64);
        tokens.extend(log_in(&service, &domains, 9).await);
        assert_eq!(tokens.len(), 100);
        assert_eq!(tokens.iter().collect::<HashSet<_>>().len(), 100);

        let mut refreshes = JoinSet::new();
        for token in tokens.iter().flat_map(|token| std::iter::repeat_n(token, RACERS)) {
            let (service, token) = (service.clone(), token.clone());
            refreshes.spawn(async move { (refresh(&service, &token).await, token) });
        }
        let answers = refreshes.join_all().await;
        assert_eq!(answers.len(), 1000);
        // All racers agree, and no two sessions do.
        let distinct: HashSet<_> = answers.iter().collect();
        let successors: HashSet<_> = answers.iter().map(|(successor, _)| successor).collect();
        assert_eq!((distinct.len(), successors.len()), (100, 100));

        let mut checks = JoinSet::new();
        for successor in successors {
            let (service, successor) = (service.clone(), successor.clone());
            checks.spawn(async move {
                let auth = answered(|| service.get("/auth", &successor)).await;
                assert_eq!(auth.status, 200);
                refresh(&service, &successor).await
            });
        }
        assert_eq!(checks.join_all().await.iter().collect::<HashSet<_>>().len(), 100);
    })
    .await;
}

/// So many users of every domain at once, half of them each.
async fn log_in(service: &Service, domains: &[String], of_each: usize) -> Vec<String> {
    let mut logins = JoinSet::new();
    for (domain, number) in domains.iter().flat_map(|domain| (0..of_each).map(move |n| (domain, n)))
    {
        let (service, domain) = (service.clone(), domain.clone());
        let user = if number % 2 == 0 { "ada" } else { "bob" };
        logins.spawn(async move { answered(|| service.login(&domain, user)).await.token() });
    }
    logins.join_all().await
}

async fn refresh(service: &Service, token: &str) -> String {
    answered(|| service.refresh(token)).await.token()
}

/// Asks again for as long as it is told to.
async fn answered<F: Future<Output = Answer>>(ask: impl Fn() -> F) -> Answer {
    for _ in 1..TRIES {
        let answer = ask().await;
        if answer.status != 503 {
            return answer;
        }
        assert_eq!(answer.headers.get("retry-after").unwrap(), "1");
        sleep(Duration::from_secs(1)).await;
    }
    ask().await
}

/// However many fail at once, each failure counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_concurrent_failed_logins_each_counts() {
    Table::run(|table| async move {
        let account = Account::new("shop".parse().unwrap(), "ada");
        let stores = [table.patient_store(), table.patient_store(), table.patient_store()];
        let mut failures = JoinSet::new();
        for (number, store) in (0..FAILURES).zip(stores.iter().cycle()) {
            let (store, account) = (store.clone(), account.clone());
            let now = Timestamp(1_000_000 + u64::from(number % 3));
            failures.spawn(async move { store.record_login_failure(&account, now).await });
        }
        let outcomes = failures.join_all().await;
        assert!(
            outcomes.iter().all(|outcome| matches!(outcome, Ok(()) | Err(StoreError::Busy(_))))
        );
        let acknowledged = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let counted = stores[0].login_failures(&account).await.unwrap().unwrap();
        let counted = counted.count.try_into().unwrap();
        assert!((acknowledged..=outcomes.len()).contains(&counted), "{counted}, {acknowledged}");
    })
    .await;
}
