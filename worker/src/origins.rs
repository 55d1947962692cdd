//! Where requests go that are let through: `POSTERN_ORIGINS`.

use postern_verify::Policy;
use serde::Deserialize;
use serde_json::{Value, json};

/// The variable.
pub(crate) const MEMBER: &str = "POSTERN_ORIGINS";

/// The origins, in their order: the first that fits takes a request.
#[derive(Debug)]
pub(crate) struct Origins(Vec<Origin>);

#[derive(Debug)]
struct Origin {
    host: Option<HostMatch>,
    /// An index of the policy's rules.
    rule: Option<usize>,
    target: Target,
}

#[derive(Debug)]
enum HostMatch {
    Exact(String),
    /// What the host ends with, from the dot on.
    Below(String),
}

#[derive(Debug, PartialEq, Eq)]
enum Target {
    /// Scheme, host and port of a URL.
    Url(String),
    /// A service binding.
    Service(String),
    /// Where the request was going: the origin server of the zone.
    Zone,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOrigin {
    host: Option<String>,
    rule: Option<String>,
    origin: Option<String>,
    service: Option<String>,
}

/// The names of services in the variable's text, if it can be read.
pub(crate) fn services(text: &str) -> Vec<String> {
    let raw: Vec<RawOrigin> = serde_json::from_str(text).unwrap_or_default();
    raw.into_iter().filter_map(|origin| origin.service).collect()
}

impl Origins {
    /// Reads the variable's text. `is_service` tells whether there is a binding of a name.
    pub(crate) fn parse(
        text: &str,
        policy: &Policy,
        is_service: impl Fn(&str) -> bool,
    ) -> Result<Self, String> {
        let raw: Vec<RawOrigin> =
            serde_json::from_str(text).map_err(|error| format!("{MEMBER}: {error}"))?;
        if raw.is_empty() {
            return Err(format!("{MEMBER}: it names no origin"));
        }
        let origins = raw.into_iter().enumerate().map(|(index, raw)| {
            Origin::new(raw, policy, &is_service)
                .map_err(|(member, reason)| format!("{MEMBER}[{index}]{member}: {reason}"))
        });
        origins.collect::<Result<_, _>>().map(Self)
    }

    /// The number of the origin for a request that this rule has let through.
    pub(crate) fn find(&self, authority: &[u8], rule: Option<usize>) -> Option<usize> {
        let host = host_of(authority);
        self.0.iter().position(|origin| origin.fits(host, rule))
    }

    /// For `index.mjs`: a list of `{"url": …}`, `{"service": …}` and `{}`.
    pub(crate) fn to_json(&self) -> String {
        let target = |origin: &Origin| match &origin.target {
            Target::Url(url) => json!({ "url": url }),
            Target::Service(service) => json!({ "service": service }),
            Target::Zone => json!({}),
        };
        self.0.iter().map(target).collect::<Value>().to_string()
    }
}

impl Origin {
    fn new(
        raw: RawOrigin,
        policy: &Policy,
        is_service: impl Fn(&str) -> bool,
    ) -> Result<Self, (&'static str, String)> {
        let host = raw.host.map(|host| HostMatch::parse(&host)).transpose();
        let host = host.map_err(|reason| (".host", reason))?;
        let rule = raw.rule.map(|name| {
            let place = policy.rule_names().position(|rule| rule == name);
            place.ok_or_else(|| (".rule", format!("the policy has no rule `{name}`")))
        });
        let rule = rule.transpose()?;
        let target = match (raw.origin, raw.service) {
            (Some(zone), None) if zone == "zone" && host.is_none() => {
                let reason = "`zone` goes where the client says, so `host` is needed beside it";
                return Err((".origin", reason.to_owned()));
            }
            (Some(zone), None) if zone == "zone" => Target::Zone,
            (Some(url), None) => url_of(&url).map(Target::Url).map_err(|why| (".origin", why))?,
            (None, Some(name)) if is_service(&name) => Target::Service(name),
            (None, Some(name)) => {
                return Err((".service", format!("there is no service binding `{name}`")));
            }
            _ => return Err(("", "it needs one of `origin` and `service`".to_owned())),
        };
        Ok(Self { host, rule, target })
    }

    fn fits(&self, host: &[u8], rule: Option<usize>) -> bool {
        self.host.as_ref().is_none_or(|wanted| wanted.fits(host))
            && (self.rule.is_none() || self.rule == rule)
    }
}

impl HostMatch {
    fn parse(host: &str) -> Result<Self, String> {
        let (below, name) = match host.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, host),
        };
        let is_plain = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._[]:".contains(&byte)
        };
        let is_address = name.starts_with('[') && name.ends_with(']');
        if name.is_empty() || !name.bytes().all(is_plain) || (name.contains(':') && !is_address) {
            return Err(format!(
                "`{host}` is no host in lower case and without a port, or `*.` and one"
            ));
        }
        Ok(if below { Self::Below(format!(".{name}")) } else { Self::Exact(name.to_owned()) })
    }

    fn fits(&self, host: &[u8]) -> bool {
        match self {
            Self::Exact(name) => host.eq_ignore_ascii_case(name.as_bytes()),
            Self::Below(end) => {
                let start = host.len().checked_sub(end.len());
                let is_end = |rest: &[u8]| rest.eq_ignore_ascii_case(end.as_bytes());
                start.is_some_and(|start| start > 0 && host.get(start..).is_some_and(is_end))
            }
        }
    }
}

/// The host of an authority, without the port.
fn host_of(authority: &[u8]) -> &[u8] {
    let colon = authority.iter().rposition(|byte| *byte == b':');
    let is_port = |rest: &[u8]| rest.iter().skip(1).all(u8::is_ascii_digit);
    match colon.and_then(|colon| authority.split_at_checked(colon)) {
        Some((host, port)) if is_port(port) => host,
        _ => authority,
    }
}

/// Scheme and authority of a URL that has nothing else: path and query are the request's.
fn url_of(url: &str) -> Result<String, String> {
    let wrong = |reason: &str| Err(format!("`{url}` {reason}"));
    let Some(rest) = url.strip_prefix("https://").or(url.strip_prefix("http://")) else {
        return wrong("is neither `zone` nor begins with `https://` or `http://`");
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
    if authority.is_empty() || !authority.bytes().all(is_plain) {
        return wrong("has more than a host and a port: path and query are those of the request");
    }
    Ok(url.strip_suffix('/').unwrap_or(url).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(text: &str) -> Result<Origins, String> {
        let policy = br#"{"rules": [
            {"match": {"prefix": "/a"}},
            {"name": "orders", "match": {"prefix": "/orders"}}
        ]}"#;
        Origins::parse(text, &Policy::parse(policy).unwrap(), |name| name == "API")
    }

    #[test]
    fn the_first_origin_that_fits_takes_a_request() {
        let origins = origins(
            r#"[
            {"host": "api.example.com", "rule": "orders", "service": "API"},
            {"host": "api.example.com", "origin": "https://api.internal:8443/"},
            {"host": "*.shop.example.com", "origin": "zone"},
            {"rule": "0", "origin": "http://10.0.0.1"}
        ]"#,
        )
        .unwrap();
        for (authority, rule, origin) in [
            ("api.example.com", Some(1), Some(0)),
            ("API.example.com:8787", Some(0), Some(1)),
            ("api.example.com", None, Some(1)),
            ("a.shop.example.com", Some(1), Some(2)),
            ("shop.example.com", Some(1), None),
            (".shop.example.com", Some(1), None),
            ("evilshop.example.com", Some(1), None),
            ("elsewhere", Some(0), Some(3)),
            ("elsewhere", Some(1), None),
        ] {
            assert_eq!(origins.find(authority.as_bytes(), rule), origin, "{authority} {rule:?}");
        }
        let listed = r#"[{"service":"API"},{"url":"https://api.internal:8443"},{},{"url":"http://10.0.0.1"}]"#;
        assert_eq!(origins.to_json(), listed);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, error) in [
            ("[]", "POSTERN_ORIGINS: it names no origin"),
            ("{}", "POSTERN_ORIGINS: invalid type"),
            (r#"[{"to": "x"}]"#, "POSTERN_ORIGINS: unknown field `to`"),
            (r#"[{"host": "a"}]"#, "POSTERN_ORIGINS[0]: it needs one of"),
            (r#"[{"origin": "zone"}]"#, "POSTERN_ORIGINS[0].origin: `zone` goes where"),
            (r#"[{"origin": "ftp://a"}]"#, "POSTERN_ORIGINS[0].origin: `ftp://a` is neither"),
            (r#"[{"origin": "https://a/b"}]"#, "POSTERN_ORIGINS[0].origin: `https://a/b` has more"),
            (r#"[{"origin": "https://u@a"}]"#, "POSTERN_ORIGINS[0].origin: `https://u@a` has more"),
            (
                r#"[{"service": "B"}]"#,
                "POSTERN_ORIGINS[0].service: there is no service binding `B`",
            ),
            (r#"[{"host": "A", "service": "API"}]"#, "POSTERN_ORIGINS[0].host: `A` is no host"),
            (r#"[{"host": "a:1", "service": "API"}]"#, "POSTERN_ORIGINS[0].host: `a:1` is no host"),
            (r#"[{"rule": "x", "service": "API"}]"#, "POSTERN_ORIGINS[0].rule: the policy has no"),
        ] {
            let found = origins(text).unwrap_err();
            assert!(found.starts_with(error), "{text}: {found}");
        }
    }
}
