//! Playing the cases, age by age. In an age, Envoy has the listeners of the groups whose time goes
//! the same way, and its clock goes through their times.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use base64ct::{Base64UrlUnpadded, Encoding};
use postern_tests::{LiveEnvoy, SetClock, wait_until};
use serde_json::{Value, json};

use super::{
    case::{Case, Group, Request},
    client::{Asked, ask},
    compare::Outcome,
    keys::{KeyServer, fetched_provider},
    listeners,
    upstream::Upstream,
};

/// Longer than the filter's longest wait between two looks at what is due.
const LIMIT: Duration = Duration::from_secs(20);
const OPEN: &str = "open";

/// Groups whose time goes the same way.
pub(crate) struct Age {
    times: Vec<Duration>,
    groups: Vec<Group>,
}

impl Age {
    /// All ages. Fetches that are never answered have one to themselves: they time out while
    /// hundreds of other gates are set up.
    pub(crate) fn all(groups: Vec<Group>) -> Vec<Self> {
        let mut ages: BTreeMap<(Vec<Duration>, bool), Vec<Group>> = BTreeMap::new();
        for group in groups {
            let key = (group.times(), is_pending(&group));
            ages.entry(key).or_default().push(group);
        }
        ages.into_iter().map(|((times, _), groups)| Self { times, groups }).collect()
    }
}

fn is_pending(group: &Group) -> bool {
    let is_fetched = fetched_provider(&group.first().policy).is_some();
    is_fetched && (group.first().ends.is_empty() || group.cases.iter().any(Case::waits))
}

/// Envoy, and everything around it.
pub(crate) struct Stage {
    envoy: LiveEnvoy,
    clock: SetClock,
    upstream: Upstream,
    keys: BTreeMap<String, KeyServer>,
    addresses: BTreeMap<String, SocketAddr>,
}

impl Stage {
    pub(crate) async fn set(groups: &[Group]) -> Self {
        let upstream = Upstream::start().await;
        let clock = SetClock::new(groups[0].first().now).unwrap();
        let mut keys = BTreeMap::new();
        for group in groups {
            if fetched_provider(&group.first().policy).is_some() {
                let server = KeyServer::start(group.first(), clock.watch()).await;
                keys.insert(group.name.clone(), server);
            }
        }
        let places = keys.iter().map(|(name, server)| (name.as_str(), server.address));
        let clusters = listeners::clusters(upstream.address, places);
        let envoy = LiveEnvoy::start(&clusters, &clock).await.unwrap();
        Self { envoy, clock, upstream, keys, addresses: BTreeMap::new() }
    }

    /// Tries to open gates with policies that are to be refused; returns what was not, or not for
    /// the reason that was expected.
    pub(crate) async fn refuse(&mut self, cases: &[Case]) -> Vec<String> {
        let gate = |case: &Case| listeners::gate(&case.name, &case.document(), "https");
        // While none runs, Envoy compiles the filter anew for each.
        let gates: Vec<Value> =
            [listeners::idle()].into_iter().chain(cases.iter().map(gate)).collect();
        let opened = self.envoy.listen(&gates).await.unwrap();
        let log = self.envoy.log();
        let reasons = reasons(&log);
        let wrong = |case: &Case| {
            let member = case.expect["member"].as_str().unwrap();
            let reason = reasons.get(case.name.as_str()).copied().unwrap_or("(none)");
            let right = reason.starts_with(member) && !opened.contains_key(&case.name);
            (!right).then(|| format!("{}: refused by {reason}, not at {member}", case.name))
        };
        cases.iter().filter_map(wrong).collect()
    }

    /// Plays all cases of an age and returns what came of each.
    pub(crate) async fn play<'a>(&mut self, age: &'a Age) -> Vec<(&'a Case, Outcome)> {
        self.clock.set(age.times[0]).unwrap();
        let gates = age.groups.iter().map(gate);
        let gates: Vec<Value> =
            [listeners::idle(), listeners::open(OPEN)].into_iter().chain(gates).collect();
        self.addresses = self.envoy.listen(&gates).await.unwrap();
        assert_eq!(self.addresses.len(), gates.len(), "{}", self.envoy.log());
        let mut outcomes = Vec::new();
        for now in &age.times {
            self.clock.set(*now).unwrap();
            for group in &age.groups {
                if age.times.len() > 1 {
                    self.end_fetches(group, *now).await;
                }
                for case in group.cases.iter().filter(|case| case.now == *now) {
                    outcomes.push((case, self.outcome(group, case).await));
                }
            }
        }
        outcomes
    }

    /// Sees to it that the fetches end which are to end now, and that the filter knows: a token whose
    /// key is unknown waits for that, and is why they are made if there is no other reason.
    async fn end_fetches(&self, group: &Group, now: Duration) {
        if !group.first().ends.iter().any(|end| end.at == now) {
            return;
        }
        self.ask(group, &stranger(group)).await.answer().await.unwrap();
        self.upstream.take();
        let missed = self.keys[&group.name].missed(now);
        assert_eq!(missed, [""; 0], "{}", group.first().name);
    }

    async fn outcome(&self, group: &Group, case: &Case) -> Outcome {
        if case.waits() {
            return self.outcome_of_waiting(group, case).await;
        }
        let answer = self.ask(group, &case.request).await.answer().await;
        Outcome::new(answer, self.upstream.take())
    }

    /// A request that waits is one that has reached the gate, has not been answered when a later
    /// one has, and whose keys are being fetched.
    async fn outcome_of_waiting(&self, group: &Group, case: &Case) -> Outcome {
        let counter = format!("http.{}.downstream_rq_total", group.name);
        let before = self.envoy.counter(&counter).await.unwrap();
        let asked = self.ask(group, &case.request).await;
        let reached = async || self.envoy.counter(&counter).await.is_ok_and(|now| now > before);
        wait_until("a request reaches the gate", LIMIT, reached).await.unwrap();
        let later = ask(self.addresses[OPEN], &case.request).await;
        later.answer().await.unwrap();
        if !asked.is_unanswered() {
            return Outcome::new(asked.answer().await, self.upstream.take());
        }
        let domain = case.expect["domain"].as_str();
        let server = &self.keys[&group.name];
        let fetched = async || server.keeps_waiting(domain);
        let what = format!("the fetch of {}", case.name);
        wait_until(&what, LIMIT, fetched).await.unwrap();
        Outcome::Waits
    }

    async fn ask(&self, group: &Group, request: &Request) -> Asked {
        ask(self.addresses[&group.name], request).await
    }
}

impl Case {
    fn waits(&self) -> bool {
        self.expects("await")
    }
}

fn gate(group: &Group) -> Value {
    let case = group.first();
    let policy = listeners::reachable(case.policy.clone(), &group.name);
    listeners::gate_of(&group.name, &policy, case)
}

/// Why gates were not opened, by name: Envoy's log tells what the filter says, then of whom.
fn reasons(log: &str) -> BTreeMap<&str, &str> {
    let mut reason = "(none)";
    let mut reasons = BTreeMap::new();
    for line in log.lines() {
        if let Some((_, said)) = line.split_once("postern: bad policy: ") {
            reason = said;
        } else if let Some((_, failed)) = line.split_once("] Plugin ") {
            let name = failed.strip_suffix(" failed to load");
            reasons.extend(name.map(|name| (name, std::mem::replace(&mut reason, "(none)"))));
        }
    }
    reasons
}

/// A request of the group whose token names a key that nobody has.
fn stranger(group: &Group) -> Request {
    let case = group.cases.iter().find(|case| case.token.is_some()).unwrap();
    let token = case.token.as_deref().unwrap();
    let (header, rest) = token.split_once('.').unwrap();
    let header = Base64UrlUnpadded::decode_vec(header).unwrap();
    let mut header: Value = serde_json::from_slice(&header).unwrap();
    header["kid"] = json!("nobody's");
    let header = Base64UrlUnpadded::encode_string(header.to_string().as_bytes());
    let mut request = case.request.clone();
    for (_, value) in &mut request.fields {
        let text = String::from_utf8_lossy(value);
        *value = text.replace(token, &format!("{header}.{rest}")).into_bytes();
    }
    request
}
