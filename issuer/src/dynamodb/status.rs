//! Places in status lists, what was revoked in them, and from when on tokens count.
//!
//! What lists name of the users is written twice: by its time, which is how those who publish look
//! for what is new, and by its user, which is how the issuer looks at one session.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};

use super::{
    item::{Item, Reader, binary, number, text, with},
    keys::{self, Key, Range, SORT},
    list::is_of,
    table::Table,
    update::{Update, Written, names_in},
};
use crate::{
    clock::Timestamp,
    domain::DomainName,
    session::Session,
    status_list::{NotBefore, PlaceKey, StatusPlace},
    store::StoreError,
};

const COUNTER: &str = "status counter";
const REVOCATION: &str = "revocation";
const NOT_BEFORE: &str = "not-before time";

/// How long a revocation is kept after the session's time, in seconds; all of its tokens are over.
const KEPT_SECONDS: u64 = 24 * 60 * 60;
/// How long it matters to lists that a user's tokens were cut off, in seconds: longer than any token
/// may live.
const LISTED_SECONDS: u64 = 2 * 24 * 60 * 60;
/// How long it matters to the issuer: longer than any session may live.
const CUT_OFF_SECONDS: u64 = 401 * 24 * 60 * 60;

/// One write, so that no two get the same place. Should the SDK send it twice, a place is left out.
pub(super) async fn allocate(
    table: &Table,
    domain: &DomainName,
) -> Result<StatusPlace, StoreError> {
    let change = "SET #place_key = if_not_exists(#place_key, :fresh) ADD #allocated :one";
    let fresh = binary(PlaceKey::random().expose());
    let counter = count(table, keys::status_counter(domain), change, Some(fresh)).await?;
    let read = Reader::new(&counter, COUNTER);
    let count = read.number("allocated")?.checked_sub(1).ok_or_else(|| read.damaged())?;
    PlaceKey::stored(read.binary("place_key")?.to_owned())?.place(count)
}

pub(super) async fn lists(table: &Table, domain: &DomainName) -> Result<u32, StoreError> {
    let Some(counter) = table.read(keys::status_counter(domain)).await? else {
        return Ok(0);
    };
    StatusPlace::lists_begun(Reader::new(&counter, COUNTER).number("allocated")?)
}

/// What revokes the place of a session, at the same time as the session ends.
pub(super) fn revocation(session: &Session, place: StatusPlace, at: Timestamp) -> Item {
    let key = keys::revocation(&session.domain, place, at);
    with(key.item(), [("ttl", number(session.expires_at.plus(KEPT_SECONDS).0))])
}

pub(super) async fn revoked_since(
    table: &Table,
    domain: &DomainName,
    list: u32,
    since: Timestamp,
) -> Result<Vec<(u32, Timestamp)>, StoreError> {
    let items = table.range(keys::revocations(domain, list, since), "#sk").await?;
    let place = |item| {
        let read = Reader::new(item, REVOCATION);
        keys::revoked(read.text(SORT)?).ok_or_else(|| read.damaged())
    };
    items.iter().map(place).collect()
}

/// All of these writes can be repeated, and none is answered for before the others are done. The
/// first one makes refreshes fail that are under way: whatever they have written is seen after it.
pub(super) async fn raise_not_before(
    table: &Table,
    domain: &DomainName,
    subject: Option<&str>,
    at: Timestamp,
) -> Result<(), StoreError> {
    let Some(subject) = subject else {
        return raise(table, keys::not_before_all(domain), at, None).await;
    };
    cut_off(table, domain, subject, at).await?;
    let latest = latest_token(table, subject).await?;
    if latest >= at {
        cut_off(table, domain, subject, latest.plus(1)).await?;
    }
    let at = at.max(latest.plus(1));
    let listed = keys::not_before_listed(domain, subject, at).item();
    let values = [
        ("at", number(at.0)),
        ("subject", text(subject)),
        ("ttl", number(at.plus(LISTED_SECONDS).0)),
    ];
    table.put(with(listed, values)).await
}

async fn cut_off(
    table: &Table,
    domain: &DomainName,
    subject: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    let ttl = at.plus(CUT_OFF_SECONDS);
    raise(table, keys::not_before_subject(domain, subject), at, Some(ttl)).await
}

async fn raise(
    table: &Table,
    key: Key,
    at: Timestamp,
    ttl: Option<Timestamp>,
) -> Result<(), StoreError> {
    let mut values = vec![(":at", number(at.0))];
    values.extend(ttl.map(|ttl| (":ttl", number(ttl.0))));
    let update = Update {
        key,
        change: if ttl.is_some() { "SET #at = :at, #ttl = :ttl" } else { "SET #at = :at" },
        condition: "attribute_not_exists(#at) OR #at < :at",
        values,
    };
    match table.update(update).await? {
        // It is as high already, perhaps by this very write.
        Written::Yes | Written::No(_) => Ok(()),
    }
}

/// The latest `iat` that a session of the user has brought forth.
async fn latest_token(table: &Table, subject: &str) -> Result<Timestamp, StoreError> {
    let Some(user) = table.read(keys::user_id(subject)).await? else {
        return Ok(Timestamp::default());
    };
    let read = Reader::new(&user, "user");
    let sessions =
        Range::of(keys::sessions(&read.domain_name("domain")?, &read.username("username")?));
    let mut latest = Timestamp::default();
    for session in table.range(sessions, "#refreshed_at, #created_at").await? {
        let read = Reader::new(&session, "session");
        latest = latest.max(read.moment("refreshed_at")?).max(read.moment("created_at")?);
    }
    Ok(latest)
}

pub(super) async fn not_before(
    table: &Table,
    domain: &DomainName,
    since: Timestamp,
) -> Result<NotBefore, StoreError> {
    let range = keys::not_before_since(domain, since);
    let mut not_before = NotBefore::default();
    for item in table.range(range, "#at, #subject").await? {
        let read = Reader::new(&item, NOT_BEFORE);
        let at = read.moment("at")?;
        match read.optional_text("subject")? {
            // In order of time: the latest of a user comes last.
            Some(subject) => drop(not_before.subjects.insert(subject.to_owned(), at)),
            None => not_before.all = Some(at),
        }
    }
    Ok(not_before)
}

pub(super) async fn not_before_of(
    table: &Table,
    domain: &DomainName,
    subject: &str,
) -> Result<Timestamp, StoreError> {
    let keys = not_before_keys(domain, subject);
    latest_of(&table.read_all(&keys).await?, &keys)
}

/// What [`latest_of`] looks for.
pub(super) fn not_before_keys(domain: &DomainName, subject: &str) -> [Key; 2] {
    [keys::not_before_all(domain), keys::not_before_subject(domain, subject)]
}

pub(super) fn latest_of(items: &[Item], keys: &[Key; 2]) -> Result<Timestamp, StoreError> {
    let mut latest = Timestamp::default();
    for item in items.iter().filter(|item| keys.iter().any(|key| is_of(item, key))) {
        latest = latest.max(Reader::new(item, NOT_BEFORE).moment("at")?);
    }
    Ok(latest)
}

/// Whoever waits for changes sees that there was one. What matters is done by now, so that a failure
/// here is none of it.
pub(super) async fn count_change(table: &Table, domain: &DomainName) {
    let counted = count(table, keys::status_version(domain), "ADD #version :one", None).await;
    if let Err(error) = counted {
        tracing::warn!(%error, "a revocation was not counted: edges learn of it when they ask");
    }
}

pub(super) async fn version(table: &Table, domain: &DomainName) -> Result<u64, StoreError> {
    match table.read(keys::status_version(domain)).await? {
        Some(item) => Reader::new(&item, COUNTER).number("version"),
        None => Ok(0),
    }
}

/// Adds one to what `change` adds to; answers with the item as it is then.
async fn count(
    table: &Table,
    key: Key,
    change: &str,
    fresh: Option<AttributeValue>,
) -> Result<Item, StoreError> {
    let update = table.client.update_item().table_name(&table.name).set_key(Some(key.item()));
    let update = update
        .update_expression(change)
        .set_expression_attribute_names(Some(names_in(&[change])))
        .expression_attribute_values(":one", number(1))
        .return_values(ReturnValue::AllNew);
    let update = match fresh {
        Some(fresh) => update.expression_attribute_values(":fresh", fresh),
        None => update,
    };
    update.send().await?.attributes.ok_or(StoreError::Damaged(COUNTER))
}
