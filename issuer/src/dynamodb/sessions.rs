//! Sessions.
//!
//! A session is alive only as long as its user's item says so too: [`find`] reads both, so that the
//! one write that disables a user ends all of their sessions.
//!
//! [`create`] needs no transaction. It adds the session, and looks at its user after that. Reads
//! are consistent, so one of two things is so: the look comes before the user is disabled, and then
//! the session is there when the sessions of the disabled user are gone through; or it comes after,
//! and then it sees that, and the session is taken back. Nobody holds a token of a session that is
//! not created yet: one that is left behind half way speaks for nobody.

use tokio::task::JoinSet;

use super::{
    item::{Item, Reader, WriteId, binary, number, text, with},
    keys::{self, Key},
    list::{Wanted, is_of},
    status::{latest_of, not_before_keys, revocation},
    table::Table,
    update::{Update, Written},
    users,
};
use crate::{
    clock::Timestamp,
    domain::DomainName,
    secret::SecretBytes,
    session::{EndReason, RefreshHash, Session},
    status_list::StatusPlace,
    store::StoreError,
    user::{User, Username},
};

const KIND: &str = "session";

/// How long a session is kept after its time, in seconds: someone may ask what became of it.
const KEPT_SECONDS: u64 = 30 * 24 * 60 * 60;
/// How many sessions of a disabled user are ended at once.
const ENDED_AT_ONCE: usize = 16;

pub(super) async fn create(table: &Table, session: &Session) -> Result<bool, StoreError> {
    let write = WriteId::random();
    let item = with(encode(session), [("refreshed_by", write.value())]);
    if let Written::No(stored) = table.add(item).await?
        && !write.stands_in(stored.as_ref(), "refreshed_by")
    {
        return Err(StoreError::AlreadyExists);
    }
    let user = users::find(table, &session.domain, &session.username).await?;
    if user.is_some_and(|user| user.id == session.user_id && user.disabled_at.is_none()) {
        return Ok(true);
    }
    table.delete(keys::session(&session.domain, &session.username, &session.id)).await?;
    Ok(false)
}

pub(super) async fn find(
    table: &Table,
    domain: &DomainName,
    username: &Username,
    id: &str,
) -> Result<Option<Session>, StoreError> {
    let keys = [keys::session(domain, username, id), keys::user(domain, username)];
    found(&table.read_all(&keys).await?, &keys)
}

/// In one read, and so at the cost of one wait.
pub(super) async fn find_with_not_before(
    table: &Table,
    domain: &DomainName,
    username: &Username,
    id: &str,
    subject: &str,
) -> Result<(Option<Session>, Timestamp), StoreError> {
    let own = [keys::session(domain, username, id), keys::user(domain, username)];
    let times = not_before_keys(domain, subject);
    let items = table.read_all(&[own.as_slice(), &times].concat()).await?;
    Ok((found(&items, &own)?, latest_of(&items, &times)?))
}

fn found(items: &[Item], keys: &[Key; 2]) -> Result<Option<Session>, StoreError> {
    let [session, user] = keys.each_ref().map(|key| items.iter().find(|item| is_of(item, key)));
    let (Some(session), Some(user)) = (session, user) else {
        return Ok(None);
    };
    let (session, user) = (decode(session)?, users::decode(user)?);
    // Of a namesake: the user that it was of is no more.
    Ok((session.user_id == user.id).then(|| as_user_stands(session, &user)))
}

/// The session as it is when it is known how its user stands.
fn as_user_stands(session: Session, user: &User) -> Session {
    let Some(disabled_at) = user.disabled_at else {
        return session;
    };
    // However late that is: the clock that it is told by may be ahead of the session's end, and the
    // one that the session is used by may not be.
    if session.ended.is_some_and(|(moment, _)| moment <= disabled_at) {
        return session;
    }
    Session { ended: Some((disabled_at, EndReason::Disabled)), ..session }
}

/// Whoever puts `next` in its place leaves an id, and the one before stays beside it: a racer may
/// learn of `next` and use it while this write still waits for its acknowledgement.
pub(super) async fn replace_refresh(
    table: &Table,
    session: &Session,
    current: RefreshHash,
    next: RefreshHash,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let write = WriteId::random();
    let update = Update {
        key: keys::session(&session.domain, &session.username, &session.id),
        change: "SET #previous_refresh = #current_refresh, #current_refresh = :next, \
                 #refreshed_at = :now, #refreshed_before_by = #refreshed_by, \
                 #refreshed_by = :write",
        condition: "#current_refresh = :current AND attribute_not_exists(#ended_at) \
                    AND #expires_at > :now",
        values: vec![
            (":current", binary(&current.0)),
            (":next", binary(&next.0)),
            (":now", number(now.0)),
            (":write", write.value()),
        ],
    };
    match table.update(update).await? {
        Written::Yes => Ok(true),
        Written::No(stored) => Ok(["refreshed_by", "refreshed_before_by"]
            .into_iter()
            .any(|attribute| write.stands_in(stored.as_ref(), attribute))),
    }
}

pub(super) async fn end(
    table: &Table,
    session: &Session,
    reason: EndReason,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let write = WriteId::random();
    let update = Update {
        key: keys::session(&session.domain, &session.username, &session.id),
        change: "SET #ended_at = :now, #end_reason = :reason, #ended_by = :write",
        condition: "attribute_not_exists(#ended_at) AND #expires_at > :now",
        values: vec![
            (":now", number(now.0)),
            (":reason", text(reason.as_str())),
            (":write", write.value()),
        ],
    };
    let written = match session.status {
        Some(place) => table.update_with(update, revocation(session, place, now)).await?,
        None => table.update(update).await?,
    };
    match written {
        Written::Yes => Ok(true),
        Written::No(stored) => Ok(write.stands_in(stored.as_ref(), "ended_by")),
    }
}

/// Ends the sessions that a disabled user has left.
pub(super) async fn end_all_of_user(
    table: &Table,
    domain: &DomainName,
    username: &Username,
    disabled_at: Timestamp,
) -> Result<(), StoreError> {
    let alive = Wanted {
        condition: "attribute_not_exists(#ended_at) AND #expires_at > :now",
        values: vec![(":now", number(disabled_at.0))],
    };
    let ids = table.list(keys::sessions(domain, username), Some(alive)).await?;
    for ids in ids.chunks(ENDED_AT_ONCE) {
        let mut ends = JoinSet::new();
        for id in ids {
            let key = keys::session(domain, username, id);
            let table = table.clone();
            ends.spawn(async move { table.update(disabled(key, disabled_at)).await });
        }
        while let Some(ended) = ends.join_next().await {
            ended.map_err(StoreError::unavailable)??;
        }
    }
    Ok(())
}

fn disabled(key: Key, at: Timestamp) -> Update<'static> {
    Update {
        key,
        change: "SET #ended_at = :now, #end_reason = :reason",
        condition: "attribute_not_exists(#ended_at) AND #expires_at > :now",
        values: vec![(":now", number(at.0)), (":reason", text(EndReason::Disabled.as_str()))],
    }
}

fn encode(session: &Session) -> Item {
    let mut item = with(
        keys::session(&session.domain, &session.username, &session.id).item(),
        [
            ("id", text(&session.id)),
            ("domain", text(session.domain.as_str())),
            ("user_id", text(&session.user_id)),
            ("username", text(session.username.as_str())),
            ("created_at", number(session.created_at.0)),
            ("expires_at", number(session.expires_at.0)),
            ("current_refresh", binary(&session.current_refresh.0)),
            ("refreshed_at", number(session.refreshed_at.0)),
            ("successor_key", binary(session.successor_key.expose())),
            ("ttl", number(session.expires_at.plus(KEPT_SECONDS).0)),
        ],
    );
    if let Some(previous) = session.previous_refresh {
        item = with(item, [("previous_refresh", binary(&previous.0))]);
    }
    if let Some(StatusPlace { list, index }) = session.status {
        let place = [("status_list", number(list.into())), ("status_index", number(index.into()))];
        item = with(item, place);
    }
    if let Some((moment, reason)) = session.ended {
        let ended = [("ended_at", number(moment.0)), ("end_reason", text(reason.as_str()))];
        item = with(item, ended);
    }
    item
}

fn decode(item: &Item) -> Result<Session, StoreError> {
    let read = Reader::new(item, KIND);
    Ok(Session {
        id: read.text("id")?.to_owned(),
        domain: read.domain_name("domain")?,
        user_id: read.text("user_id")?.to_owned(),
        username: read.username("username")?,
        created_at: read.moment("created_at")?,
        expires_at: read.moment("expires_at")?,
        ended: ended(read)?,
        current_refresh: read.hash("current_refresh")?,
        previous_refresh: read.optional_hash("previous_refresh")?,
        refreshed_at: read.moment("refreshed_at")?,
        successor_key: SecretBytes::new(read.binary("successor_key")?.to_owned()),
        status: place(read)?,
    })
}

fn place(read: Reader<'_>) -> Result<Option<StatusPlace>, StoreError> {
    let number = |name| {
        let number = read.optional_number(name)?.map(u32::try_from).transpose();
        number.map_err(|_| read.damaged())
    };
    let (list, index) = (number("status_list")?, number("status_index")?);
    Ok(Option::zip(list, index).map(|(list, index)| StatusPlace { list, index }))
}

fn ended(read: Reader<'_>) -> Result<Option<(Timestamp, EndReason)>, StoreError> {
    let name = read.optional_text("end_reason")?;
    let Some(moment) = read.optional_moment("ended_at")? else {
        return Ok(None);
    };
    let reason = EndReason::ALL.into_iter().find(|reason| Some(reason.as_str()) == name);
    Ok(Some((moment, reason.ok_or_else(|| read.damaged())?)))
}
