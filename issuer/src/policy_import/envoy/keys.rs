//! Where the keys of a provider come from.

use std::{ops::RangeInclusive, path::Path};

use base64ct::{Base64, Encoding};
use serde_json::{Map, Value, json};

use super::{
    super::{
        ImportError, Notes, duration, jwks,
        members::{Members, Node},
    },
    provider::Reader,
};

const DAY: f64 = 86_400.0;
/// How long a wait after a failed fetch may be, in seconds.
const BACK_OFF: RangeInclusive<f64> = 0.001..=3_600.0;

impl Reader<'_, '_> {
    pub(super) fn local_jwks(&mut self) -> Result<(), ImportError> {
        let Some(node) = self.members.take("local_jwks") else { return Ok(()) };
        let mut members = node.members()?;
        if let Some(node) = members.take("watched_directory") {
            let text = "the key set stands in the policy now and is not read anew";
            self.notes.left_out(node.place, text);
        }
        let document = if let Some(text) = members.take_string("inline_string")? {
            Some(text.to_owned())
        } else if let Some(node) = members.take("inline_bytes") {
            let text = Base64::decode_vec(node.string()?).ok().map(String::from_utf8);
            Some(text.and_then(Result::ok).ok_or_else(|| node.not("UTF-8 text in base64"))?)
        } else if let Some(node) = members.take("filename") {
            self.read_file(&node)?
        } else {
            None
        };
        self.unknown(&members);
        match document {
            Some(document) => {
                if let Some(algorithms) = jwks::algorithms(&document) {
                    self.insert("algorithms", algorithms);
                }
                self.insert("local_jwks", json!({"inline_string": document}));
            }
            None if self.complete => self.incomplete(&node.place, "there is no key set in it"),
            None => {}
        }
        Ok(())
    }

    fn read_file(&mut self, node: &Node<'_>) -> Result<Option<String>, ImportError> {
        let name = node.string()?;
        match (self.read_file)(Path::new(name)) {
            Ok(document) => {
                let text = "the key set stands in the policy now and is not read anew";
                self.notes.remark(&node.place, text);
                Ok(Some(document))
            }
            Err(error) => {
                self.incomplete(&node.place, &format!("`{name}` cannot be read ({error})"));
                Ok(None)
            }
        }
    }

    pub(super) fn remote_jwks(&mut self) -> Result<(), ImportError> {
        let Some(node) = self.members.take("remote_jwks") else { return Ok(()) };
        let mut members = node.members()?;
        let mut remote = Map::new();
        let http_uri = members
            .take("http_uri")
            .ok_or_else(|| ImportError::new(&node.place, "it needs `http_uri`"))?;
        remote.insert("http_uri".to_owned(), http_uri_of(&http_uri, self.notes)?);
        if let Some(node) = members.take("cache_duration") {
            let duration = duration::within(&node, 1.0..=DAY, self.notes)?;
            remote.insert("cache_duration".to_owned(), json!(duration));
        }
        if let Some(node) = members.take("async_fetch") {
            remote.insert("async_fetch".to_owned(), async_fetch(&node, self.notes)?);
        }
        if let Some(node) = members.take("retry_policy") {
            remote.insert("retry_policy".to_owned(), retry_policy(&node, self.notes)?);
        }
        tell_unused(&members, self.notes);
        if !self.complete {
            return Ok(());
        }
        if self.out.contains_key("local_jwks") {
            return Err(ImportError::new(self.place(), "it has two key sets"));
        }
        self.insert("remote_jwks", remote);
        Ok(())
    }
}

fn http_uri_of(node: &Node<'_>, notes: &mut Notes) -> Result<Value, ImportError> {
    let mut members = node.members()?;
    let mut out = Map::new();
    for name in ["uri", "cluster"] {
        if let Some(text) = members.take_string(name)? {
            out.insert(name.to_owned(), json!(text));
        }
    }
    if let Some(node) = members.take("timeout") {
        let timeout = duration::within(&node, 0.1..=60.0, notes)?;
        out.insert("timeout".to_owned(), json!(timeout));
    }
    tell_unused(&members, notes);
    Ok(Value::Object(out))
}

fn async_fetch(node: &Node<'_>, notes: &mut Notes) -> Result<Value, ImportError> {
    let mut members = node.members()?;
    let mut out = Map::new();
    if members.take_bool("fast_listener")? {
        out.insert("fast_listener".to_owned(), json!(true));
    }
    if let Some(node) = members.take("failed_refetch_duration") {
        let duration = duration::within(&node, BACK_OFF, notes)?;
        out.insert("failed_refetch_duration".to_owned(), json!(duration));
    }
    tell_unused(&members, notes);
    Ok(Value::Object(out))
}

fn retry_policy(node: &Node<'_>, notes: &mut Notes) -> Result<Value, ImportError> {
    let mut members = node.members()?;
    let mut out = Map::new();
    if let Some(number) = members.take("num_retries").map(|node| node.integer()).transpose()? {
        out.insert("num_retries".to_owned(), json!(number));
    }
    if let Some(node) = members.take("retry_back_off") {
        let mut members = node.members()?;
        let mut back_off = Map::new();
        for name in ["base_interval", "max_interval"] {
            if let Some(node) = members.take(name) {
                let duration = duration::within(&node, BACK_OFF, notes)?;
                back_off.insert(name.to_owned(), json!(duration));
            }
        }
        tell_unused(&members, notes);
        out.insert("retry_back_off".to_owned(), Value::Object(back_off));
    }
    tell_unused(&members, notes);
    Ok(Value::Object(out))
}

/// How keys are fetched cannot make a policy weaker.
fn tell_unused(members: &Members<'_>, notes: &mut Notes) {
    for place in members.rest() {
        notes.left_out(place, "Postern fetches keys without it");
    }
}
