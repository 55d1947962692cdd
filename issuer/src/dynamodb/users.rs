//! Users.

use super::{
    domains,
    item::{Item, Reader, WriteId, number, text, with},
    keys,
    table::Table,
    update::{Update, Written},
};
use crate::{
    clock::Timestamp,
    domain::DomainName,
    store::StoreError,
    user::{PasswordHash, User, Username},
};

const KIND: &str = "user";

pub(super) async fn insert(table: &Table, user: &User) -> Result<(), StoreError> {
    // Domains are never deleted, so one that is there now will be there then.
    if domains::find(table, &user.domain).await?.is_none() {
        return Err(domains::no_such_domain());
    }
    let write = WriteId::random();
    let item = with(encode(user), [("created_by", write.value())]);
    let entry = keys::user_entry(&user.domain, &user.username).item();
    // Tokens name users by their ids: nobody may get another one's.
    let names =
        [("domain", text(user.domain.as_str())), ("username", text(user.username.as_str()))];
    let id = with(keys::user_id(&user.id).item(), names);
    match table.add_with_entry([item, id], entry).await? {
        Written::No(stored) if !write.stands_in(stored.as_ref(), "created_by") => {
            Err(StoreError::AlreadyExists)
        }
        _ => Ok(()),
    }
}

pub(super) async fn find(
    table: &Table,
    domain: &DomainName,
    username: &Username,
) -> Result<Option<User>, StoreError> {
    table.read(keys::user(domain, username)).await?.as_ref().map(decode).transpose()
}

pub(super) async fn all(table: &Table, domain: &DomainName) -> Result<Vec<User>, StoreError> {
    let names = table.list(keys::user_entries(domain), None).await?;
    let name = |name: String| name.parse().map_err(|_| StoreError::Damaged("username"));
    let names: Vec<Username> = names.into_iter().map(name).collect::<Result<_, _>>()?;
    let keys: Vec<_> = names.iter().map(|name| keys::user(domain, name)).collect();
    let items = table.read_all(&keys).await?;
    let mut users: Vec<_> = items.iter().map(decode).collect::<Result<_, _>>()?;
    users.sort_unstable_by(|one: &User, other| one.username.cmp(&other.username));
    if users.len() == names.len() { Ok(users) } else { Err(StoreError::Damaged("list")) }
}

/// Disables a user, whose sessions from here on read as ended. Answers with the user's id
/// and since when they are.
pub(super) async fn disable(
    table: &Table,
    domain: &DomainName,
    username: &Username,
    now: Timestamp,
) -> Result<Option<(String, Timestamp)>, StoreError> {
    let Some(user) = find(table, domain, username).await? else {
        return Ok(None);
    };
    let update = Update {
        key: keys::user(domain, username),
        change: "SET #disabled_at = :now",
        condition: "attribute_exists(#pk) AND attribute_not_exists(#disabled_at)",
        values: vec![(":now", number(now.0))],
    };
    match table.update(update).await? {
        Written::Yes => Ok(Some((user.id, now))),
        Written::No(None) => Ok(None),
        Written::No(Some(stored)) => {
            let User { id, disabled_at, .. } = decode(&stored)?;
            Ok(disabled_at.map(|moment| (id, moment)))
        }
    }
}

pub(super) async fn replace_password_hash(
    table: &Table,
    user: &User,
    next: &PasswordHash,
) -> Result<bool, StoreError> {
    let write = WriteId::random();
    let update = Update {
        key: keys::user(&user.domain, &user.username),
        change: "SET #password_hash = :next, #hashed_by = :write",
        condition: "#id = :id AND #password_hash = :current",
        values: vec![
            (":id", text(&user.id)),
            (":current", text(&user.password_hash.0)),
            (":next", text(&next.0)),
            (":write", write.value()),
        ],
    };
    match table.update(update).await? {
        Written::Yes => Ok(true),
        Written::No(stored) => Ok(write.stands_in(stored.as_ref(), "hashed_by")),
    }
}

fn encode(user: &User) -> Item {
    let item = with(
        keys::user(&user.domain, &user.username).item(),
        [
            ("id", text(&user.id)),
            ("domain", text(user.domain.as_str())),
            ("username", text(user.username.as_str())),
            ("password_hash", text(&user.password_hash.0)),
            ("created_at", number(user.created_at.0)),
        ],
    );
    match user.disabled_at {
        Some(moment) => with(item, [("disabled_at", number(moment.0))]),
        None => item,
    }
}

pub(super) fn decode(item: &Item) -> Result<User, StoreError> {
    let read = Reader::new(item, KIND);
    Ok(User {
        id: read.text("id")?.to_owned(),
        domain: read.domain_name("domain")?,
        username: read.username("username")?,
        password_hash: PasswordHash(read.text("password_hash")?.to_owned()),
        created_at: read.moment("created_at")?,
        disabled_at: read.optional_moment("disabled_at")?,
    })
}
