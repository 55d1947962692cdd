//! The fetches that JavaScript makes for the key ring.

use std::time::Duration;

use postern_verify::{Fetch, Fetched, Gate, KeyUpdate};
use serde_json::{Value, json};

use crate::key_set_name;

/// The fetches that are under way, by the number that JavaScript has for each.
#[derive(Default)]
pub(crate) struct Fetches {
    under_way: Vec<(u32, Fetch)>,
    last: u32,
}

impl Fetches {
    /// The next one that is due.
    pub(crate) fn next(&mut self, gate: &mut Gate, now: Duration) -> Option<String> {
        let fetch = gate.keys_mut().poll_fetch(now)?;
        // Of a key set, one is under way: an earlier one was given up.
        self.under_way.retain(|(_, other)| other.key_set != fetch.key_set);
        self.last = self.last.wrapping_add(1);
        let source = &fetch.source;
        let etag = fetch.if_none_match.as_deref().map(String::from_utf8_lossy);
        let described = json!({
            "id": self.last,
            "url": format!("{}://{}{}", source.scheme, source.authority, source.path),
            "timeout": u64::try_from(source.timeout.as_millis()).unwrap_or(u64::MAX),
            "accept": fetch.accept,
            "authorization": fetch.authorization.as_deref(),
            "ifNoneMatch": etag,
            "maxBytes": fetch.max_bytes,
        });
        self.under_way.push((self.last, fetch));
        Some(described.to_string())
    }

    /// Takes the end of one; of one that was given up, `None`.
    pub(crate) fn end(
        &mut self,
        gate: &mut Gate,
        id: u32,
        status: u16,
        [etag, cache_control, age]: &[Option<String>; 3],
        body: &[u8],
        now: Duration,
    ) -> Option<String> {
        let place = self.under_way.iter().position(|(known, _)| *known == id)?;
        let (_, fetch) = self.under_way.swap_remove(place);
        let field =
            |field: &'_ Option<String>| field.as_deref().map(str::as_bytes).map(<[u8]>::to_vec);
        let (etag, cache_control, age) = (field(etag), field(cache_control), field(age));
        let fetched = match status {
            0 => Fetched::Failed,
            status => Fetched::Response {
                status,
                etag: etag.as_deref(),
                cache_control: cache_control.as_deref(),
                age: age.as_deref(),
                body,
            },
        };
        let mut told = key_set_name(gate, &fetch.key_set);
        let end = match gate.keys_mut().handle_fetched(&fetch, fetched, now) {
            Ok(KeyUpdate::Replaced { keys, skipped }) => json!({"keys": keys, "skipped": skipped}),
            Ok(KeyUpdate::Unchanged | KeyUpdate::Ignored | KeyUpdate::Discovered) => json!({}),
            Err(error) => json!({ "error": error.to_string() }),
        };
        if let (Value::Object(told), Value::Object(end)) = (&mut told, end) {
            told.extend(end);
        }
        Some(told.to_string())
    }
}
