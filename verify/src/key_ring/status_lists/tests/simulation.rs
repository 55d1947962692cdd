//! Hours of one issuer and one gate: revocations, outages, slow, lost and tampered answers, replays of
//! old lists, rotations, and a clock that is up to a minute wrong.

use super::*;

/// How late a revocation may be while all is well: a poll, the slowest answer, a lost one, a wait.
const LATEST: u64 = 16_000;
const PLACES: u64 = 60;

/// `SplitMix64`, as numbers from 0 up to a bound.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

struct World {
    random: Random,
    /// In milliseconds, by the issuer's clock.
    now: u64,
    /// How far the gate's clock is ahead, and a minute more.
    skew: u64,
    gate: Gate,
    key: u8,
    keys: Vec<u8>,
    /// When which places were revoked.
    revoked: Vec<(u64, u64)>,
    outage_until: u64,
    /// When all was well again.
    well_since: u64,
    /// What was answered so far, for replays.
    old: Vec<String>,
    under_way: Vec<(u64, Fetch, Option<String>)>,
    next_token: u64,
    counts: [u64; 4],
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            random: Random(seed),
            now: 0,
            skew: 60_000,
            gate: gate_with(json!({"timeout": "2s"})).with_jitter_seed(seed),
            key: 1,
            keys: vec![1, 2],
            revoked: Vec::new(),
            outage_until: 0,
            well_since: 0,
            old: Vec::new(),
            under_way: Vec::new(),
            next_token: 0,
            counts: [0; 4],
        }
    }

    fn gate_now(&self) -> Duration {
        at(self.now + self.skew).saturating_sub(Duration::from_secs(60))
    }

    fn list(&self) -> String {
        let refused: Vec<u64> = self.revoked.iter().map(|(place, _)| *place).collect();
        list(self.key, 0, at(self.now), &refused)
    }

    fn step(&mut self) {
        self.now += 50 + self.random.below(400);
        match self.random.below(400) {
            0..=4 => {
                let place = self.random.below(PLACES);
                if !self.revoked.iter().any(|(known, _)| *known == place) {
                    self.revoked.push((place, self.now));
                }
            }
            5 => {
                self.outage_until = self.now + self.random.below(150_000);
                self.well_since = self.well_since.max(self.outage_until);
            }
            6 => {
                self.skew = self.random.below(120_001);
                self.well_since = self.well_since.max(self.now);
            }
            7 => {
                self.key += 1;
                self.keys.push(self.key + 1);
                if self.keys.len() > 3 {
                    self.keys.remove(0);
                }
                self.well_since = self.well_since.max(self.now);
            }
            8 if self.revoked.len() > 30 => self.begin_anew(),
            _ => {}
        }
        self.answer();
        self.poll();
    }

    /// All tokens have expired, and others take their places.
    fn begin_anew(&mut self) {
        self.revoked.clear();
        self.old.clear();
        self.under_way.clear();
        self.well_since = self.well_since.max(self.now + 400_000);
    }

    fn poll(&mut self) {
        let now = self.gate_now();
        while let Some(fetch) = self.gate.keys_mut().poll_fetch(now) {
            self.counts[0] += 1;
            let takes = if self.random.below(20) == 0 { self.random.below(2_500) } else { 80 };
            let (lost, tampered) = (self.random.below(50) == 0, self.random.below(50) == 0);
            let body = if fetch.key_set.status_list.is_none() {
                Some(key_set(&self.keys))
            } else if tampered && !self.old.is_empty() {
                self.well_since = self.well_since.max(self.now);
                let number = self.random.below(self.old.len() as u64);
                let replayed = &self.old[usize::try_from(number).unwrap()];
                Some(if self.random.below(2) == 0 {
                    replayed.clone()
                } else {
                    replayed.replace('e', "f")
                })
            } else {
                let body = self.list();
                self.old.push(body.clone());
                Some(body)
            };
            let body = body.filter(|_| self.now >= self.outage_until);
            let end = if lost { u64::MAX } else { self.now + takes };
            self.under_way.push((end, fetch, body));
        }
    }

    fn answer(&mut self) {
        let (now, gate_now) = (self.now, self.gate_now());
        let (ended, under_way) =
            std::mem::take(&mut self.under_way).into_iter().partition(|(end, ..)| *end <= now);
        self.under_way = under_way;
        let ended: Vec<(u64, Fetch, Option<String>)> = ended;
        for (_, fetch, body) in ended {
            let fetched = body.as_deref().map_or(Fetched::Failed, answer);
            let _ = self.gate.keys_mut().handle_fetched(&fetch, fetched, gate_now);
        }
    }

    fn request(&mut self) {
        let place = self.random.below(PLACES);
        self.next_token += 1;
        let claims = json!({"iss": "https://i", "exp": 4_000_000_000_u64, "jti": self.next_token / 50,
            "status": {"status_list": {"idx": place, "uri": uri(0)}}});
        let token = signed(self.key, "JWT", &claims);
        let now = self.gate_now();
        let code = verdict(&mut self.gate, &token, now);
        if code == "awaits its list" {
            self.gate.keys_mut().demand(&list_id(0), now);
        } else if code == "awaits keys" {
            self.gate.keys_mut().demand(&KeySetId::new(0, None), now);
        }
        let revoked = self.revoked.iter().find(|(known, _)| *known == place).map(|(_, when)| *when);
        let story =
            format!("{place} at {}, revoked {revoked:?}, well since {}", self.now, self.well_since);
        match (code, revoked) {
            ("ok", Some(when)) => {
                // However long all was well before: not longer than a stale list counts.
                let late = self.now - when.max(self.well_since.min(self.now));
                assert!(late < LATEST, "{late} ms late: {story}");
                assert!(self.now - when < 60_000 + 120_000 + LATEST, "{story}");
                self.counts[1] += 1;
            }
            ("ok", None) => self.counts[2] += 1,
            ("token_revoked", _) => {
                let since = self.well_since;
                assert!(
                    revoked.is_some() || since + LATEST > self.now,
                    "revoked by nobody: {story}"
                );
                self.counts[3] += 1;
            }
            (
                "awaits its list" | "awaits keys" | "status_unavailable" | "keys_unavailable"
                | "key_unknown",
                _,
            ) => {}
            (code, _) => panic!("{code}: {story}"),
        }
    }
}

fn live(seed: u64) {
    let mut world = World::new(seed);
    while world.now < 90 * 60_000 {
        world.step();
        world.request();
    }
    let [fetches, late, passed, revoked] = world.counts;
    // Every five seconds, and some more for failures and rotations.
    assert!((1_000..2_500).contains(&fetches), "{fetches}");
    assert!(late > 0 && passed > 2_500 && revoked > 1_000, "{late} {passed} {revoked}");
    let refused = world.gate.counters().lists_refused;
    assert!(refused > 5, "{refused}");
}

#[test]
fn hours_of_revocations_and_troubles() {
    live(0);
}

#[test]
fn more_hours_of_revocations_and_troubles() {
    live(1);
}
