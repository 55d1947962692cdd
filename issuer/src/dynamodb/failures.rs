//! Failed logins, counted for all processes together.

use super::{
    item::{Reader, WriteId, number},
    keys,
    patience::Patience,
    table::Table,
    update::{Update, Written},
};
use crate::{account::Account, clock::Timestamp, failed_logins::LoginFailures, store::StoreError};

/// How long they are kept after their time, in seconds: clocks differ.
const KEPT_SECONDS: u64 = 3600;

pub(super) async fn find(
    table: &Table,
    account: &Account,
) -> Result<Option<LoginFailures>, StoreError> {
    let Some(item) = table.read(keys::failures(account)).await? else {
        return Ok(None);
    };
    let read = Reader::new(&item, "failed logins");
    let count = u32::try_from(read.number("count")?).unwrap_or(u32::MAX);
    Ok(Some(LoginFailures { since: read.moment("since")?, count }))
}

/// Either there are failures that are remembered, and it is one more; or there are none, and it is
/// the first. Between the two tries another process may have turned one into the other.
pub(super) async fn record(
    table: &Table,
    account: &Account,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (write, mut patience) = (WriteId::random(), Patience::new());
    loop {
        for update in [one_more(account, now, &write), the_first(account, now, &write)] {
            match table.update(update).await? {
                Written::Yes => return Ok(()),
                Written::No(stored) if write.stands_in(stored.as_ref(), "counted_by") => {
                    return Ok(());
                }
                Written::No(_) => {}
            }
        }
        if !patience.pause().await {
            return Err(StoreError::Busy("failed logins change all the time".into()));
        }
    }
}

/// Without the last condition, a write whose acknowledgement was lost would count twice.
fn one_more<'u>(account: &Account, now: Timestamp, write: &WriteId) -> Update<'u> {
    let [first, last] = remembered(now);
    Update {
        key: keys::failures(account),
        change: "SET #count = #count + :one, #counted_by = :write",
        condition: "#since BETWEEN :first AND :last AND #counted_by <> :write",
        values: vec![
            (":one", number(1)),
            (":write", write.value()),
            (":first", number(first.0)),
            (":last", number(last.0)),
        ],
    }
}

fn the_first<'u>(account: &Account, now: Timestamp, write: &WriteId) -> Update<'u> {
    let [first, last] = remembered(now);
    let forgotten_at = now.plus(LoginFailures::WINDOW_SECONDS);
    Update {
        key: keys::failures(account),
        change: "SET #count = :one, #since = :now, #counted_by = :write, #ttl = :ttl",
        condition: "attribute_not_exists(#since) OR NOT #since BETWEEN :first AND :last",
        values: vec![
            (":one", number(1)),
            (":now", number(now.0)),
            (":write", write.value()),
            (":ttl", number(forgotten_at.plus(KEPT_SECONDS).0)),
            (":first", number(first.0)),
            (":last", number(last.0)),
        ],
    }
}

/// Since when failures must be for [`LoginFailures::and_one`] to remember them at `now`.
fn remembered(now: Timestamp) -> [Timestamp; 2] {
    let seconds = LoginFailures::WINDOW_SECONDS - 1;
    [Timestamp(now.0.saturating_sub(seconds)), now.plus(seconds)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_what_the_port_remembers() {
        let now = Timestamp(1_000_000);
        let [first, last] = remembered(now);
        for since in (now.0 - 310..=now.0 + 310).map(Timestamp) {
            let counted = LoginFailures::and_one(Some(LoginFailures { since, count: 1 }), now);
            assert_eq!(counted.count == 2, (first..=last).contains(&since), "{since}");
        }
    }
}
