//! The rules of a `RequestAuthentication`: a provider each.

use serde_json::{Map, Value, json};

use super::{
    super::{
        ImportError, Notes, check, duration, jwks,
        members::{Members, Node},
        policy::{default_token_places, host_and_port},
    },
    resource::Resource,
};

/// Claims that Istio splits at spaces in any case.
const SPACE_DELIMITED: [&str; 2] = ["scope", "permission"];

/// A provider of the policy, and what conditions need to know of it.
#[derive(Debug)]
pub(super) struct Provider {
    pub(super) name: String,
    pub(super) issuer: String,
    pub(super) words: Value,
    pub(super) space_delimited: Vec<String>,
}

pub(super) fn read_all(
    resource: &Resource<'_>,
    providers: &mut Vec<Provider>,
    notes: &mut Notes,
) -> Result<(), ImportError> {
    let Some(spec) = &resource.spec else { return Ok(()) };
    let mut members = spec.members()?;
    for name in ["selector", "target_ref", "target_refs"] {
        if let Some(node) = members.take(name) {
            notes.remark(node.place, "the policy is for the gate of these workloads only");
        }
    }
    for node in members.take_items("jwt_rules")? {
        providers.extend(read(&node, providers, notes)?);
    }
    match members.rest().first() {
        Some(place) => Err(ImportError::new(place, "Postern does not know what this member means")),
        None => Ok(()),
    }
}

/// The provider of a rule; none where its tokens could not be checked as strictly.
fn read(
    node: &Node<'_>,
    others: &[Provider],
    notes: &mut Notes,
) -> Result<Option<Provider>, ImportError> {
    let mut members = node.members()?;
    let issuer = members.take_string("issuer")?;
    let issuer = issuer.ok_or_else(|| ImportError::new(&node.place, "it needs `issuer`"))?;
    let mut words = Map::new();
    words.insert("issuer".to_owned(), json!(issuer));
    words.insert("dangerous_allow_missing_expiration".to_owned(), json!(true));
    let text = "Istio takes tokens without `exp`; `dangerous_allow_missing_expiration` keeps that, \
                take it away if all your tokens expire";
    notes.remark(&node.place, text);
    let audiences = members.take_strings("audiences")?;
    if !audiences.is_empty() {
        words.insert("audiences".to_owned(), json!(audiences));
    }
    let mut unknown = token_places(&mut members, &mut words)?;
    unknown.extend(outputs(&mut members, &mut words)?);
    keys(&mut members, issuer, &mut words, notes)?;
    let mut space_delimited = members.take_strings("space_delimited_claims")?;
    space_delimited.extend(SPACE_DELIMITED);
    unknown.extend(members.rest());
    for place in &unknown {
        notes.left_out(place, "Postern does not know what it means, so the provider is left out");
    }
    let (name, words) = (provider_name(issuer, others), Value::Object(words));
    let refusal = check::provider(&name, &words);
    if let Some(error) = &refusal {
        let text = format!("Postern refuses it ({error}), so the provider is left out");
        notes.left_out(&node.place, text);
    }
    let space_delimited = space_delimited.into_iter().map(str::to_owned).collect();
    let provider = Provider { name, issuer: issuer.to_owned(), words, space_delimited };
    Ok((refusal.is_none() && unknown.is_empty()).then_some(provider))
}

/// The host of the issuer, or all of it, numbered where there are several of the name.
fn provider_name(issuer: &str, others: &[Provider]) -> String {
    let base = host_and_port(issuer).map_or(issuer, |(host, _)| host);
    let is_free = |name: &String| others.iter().all(|other| other.name != *name);
    let numbered = (2..).map(|number| format!("{base}-{number}"));
    std::iter::once(base.to_owned()).chain(numbered).find(is_free).unwrap_or_default()
}

fn token_places(
    members: &mut Members<'_>,
    words: &mut Map<String, Value>,
) -> Result<Vec<String>, ImportError> {
    let (mut headers, mut unknown) = (Vec::new(), Vec::new());
    for node in members.take_items("from_headers")? {
        let mut members = node.members()?;
        let name = members.take_string("name")?.unwrap_or_default();
        headers.push(match members.take_string("prefix")? {
            Some(prefix) => json!({"name": name, "value_prefix": prefix}),
            None => json!({"name": name}),
        });
        unknown.extend(members.rest());
    }
    let params = members.take_strings("from_params")?;
    let cookies = members.take_strings("from_cookies")?;
    if headers.is_empty() && params.is_empty() && cookies.is_empty() {
        default_token_places(words);
    }
    let lists = [
        ("from_headers", headers),
        ("from_params", values(params)),
        ("from_cookies", values(cookies)),
    ];
    for (name, list) in lists {
        if !list.is_empty() {
            words.insert(name.to_owned(), Value::Array(list));
        }
    }
    Ok(unknown)
}

fn values(texts: Vec<&str>) -> Vec<Value> {
    texts.into_iter().map(Value::from).collect()
}

fn outputs(
    members: &mut Members<'_>,
    words: &mut Map<String, Value>,
) -> Result<Vec<String>, ImportError> {
    let mut unknown = Vec::new();
    if let Some(header) = members.take_string("output_payload_to_header")? {
        words.insert("forward_payload_header".to_owned(), json!(header));
    }
    if members.take_bool("forward_original_token")? {
        words.insert("forward".to_owned(), json!(true));
    }
    let mut headers = Vec::new();
    for node in members.take_items("output_claim_to_headers")? {
        let mut members = node.members()?;
        let header = members.take_string("header")?.unwrap_or_default();
        let claim = members.take_string("claim")?.unwrap_or_default();
        headers.push(json!({"header_name": header, "claim_name": claim}));
        unknown.extend(members.rest());
    }
    if !headers.is_empty() {
        words.insert("claim_to_headers".to_owned(), Value::Array(headers));
    }
    Ok(unknown)
}

/// Istio fetches keys by the URI alone; Envoy's filter needs a cluster that leads to its host.
fn keys(
    members: &mut Members<'_>,
    issuer: &str,
    words: &mut Map<String, Value>,
    notes: &mut Notes,
) -> Result<(), ImportError> {
    let timeout = members.take("timeout");
    let timeout = timeout.map(|node| duration::within(&node, 0.1..=60.0, notes)).transpose()?;
    let uri = members.take_string("jwks_uri")?;
    if let Some(document) = members.take_string("jwks")? {
        if let Some(algorithms) = jwks::algorithms(document) {
            words.insert("algorithms".to_owned(), json!(algorithms));
        }
        words.insert("local_jwks".to_owned(), json!({"inline_string": document}));
        return Ok(());
    }
    let mut http_uri = Map::new();
    if let Some((host, port)) = host_and_port(uri.unwrap_or(issuer)) {
        let cluster = format!("outbound|{port}||{host}");
        let text = format!(
            "the keys are fetched through the cluster `{cluster}`: it exists if \
                            a `ServiceEntry` names the host; other hosts than Envoy need none"
        );
        notes.remark(&members.node.place, text);
        http_uri.insert("cluster".to_owned(), json!(cluster));
    }
    http_uri.extend(timeout.map(|timeout| ("timeout".to_owned(), json!(timeout))));
    let source = match uri {
        Some(uri) => {
            http_uri.insert("uri".to_owned(), json!(uri));
            "remote_jwks"
        }
        // As Istio does, by the issuer's metadata.
        None => "openid_discovery",
    };
    words.insert(source.to_owned(), json!({"http_uri": http_uri}));
    Ok(())
}
