//! Spellings of a path: what reaches the upstream as an open one is open in every reading.

use std::collections::BTreeSet;

use postern_tests::{RawConnection, Seen};
use serde_json::json;

use super::gate;
use crate::local_gate::LocalGate;
use crate::random::Random;

const SEED: u64 = 4;
const PATHS: usize = 6000;
pub(crate) const PIECES: [&str; 30] = [
    "/", "/", "/", "//", "%2f", "%2F", "\\", "%5c", "%5C", ".", "..", "%2e", "%2E%2e", ".%2e", ";",
    ";x=1", "%3b", "open", "open", "api", "api", "%61pi", "a", "%00", "%", "%252e", "#", "?",
    "\u{e9}", "API",
];

#[tokio::test]
async fn as_envoy_settles_them() {
    let gate = gate(json!({}), &[]).await;
    try_paths(&gate).await;
}

#[tokio::test]
async fn as_envoy_leaves_them() {
    let unsettled = [
        ("normalize_path: true", "normalize_path: false"),
        ("merge_slashes: true", "merge_slashes: false"),
        ("escaped_slashes_action: REJECT_REQUEST", "escaped_slashes_action: KEEP_UNCHANGED"),
    ];
    let gate = gate(json!({}), &unsettled).await;
    try_paths(&gate).await;
}

async fn try_paths(gate: &LocalGate) {
    let mut random = Random::new(SEED);
    let mut connection = RawConnection::open(gate.envoy.gate()).await.unwrap();
    let mut reached = 0;
    for _ in 0..PATHS {
        let target = target(&mut random);
        let request = format!("GET {target} HTTP/1.1\r\nhost: gate\r\n\r\n");
        connection.write(request.as_bytes()).await.unwrap();
        let answer = connection.read(false).await.unwrap().unwrap();
        if answer.status == 200 {
            let seen = Seen::read(&answer).unwrap().target;
            let readings = readings(&seen);
            let open = readings.iter().all(|path| path == "/open" || path.starts_with("/open/"));
            assert!(open, "{target:?} became {seen:?}, which may be read as {readings:?}");
            reached += 1;
        }
        if answer.header("connection") == "close" {
            connection = RawConnection::open(gate.envoy.gate()).await.unwrap();
        }
    }
    assert!(reached > PATHS / 100, "only {reached} of {PATHS} paths were open");
    assert_eq!(gate.upstream.requests(), reached as u64);
}

fn target(random: &mut Random) -> String {
    let mut target = random.pick(&["/open/", "/open", "/api/", "/"]).to_string();
    for _ in 0..random.below(7) {
        let piece = *random.pick(&PIECES);
        target.push_str(piece);
    }
    target
}

/// Every path that somebody may take this target for.
pub(crate) fn readings(target: &str) -> BTreeSet<String> {
    let path = target.split('?').next().unwrap().to_owned();
    let mut known = BTreeSet::from([path.clone(), decoded(&path)]);
    loop {
        let more: Vec<String> = known.iter().flat_map(|path| simplified(path)).collect();
        let before = known.len();
        known.extend(more);
        if known.len() == before {
            return known;
        }
    }
}

fn simplified(path: &str) -> [String; 4] {
    let without_parameters = |segment: &str| segment.split(';').next().unwrap().to_owned();
    let segments: Vec<String> = path.split('/').map(without_parameters).collect();
    [path.replace('\\', "/"), merged(path), segments.join("/"), resolved(path)]
}

fn merged(path: &str) -> String {
    let mut merged = path.to_owned();
    while merged.contains("//") {
        merged = merged.replace("//", "/");
    }
    merged
}

fn resolved(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    format!("/{}", segments.join("/"))
}

pub(crate) fn decoded(path: &str) -> String {
    let mut parts = path.split('%');
    let mut decoded = parts.next().unwrap().to_owned();
    for part in parts {
        let escape = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escape {
            Some(byte) => decoded.extend([char::from(byte).to_string().as_str(), &part[2..]]),
            None => decoded.extend(["%", part]),
        }
    }
    decoded
}
