//! The users in another system's DynamoDB table, whose items have an `id` and a `doc_type`.

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{
    Migration, Place,
    line::{domain_name, lines, password_hash, user_id, username},
    members::{Fault, Members, shown},
};
use crate::{
    administration::{ImportedUser, UserState},
    clock::Timestamp,
    domain::DomainName,
    secret::SecretText,
    user::{PasswordHash, Username},
};

/// Where a password hash stands if nothing else is said.
const PASSWORD_MEMBERS: [&str; 3] = ["password_hash", "password", "hash"];
/// What stands between domain and user in an `id` that names both.
const ID_SEPARATOR: char = '#';

/// What the members of a user's item are called.
#[derive(Debug, Clone)]
pub struct TableMembers {
    /// The domain; where it is missing, the part of `id` before `#`.
    pub domain: String,
    /// The username; where it is missing, `id`, or its part after the domain and `#`.
    pub username: String,
    /// The password hash: if nothing is said, `password_hash`, `password` or `hash`.
    pub password: Option<String>,
}

/// What `aws dynamodb scan` prints.
#[derive(Deserialize)]
struct Scan<'t> {
    #[serde(borrow, rename = "Items")]
    items: Vec<&'t RawValue>,
    #[serde(borrow, rename = "LastEvaluatedKey")]
    last_evaluated_key: Option<&'t RawValue>,
    #[serde(borrow, rename = "NextToken")]
    next_token: Option<&'t RawValue>,
}

impl Migration {
    /// Reads the items of a table: plain JSON lines, DynamoDB's JSON (`{"id": {"S": "…"}}`), an
    /// export of DynamoDB to S3, or what `aws dynamodb scan` prints. Items that are no users are
    /// left out and counted. `file` is what messages call it.
    pub fn read_table(&mut self, file: &str, text: &str, names: &TableMembers) {
        let Ok(scan) = serde_json::from_str::<Scan<'_>>(text) else {
            for (place, line) in lines(file, text) {
                self.read_item(place, line, names);
            }
            return;
        };
        for (number, item) in (1..).zip(scan.items) {
            let place = Place { file: file.into(), within: Some(("item", number)) };
            self.read_item(place, item.get(), names);
        }
        if scan.last_evaluated_key.is_some() || scan.next_token.is_some() {
            self.leave_out(format!("the rest of the table: the scan in {file} ends before it"));
        }
    }

    fn read_item(&mut self, place: Place, text: &str, names: &TableMembers) {
        let item = Members::parse(text).and_then(|item| {
            let mut item = item.unwrap("Item").plain();
            let kind = item.text("doc_type")?;
            Ok((kind, item))
        });
        let added = match item {
            Ok((Some(kind), item)) if kind.expose() == "user" => {
                self.add_item(place.clone(), item, names)
            }
            Ok((Some(kind), _)) => {
                self.leave_out(format!("items of doc_type `{}`", shown(kind.expose())));
                Ok(())
            }
            Ok((None, _)) => {
                self.leave_out("items without doc_type".to_owned());
                Ok(())
            }
            Err(fault) => Err(fault),
        };
        if let Err(fault) = added {
            self.problems.add(&place, &fault);
        }
    }

    fn add_item(
        &mut self,
        place: Place,
        mut item: Members,
        names: &TableMembers,
    ) -> Result<(), Fault> {
        let user = user(&mut item, names, self.now)?;
        for name in item.rest() {
            self.leave_out(format!("member `{name}` of users"));
        }
        self.add_user(place, user)
    }
}

fn user(item: &mut Members, names: &TableMembers, now: Timestamp) -> Result<ImportedUser, Fault> {
    let (id, domain, username) = identity(item, names)?;
    Ok(ImportedUser {
        id,
        domain,
        username,
        password_hash: hash(item, names)?,
        created_at: None,
        state: match item.take("disabled") {
            None => None,
            Some(Value::Bool(true)) => Some(UserState::DisabledSince(now)),
            Some(Value::Bool(false)) => Some(UserState::Active),
            Some(_) => return Err(Fault::new("`disabled`: it is neither true nor false")),
        },
    })
}

/// Whose item it is: what tokens name the user by, if that is said, the domain and the username.
fn identity(
    item: &mut Members,
    names: &TableMembers,
) -> Result<(Option<String>, DomainName, Username), Fault> {
    let id = item.text("id")?;
    let id = id.as_ref().map(SecretText::expose);
    let in_id = |reason| Fault::new(format!("`id`: {reason}"));
    let domain = match (item.parsed(&names.domain, domain_name)?, id) {
        (Some(domain), _) => domain,
        (None, Some(id)) if id.contains(ID_SEPARATOR) => {
            let before = id.split(ID_SEPARATOR).next().unwrap_or_default();
            domain_name(before).map_err(in_id)?
        }
        (None, _) => item.required(&names.domain, domain_name)?,
    };
    let prefix = format!("{domain}{ID_SEPARATOR}");
    let in_domain = id.map(|id| id.strip_prefix(&prefix).unwrap_or(id));
    let user = match (item.parsed(&names.username, username)?, in_domain) {
        (Some(user), _) => user,
        (None, Some(user)) => username(user).map_err(in_id)?,
        (None, None) => item.required(&names.username, username)?,
    };
    // An `id` that only repeats the names is the item's key and nothing that a token would name.
    let own_id = id.filter(|_| in_domain != Some(user.as_str())).map(user_id).transpose();
    Ok((own_id.map_err(in_id)?, domain, user))
}

fn hash(item: &mut Members, names: &TableMembers) -> Result<PasswordHash, Fault> {
    if let Some(name) = &names.password {
        return item.required(name, password_hash);
    }
    let given: Vec<_> = PASSWORD_MEMBERS.into_iter().filter(|name| item.has(name)).collect();
    match given.as_slice() {
        [] => Err(Fault::new("it has no `password_hash`, `password` or `hash`")),
        [name] => item.required(name, password_hash),
        _ => Err(Fault::new("it has more than one password: choose with --password-member")),
    }
}
