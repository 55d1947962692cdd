//! The cases, and how they are put together: cases of one policy, with keys that come in one way,
//! share a listener; those whose time goes the same way share an age of Envoy.

use std::{collections::BTreeMap, fs, time::Duration};

use base64ct::{Base64, Encoding};
use postern_tests::workspace_root;
use serde_json::Value;

/// One case of the corpus, and of its file what it speaks of.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// `topic/name`
    pub(crate) name: String,
    pub(crate) why: String,
    pub(crate) policy: Value,
    pub(crate) now: Duration,
    pub(crate) request: Request,
    pub(crate) token: Option<String>,
    /// What the route is configured to; null where it is not.
    pub(crate) route: Value,
    pub(crate) filter_state: Option<String>,
    pub(crate) ends: Vec<End>,
    pub(crate) needs: Vec<String>,
    pub(crate) expect: Value,
}

/// What is sent.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) scheme: String,
    pub(crate) authority: String,
    pub(crate) fields: Vec<(String, Vec<u8>)>,
}

/// How one fetch of keys ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) at: Duration,
    pub(crate) domain: Option<String>,
    /// Whether the issuer's configuration was asked for.
    pub(crate) is_configuration: bool,
    /// Status and body; `None` where there is no answer.
    pub(crate) answer: Option<(u16, String)>,
}

/// Cases before one gate.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) cases: Vec<Case>,
}

impl Group {
    pub(crate) fn first(&self) -> &Case {
        &self.cases[0]
    }

    /// The times at which something happens, in order.
    pub(crate) fn times(&self) -> Vec<Duration> {
        let ends = self.first().ends.iter().map(|end| end.at);
        let mut times: Vec<Duration> = ends.chain(self.cases.iter().map(|case| case.now)).collect();
        times.sort_unstable();
        times.dedup();
        times
    }
}

impl Case {
    /// What the policy says, as text.
    pub(crate) fn document(&self) -> String {
        self.policy.as_str().map_or_else(|| self.policy.to_string(), str::to_owned)
    }

    pub(crate) fn expects(&self, verdict: &str) -> bool {
        self.expect["verdict"] == verdict
    }

    fn read(file: &Value, case: &Value) -> Self {
        let is_error = case["expect"]["verdict"] == "policy_error";
        let policy = match &case["policy"] {
            Value::String(name) if !is_error => &file["policies"][name],
            document => document,
        };
        let needs = case["needs"].as_array().into_iter().flatten();
        Self {
            name: format!("{}/{}", text(&file["topic"]), text(&case["name"])),
            why: text(&case["why"]).to_owned(),
            policy: policy.clone(),
            now: if is_error { Duration::ZERO } else { seconds(&case["now"]) },
            request: Request::read(&case["request"]),
            token: case["token"].as_str().map(str::to_owned),
            route: case["route"].clone(),
            filter_state: case["filter_state"].as_str().map(str::to_owned),
            ends: ends(file, &case["keys"]),
            needs: needs.map(|need| text(need).to_owned()).collect(),
            expect: case["expect"].clone(),
        }
    }
}

impl Request {
    fn read(request: &Value) -> Self {
        let fields = request["headers"].as_array().into_iter().flatten();
        Self {
            method: text(&request["method"]).to_owned(),
            target: text(&request["target"]).to_owned(),
            scheme: request["scheme"].as_str().unwrap_or("https").to_owned(),
            authority: request["authority"].as_str().unwrap_or("api.example.com").to_owned(),
            fields: fields.map(field).collect(),
        }
    }
}

/// Every case of every file, by file.
pub(crate) fn read_corpus() -> Vec<Case> {
    let folder = fs::read_dir(workspace_root().join("tests/vectors")).unwrap();
    let paths = folder.map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(is_json)).collect();
    paths.sort_unstable();
    let read = |path| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let of_file = |file: Value| -> Vec<Case> {
        file["cases"].as_array().unwrap().iter().map(|case| Case::read(&file, case)).collect()
    };
    paths.into_iter().map(read).flat_map(of_file).collect()
}

fn is_json(extension: &std::ffi::OsStr) -> bool {
    extension == "json"
}

/// Puts cases together that can share a gate.
pub(crate) fn group(cases: Vec<Case>) -> Vec<Group> {
    let mut groups: BTreeMap<String, Vec<Case>> = BTreeMap::new();
    for case in cases {
        let Case { ends, request, route, filter_state, .. } = &case;
        let document = case.document();
        let key = format!("{document} {ends:?} {} {route} {filter_state:?}", request.scheme);
        groups.entry(key).or_default().push(case);
    }
    let numbered = groups.into_values().enumerate();
    numbered.map(|(index, cases)| Group { name: format!("gate-{index}"), cases }).collect()
}

fn ends(file: &Value, keys: &Value) -> Vec<End> {
    let fetches = keys.as_object().into_iter().flatten().filter_map(|(_, ends)| ends.as_array());
    let mut ends: Vec<End> = fetches.flatten().map(|end| read_end(file, end)).collect();
    ends.sort_by_key(|end| end.at);
    ends
}

fn read_end(file: &Value, end: &Value) -> End {
    let document = end["jwks"].as_str().or(end["discovery"].as_str());
    let body = document.map(|name| match &file["key_sets"][name] {
        Value::String(text) => text.clone(),
        document => document.to_string(),
    });
    let status = end["status"].as_u64().map_or(200, |status| u16::try_from(status).unwrap());
    End {
        at: seconds(&end["at"]),
        domain: end["domain"].as_str().map(str::to_owned),
        is_configuration: end["discovery"].is_string(),
        answer: (end["failed"] != true).then(|| (status, body.unwrap_or_default())),
    }
}

fn field(field: &Value) -> (String, Vec<u8>) {
    let value = match &field[1] {
        Value::String(text) => text.clone().into_bytes(),
        bytes => Base64::decode_vec(text(&bytes["base64"])).unwrap(),
    };
    (text(&field[0]).to_owned(), value)
}

fn seconds(value: &Value) -> Duration {
    Duration::from_secs_f64(value.as_f64().unwrap())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
