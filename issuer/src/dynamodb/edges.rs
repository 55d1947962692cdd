//! Edges and their contacts.
//!
//! An edge is enrolled as long as the item of its name names it, and it says itself that it was not
//! removed. So an enrolment that comes no further than the edge's own item has enrolled nobody, and
//! nobody has its keys; and a removal cuts the edge off with its first write.

use std::collections::HashSet;

use super::{
    item::{Item, Reader, number, text, with},
    keys,
    table::Table,
    update::{Update, Written},
};
use crate::{
    clock::Timestamp,
    domain::DomainName,
    edge::{Contact, Edge, EdgeId, EdgeKey, EdgeName},
    store::StoreError,
};

const KIND: &str = "edge";

pub(super) async fn insert(table: &Table, edge: &Edge) -> Result<(), StoreError> {
    // A second try finds what the first one wrote.
    if let Written::No(_) = table.add(encode(edge)?).await?
        && find(table, &edge.id).await?.as_ref() != Some(edge)
    {
        return Err(StoreError::AlreadyExists);
    }
    let take = Update {
        key: keys::edge_name(&edge.name),
        change: "SET #edge = :edge",
        condition: "attribute_not_exists(#edge) OR #edge = :edge",
        values: vec![(":edge", text(edge.id.as_str()))],
    };
    match table.update(take).await? {
        Written::Yes => Ok(()),
        Written::No(_) => {
            table.delete(keys::edge(&edge.id)).await?;
            Err(StoreError::AlreadyExists)
        }
    }
}

pub(super) async fn find(table: &Table, id: &EdgeId) -> Result<Option<Edge>, StoreError> {
    table.read(keys::edge(id)).await?.as_ref().map(decode).transpose()
}

pub(super) async fn enrolled(table: &Table) -> Result<Vec<Edge>, StoreError> {
    let names = table.list(keys::edge_names(), None).await?;
    let name = |name: String| name.parse().map_err(|_| StoreError::Damaged(KIND));
    let names: Vec<EdgeName> = names.into_iter().map(name).collect::<Result<_, _>>()?;
    let keys: Vec<_> = names.iter().map(keys::edge_name).collect();
    let mut edges = Vec::new();
    for item in table.read_all(&keys).await? {
        // Nobody has the name any more.
        let Some(id) = Reader::new(&item, KIND).optional_text("edge")? else { continue };
        edges.push(keys::edge(&EdgeId::stored(id.to_owned())));
    }
    let items = table.read_all(&edges).await?;
    let mut edges: Vec<_> = items.iter().map(decode).collect::<Result<_, _>>()?;
    edges.retain(|edge: &Edge| edge.removed_at.is_none());
    edges.sort_unstable_by(|one: &Edge, other| one.name.cmp(&other.name));
    Ok(edges)
}

pub(super) async fn remove(
    table: &Table,
    name: &EdgeName,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let Some(item) = table.read(keys::edge_name(name)).await? else { return Ok(false) };
    let Some(id) = Reader::new(&item, KIND).optional_text("edge")? else { return Ok(false) };
    let cut_off = Update {
        key: keys::edge(&EdgeId::stored(id.to_owned())),
        change: "SET #removed_at = :now",
        condition: "attribute_exists(#pk) AND attribute_not_exists(#removed_at)",
        values: vec![(":now", number(now.0))],
    };
    // If it was cut off already, then by a removal that came no further, or by this very write.
    table.update(cut_off).await?;
    let free = Update {
        key: keys::edge_name(name),
        change: "REMOVE #edge",
        condition: "#edge = :edge",
        values: vec![(":edge", text(id))],
    };
    table.update(free).await?;
    Ok(true)
}

/// An earlier one that comes late changes nothing.
pub(super) async fn record(table: &Table, contact: &Contact) -> Result<(), StoreError> {
    let (change, held) = match contact.generation {
        Some(generation) => ("SET #at = :at, #ttl = :ttl, #generation = :generation", generation),
        None => ("SET #at = :at, #ttl = :ttl REMOVE #generation", 0),
    };
    let mut values = vec![
        (":at", number(contact.at.0)),
        (":ttl", number(contact.at.plus(Contact::KEPT_SECONDS).0)),
    ];
    if contact.generation.is_some() {
        values.push((":generation", number(held)));
    }
    let update = Update {
        key: keys::contact(contact),
        change,
        condition: "attribute_not_exists(#at) OR #at <= :at",
        values,
    };
    table.update(update).await.map(drop)
}

pub(super) async fn contacts(
    table: &Table,
    domain: &DomainName,
) -> Result<Vec<Contact>, StoreError> {
    let mut entries = table.list(keys::contacts(domain), None).await?;
    // After that: of an edge that was enrolled by then, no contact is missed.
    let edges = enrolled(table).await?;
    let edges: HashSet<_> = edges.iter().map(|edge| edge.id.as_str()).collect();
    entries.retain(|entry| entry.split_once('#').is_some_and(|(edge, _)| edges.contains(edge)));
    let entries: Vec<_> = entries.iter().map(|entry| keys::contact_entry(domain, entry)).collect();
    let items = table.read_all(&entries).await?;
    let mut contacts: Vec<_> =
        items.iter().map(|item| decode_contact(item, domain)).collect::<Result<_, _>>()?;
    contacts.sort_unstable_by(|one: &Contact, other| {
        (&one.edge, &one.instance).cmp(&(&other.edge, &other.instance))
    });
    Ok(contacts)
}

fn encode(edge: &Edge) -> Result<Item, StoreError> {
    let mut item = with(
        keys::edge(&edge.id).item(),
        [
            ("id", text(edge.id.as_str())),
            ("name", text(edge.name.as_str())),
            ("domains", text(&json(&edge.domains)?)),
            ("signing_key", text(&json(&edge.signing_key)?)),
            ("encryption_key", text(&json(&edge.encryption_key)?)),
            ("created_at", number(edge.created_at.0)),
        ],
    );
    if let Some(url) = &edge.push_url {
        item = with(item, [("push_url", text(&url.to_string()))]);
    }
    match edge.removed_at {
        Some(moment) => Ok(with(item, [("removed_at", number(moment.0))])),
        None => Ok(item),
    }
}

fn decode(item: &Item) -> Result<Edge, StoreError> {
    let read = Reader::new(item, KIND);
    let damaged = || read.damaged();
    let key = |name| -> Result<EdgeKey, StoreError> {
        serde_json::from_str(read.text(name)?).map_err(|_| damaged())
    };
    let push_url = read.optional_text("push_url")?;
    Ok(Edge {
        id: EdgeId::stored(read.text("id")?.to_owned()),
        name: read.text("name")?.parse().map_err(|_| damaged())?,
        domains: serde_json::from_str(read.text("domains")?).map_err(|_| damaged())?,
        signing_key: key("signing_key")?,
        encryption_key: key("encryption_key")?,
        push_url: push_url.map(str::parse).transpose().map_err(|_| damaged())?,
        created_at: read.moment("created_at")?,
        removed_at: read.optional_moment("removed_at")?,
    })
}

fn decode_contact(item: &Item, domain: &DomainName) -> Result<Contact, StoreError> {
    let read = Reader::new(item, "contact");
    let (edge, instance) =
        read.text(keys::SORT)?.split_once('#').ok_or(StoreError::Damaged("contact"))?;
    Ok(Contact {
        edge: EdgeId::stored(edge.to_owned()),
        domain: domain.clone(),
        instance: instance.to_owned(),
        at: read.moment("at")?,
        generation: read.optional_moment("generation")?.map(|generation| generation.0),
    })
}

fn json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(StoreError::unavailable)
}
