//! Requests to a gate. [`decide`] is the one place that knows how a decision is asked for.

use std::{
    sync::{Mutex, OnceLock},
    time::Duration,
};

use arbitrary::Arbitrary;
use postern_verify::{Decision, Gate, Policy, Request};
use serde_json::{Value, json};

use crate::{
    forgery::Forgery,
    signed::{NOW, Signed},
};

/// Whether a request is allowed; `None` where keys have to be fetched first.
fn decide(gate: &mut Gate, request: &Request<'_>) -> Option<bool> {
    match gate.decide(request, Duration::from_secs(NOW)) {
        Decision::Allow(_) => Some(true),
        Decision::Deny(_) => Some(false),
        Decision::AwaitKeys(_) => None,
    }
}

/// A request of anyone, to one of a few policies.
#[derive(Arbitrary, Debug)]
pub struct Visit {
    policy: u8,
    method: Method,
    path: Path,
    query: Option<Vec<(Name, Content)>>,
    headers: Vec<(Name, Content)>,
}

#[derive(Arbitrary, Debug)]
enum Method {
    Get,
    Post,
    Other(String),
}

#[derive(Arbitrary, Debug)]
enum Path {
    Open,
    Guarded,
    Under(Vec<u8>),
    Any(Vec<u8>),
}

#[derive(Arbitrary, Debug)]
enum Name {
    Authorization,
    Cookie,
    Token,
    User,
    Other(String),
}

#[derive(Arbitrary, Debug)]
enum Content {
    Bearer(Forgery),
    Cookie(Forgery),
    Bare(Forgery),
    Bytes(Vec<u8>),
}

/// Where tokens are looked for, and what is required of them, at each gate. They live on, and so the
/// tokens that they have verified stay in their caches.
fn gates() -> &'static [Mutex<Gate>] {
    static GATES: OnceLock<Vec<Mutex<Gate>>> = OnceLock::new();
    GATES.get_or_init(|| {
        let shop = json!({"provider_name": "shop"});
        let other = json!({"provider_name": "other"});
        let both = |members: [&Value; 2]| json!({ "requirements": members });
        let places = json!({
            "from_headers": [{"name": "Authorization", "value_prefix": "Bearer "}, {"name": "token"}],
            "from_cookies": ["token"], "from_params": ["token"], "forward_payload_header": "x-claims",
        });
        let parse = |places: &Value, requires: &Value| {
            let document = policy(places, requires).to_string();
            Mutex::new(Gate::new(Policy::parse(document.as_bytes()).expect("a policy")))
        };
        vec![
            parse(&json!({}), &shop),
            parse(&places, &shop),
            parse(&places, &json!({"requires_any": both([&other, &shop])})),
            parse(&places, &json!({"requires_all": both([&shop, &shop])})),
            parse(&places, &json!({"requires_all": {"requirements": [
                {"requires_any": {"requirements": [{"allow_missing": {}}]}}, shop,
            ]}})),
        ]
    })
}

fn policy(places: &Value, requires: &Value) -> Value {
    let mut shop = json!({
        "issuer": "https://auth.example.com/shop",
        "audiences": ["shop"],
        "algorithms": ["HS256", "ES256", "EdDSA", "RS256", "PS256", "ES384", "ES512"],
        "local_jwks": {"inline_string": Signed::get().document},
        "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}],
    });
    for (name, value) in places.as_object().into_iter().flatten() {
        shop[name] = value.clone();
    }
    // The same keys: only the issuer tells the two apart.
    let mut other = shop.clone();
    other["issuer"] = json!("https://other.example.com");
    json!({"providers": {"shop": shop, "other": other}, "rules": [
        {"match": {"path": "/open", "methods": ["GET"]}},
        {"match": {"safe_regex": {"regex": "/api/v[0-9]+/.*"}}, "requires": requires},
        {"match": {"prefix": "/"}, "requires": requires},
    ]})
}

impl Visit {
    pub(crate) fn check(&self) {
        let gates = gates();
        let gate = &gates[usize::from(self.policy) % gates.len()];
        let (target, headers) = (self.target(), self.headers());
        let fields = headers.iter().map(|(name, value)| (*name, value.as_slice())).collect();
        let request = Request::new(self.method.text(), &target, fields);
        let verdict = decide(&mut gate.lock().expect("a whole gate"), &request);
        if verdict == Some(true) {
            let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
            let open = decoded(path) == b"/open" && self.method.text() == "GET";
            let shown = headers.iter().map(|(_, value)| value).chain([&target]);
            assert!(open || shown.into_iter().any(|text| holds_token(text)), "{self:?}");
        }
    }

    fn target(&self) -> Vec<u8> {
        let mut target = match &self.path {
            Path::Open => b"/open".to_vec(),
            Path::Guarded => b"/api/v1/orders".to_vec(),
            Path::Under(rest) => [b"/open/", &rest[..]].concat(),
            Path::Any(bytes) => bytes.clone(),
        };
        for (index, (name, value)) in self.query.iter().flatten().enumerate() {
            target.push(if index == 0 { b'?' } else { b'&' });
            target.extend_from_slice(name.text().as_bytes());
            target.push(b'=');
            target.extend(value.bytes());
        }
        target
    }

    fn headers(&self) -> Vec<(&str, Vec<u8>)> {
        self.headers.iter().map(|(name, value)| (name.text(), value.bytes())).collect()
    }
}

impl Method {
    fn text(&self) -> &str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Other(text) => text,
        }
    }
}

impl Name {
    fn text(&self) -> &str {
        match self {
            Self::Authorization => "authorization",
            Self::Cookie => "Cookie",
            Self::Token => "token",
            Self::User => "X-User",
            Self::Other(text) => text,
        }
    }
}

impl Content {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Bearer(token) => [b"Bearer ", &token.text()[..]].concat(),
            Self::Cookie(token) => [b"a=b; token=", &token.text()[..]].concat(),
            Self::Bare(token) => token.text(),
            Self::Bytes(bytes) => bytes.clone(),
        }
    }
}

/// Whether a signed token stands anywhere in a text, percent-encoded or not.
fn holds_token(text: &[u8]) -> bool {
    let holds = |text: &[u8]| {
        Signed::get()
            .tokens
            .iter()
            .any(|token| text.windows(token.len()).any(|window| window == token.as_bytes()))
    };
    holds(text) || holds(&decoded(text))
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, behind)) = rest.split_first() {
        let escaped = match behind {
            [high, low, ..] if *byte == b'%' => digit(*high).zip(digit(*low)),
            _ => None,
        };
        decoded.push(escaped.map_or(*byte, |(high, low)| high * 16 + low));
        rest = if escaped.is_some() { &behind[2..] } else { behind };
    }
    decoded
}

/// Lets a few requests at a policy, whatever it says.
pub(crate) fn try_out(policy: Policy, targets: &[&str]) {
    let mut gate = Gate::new(policy);
    let token = format!("Bearer {}", Signed::get().tokens[0]);
    for target in targets {
        for headers in
            [vec![], vec![("authorization", token.as_bytes())], vec![("cookie", &b"a=b"[..])]]
        {
            decide(&mut gate, &Request::new("GET", target.as_bytes(), headers));
        }
    }
}
