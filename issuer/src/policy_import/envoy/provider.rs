//! A provider of `jwt_authn`.

use serde_json::{Map, Value, json};

use super::{
    super::{
        ImportError, Notes, ReadFile, check, duration,
        members::{Members, Node},
        policy::default_token_places,
    },
    matcher::string_matcher,
};

const CLOSED: &str = "so the provider is left out, and what needs it is closed";
const DAY: f64 = 86_400.0;

/// The provider; none where its tokens could not be checked as strictly as Envoy does.
pub(in super::super) fn read(
    name: &str,
    node: &Node<'_>,
    read_file: &ReadFile<'_>,
    notes: &mut Notes,
) -> Result<Option<Value>, ImportError> {
    let mut reader =
        Reader { members: node.members()?, out: Map::new(), complete: true, read_file, notes };
    reader.issuer()?;
    reader.expiration()?;
    reader.subjects()?;
    reader.token_places()?;
    reader.outputs()?;
    reader.cache()?;
    reader.local_jwks()?;
    reader.remote_jwks()?;
    let Reader { members, out, mut complete, notes, .. } = reader;
    for place in members.rest() {
        complete = false;
        notes.left_out(place, format!("Postern does not know what it means, {CLOSED}"));
    }
    let provider = Value::Object(out);
    match check::provider(name, &provider) {
        _ if !complete => Ok(None),
        None => Ok(Some(provider)),
        Some(error) => {
            notes.left_out(&node.place, format!("Postern refuses it ({error}), {CLOSED}"));
            Ok(None)
        }
    }
}

pub(super) struct Reader<'a, 'n> {
    pub(super) members: Members<'a>,
    pub(super) out: Map<String, Value>,
    /// Whether everything that restricts the provider is in `out`.
    pub(super) complete: bool,
    pub(super) read_file: &'n ReadFile<'n>,
    pub(super) notes: &'n mut Notes,
}

impl Reader<'_, '_> {
    pub(super) fn insert(&mut self, name: &str, value: impl Into<Value>) {
        self.out.insert(name.to_owned(), value.into());
    }

    pub(super) fn place(&self) -> &str {
        &self.members.node.place
    }

    pub(super) fn incomplete(&mut self, place: &str, reason: &str) {
        self.complete = false;
        self.notes.left_out(place, format!("{reason}, {CLOSED}"));
    }

    fn issuer(&mut self) -> Result<(), ImportError> {
        if let Some(issuer) = self.members.take_string("issuer")? {
            self.insert("issuer", issuer);
        } else {
            self.insert("dangerous_allow_any_issuer", true);
            let text = "without an issuer, `dangerous_allow_any_issuer` keeps taking any";
            self.notes.remark(self.members.node.place.clone(), text);
        }
        let audiences = self.members.take_strings("audiences")?;
        if !audiences.is_empty() {
            self.insert("audiences", audiences);
        }
        Ok(())
    }

    fn expiration(&mut self) -> Result<(), ImportError> {
        let required = self.members.take_bool("require_expiration")?;
        let lifetime = self.members.take("max_lifetime");
        if let Some(node) = &lifetime {
            // A shorter bound is stricter; one under a second the core refuses.
            let lifetime = duration::within(node, 0.0..=3_650.0 * DAY, self.notes)?;
            self.insert("max_lifetime", lifetime);
        }
        if !required && lifetime.is_none() {
            self.insert("dangerous_allow_missing_expiration", true);
            let text = "Envoy takes tokens without `exp`; `dangerous_allow_missing_expiration` \
                        keeps that, take it away if all your tokens expire";
            self.notes.remark(self.members.node.place.clone(), text);
        }
        let Some(node) = self.members.take("clock_skew_seconds") else { return Ok(()) };
        // Zero is as good as absent to Envoy: 60 seconds, as to Postern.
        match node.integer()? {
            0 => {}
            skew @ 1..=3_600 => self.insert("clock_skew_seconds", skew),
            skew => {
                let text = format!("`{skew}` is out of bounds, it is `3600` now");
                self.notes.left_out(node.place, text);
                self.insert("clock_skew_seconds", 3_600);
            }
        }
        Ok(())
    }

    fn subjects(&mut self) -> Result<(), ImportError> {
        let Some(node) = self.members.take("subjects") else { return Ok(()) };
        match string_matcher(&node)? {
            Ok(matcher) => self.insert("subjects", matcher),
            Err(reason) => self.incomplete(&node.place, &reason),
        }
        Ok(())
    }

    fn token_places(&mut self) -> Result<(), ImportError> {
        let mut headers = Vec::new();
        for node in self.members.take_items("from_headers")? {
            let mut members = node.members()?;
            let mut header = json!({"name": members.take_string("name")?.unwrap_or_default()});
            if let (Some(header), Some(prefix)) =
                (header.as_object_mut(), members.take_string("value_prefix")?)
            {
                header.insert("value_prefix".to_owned(), json!(prefix));
            }
            self.unknown(&members);
            headers.push(header);
        }
        let params = self.members.take_strings("from_params")?;
        let cookies = self.members.take_strings("from_cookies")?;
        if headers.is_empty() && params.is_empty() && cookies.is_empty() {
            default_token_places(&mut self.out);
            return Ok(());
        }
        for (name, list) in [("from_params", params), ("from_cookies", cookies)] {
            if !list.is_empty() {
                self.insert(name, list);
            }
        }
        if !headers.is_empty() {
            self.insert("from_headers", headers);
        }
        Ok(())
    }

    pub(super) fn unknown(&mut self, members: &Members<'_>) {
        for place in members.rest() {
            self.incomplete(&place, "Postern does not know what it means");
        }
    }

    /// What of a token goes upstream.
    fn outputs(&mut self) -> Result<(), ImportError> {
        for name in ["forward", "clear_route_cache"] {
            if self.members.take_bool(name)? {
                self.insert(name, true);
            }
        }
        let strings = [
            "forward_payload_header",
            "payload_in_metadata",
            "header_in_metadata",
            "failed_status_in_metadata",
        ];
        for name in strings {
            if let Some(text) = self.members.take_string(name)? {
                self.insert(name, text);
            }
        }
        let pad = self.members.take_bool("pad_forward_payload_header")?;
        if pad && self.out.contains_key("forward_payload_header") {
            self.insert("pad_forward_payload_header", true);
        }
        if let Some(node) = self.members.take("normalize_payload_in_metadata") {
            let mut members = node.members()?;
            let claims = members.take_strings("space_delimited_claims")?;
            self.unknown(&members);
            if self.out.contains_key("payload_in_metadata") {
                self.insert(
                    "normalize_payload_in_metadata",
                    json!({"space_delimited_claims": claims}),
                );
            }
        }
        self.claim_headers()
    }

    fn claim_headers(&mut self) -> Result<(), ImportError> {
        let mut headers = Vec::new();
        for node in self.members.take_items("claim_to_headers")? {
            let mut members = node.members()?;
            headers.push(json!({
                "header_name": members.take_string("header_name")?.unwrap_or_default(),
                "claim_name": members.take_string("claim_name")?.unwrap_or_default(),
            }));
            self.unknown(&members);
        }
        if !headers.is_empty() {
            self.insert("claim_to_headers", headers);
        }
        Ok(())
    }

    fn cache(&mut self) -> Result<(), ImportError> {
        let Some(node) = self.members.take("jwt_cache_config") else { return Ok(()) };
        let mut members = node.members()?;
        let mut cache = Map::new();
        for name in ["jwt_cache_size", "jwt_max_token_size"] {
            if let Some(number) = members.take(name).map(|node| node.integer()).transpose()? {
                cache.insert(name.to_owned(), json!(number));
            }
        }
        for place in members.rest() {
            self.notes.left_out(place, "Postern does not know what it means; tokens are cached");
        }
        self.insert("jwt_cache_config", cache);
        Ok(())
    }
}
