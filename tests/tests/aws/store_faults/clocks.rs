//! Two issuers on one table whose clocks differ by a minute.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use postern_issuer::{Clock, Timestamp};

use crate::service::Service;
use crate::shop::{NOW, SESSION_LIFETIME};
use crate::table::Table;

const SKEW: u64 = 60;

/// One clock, read by two who are so many seconds ahead of it.
#[derive(Clone)]
struct Skewed(Arc<AtomicU64>, u64);

impl Clock for Skewed {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst) + self.1)
    }
}

struct Pair {
    time: Arc<AtomicU64>,
    slow: Service,
    fast: Service,
}

impl Pair {
    async fn on(table: &Table) -> Self {
        let time = Arc::new(AtomicU64::new(NOW.0));
        let clock = |ahead| Arc::new(Skewed(Arc::clone(&time), ahead));
        let slow = Service::on(table.store(), clock(0));
        let fast = slow.beside(table.store(), clock(SKEW));
        slow.create_domain("shop").await;
        slow.create_user("shop", "ada").await;
        Self { time, slow, fast }
    }

    fn wait(&self, seconds: u64) {
        self.time.fetch_add(seconds, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_session_goes_on_at_an_issuer_whose_clock_differs() {
    Table::run(|table| async move {
        let Pair { slow, fast, .. } = &Pair::on(&table).await;
        for [one, other] in [[slow, fast], [fast, slow]] {
            let mut token = one.login("shop", "ada").await.token();
            for issuer in [other, one, other] {
                token = issuer.refresh(&token).await.token();
            }
        }
    })
    .await;
}

/// Racers at both get the same successor; one that comes later than the window, by either clock,
/// is a reuse, which ends the session.
#[tokio::test]
async fn racers_at_both_agree_and_a_late_one_ends_the_session() {
    Table::run(|table| async move {
        let pair = Pair::on(&table).await;
        let Pair { slow, fast, .. } = &pair;
        for [one, other] in [[slow, fast], [fast, slow]] {
            let token = one.login("shop", "ada").await.token();
            let (first, second) = tokio::join!(one.refresh(&token), other.refresh(&token));
            // A loser that saw the old token current before it lost is answered; one that did not
            // look before is, by its own clock, a minute late.
            let answers = [first, second];
            let tokens: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
            assert!(!tokens.is_empty());
            assert!(tokens.iter().all(|answer| answer.token() == tokens[0].token()));
            for answer in answers.iter().filter(|answer| answer.status != 200) {
                answer.assert_refused(401, "Invalid refresh token");
            }

            let token = one.login("shop", "ada").await.token();
            let successor = one.refresh(&token).await.token();
            assert_eq!(one.refresh(&token).await.token(), successor);
            other.refresh(&token).await.assert_refused(401, "Invalid refresh token");
            for issuer in [one, other] {
                issuer.refresh(&successor).await.assert_refused(401, "Invalid session");
            }
        }
    })
    .await;
}

/// Nothing is let in for longer than by the clock that is behind.
#[tokio::test]
async fn a_session_ends_for_each_by_its_own_clock() {
    Table::run(|table| async move {
        let pair = Pair::on(&table).await;
        let Pair { slow, fast, .. } = &pair;
        let token = slow.login("shop", "ada").await.token();
        pair.wait(SESSION_LIFETIME - SKEW);
        fast.refresh(&token).await.assert_refused(401, "Session expired");
        let token = slow.refresh(&token).await.token();
        assert_eq!(slow.get("/auth", &token).await.status, 200);
        pair.wait(SKEW);
        for issuer in [slow, fast] {
            issuer.refresh(&token).await.assert_refused(401, "Session expired");
        }
    })
    .await;
}
