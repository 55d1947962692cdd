//! Years of one issuer and one gate in virtual time: rotations, withdrawals, outages, lost and slow
//! fetches, bad documents, changing cache lifetimes and a clock that is set back and forth.

use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_compact::{
    Algorithm, AlgorithmSignature,
    alg::{Ed25519, Es256, SigningKey},
    jwk::JsonWebKey,
};
use serde_json::{Value, json};

use super::{
    tests::{at, only, ring_of},
    *,
};
use crate::token::{MAX_TOKEN_BYTES, UnverifiedToken};

type EsKey = <Es256 as Algorithm>::SigningKey;
type EdKey = <Ed25519 as Algorithm>::SigningKey;

const CONFIGURATION: &str = "/configuration";
const YEARS: u64 = 2;
const DAY: u64 = 86_400;
const TOKEN_LIFETIME: u64 = 900;
/// The policy's `cache_duration` and `max_stale`.
const CACHE: u64 = 1_800;
const MAX_STALE: u64 = DAY;
/// What lost fetches, the waits after them and a clock that was set may add to a bound.
const SLACK: u64 = 300;
/// How long one request may have to wait for keys, over a few lost fetches.
const LONGEST_WAIT: u64 = 60;

/// `SplitMix64`, as numbers from 0 up to a bound.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }

    fn between(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least * 1_000 + self.below((most - least) * 1_000 + 1))
    }
}

/// A key of the issuer, by its number; its `kid` is made of it.
#[derive(Clone, Copy)]
struct Key {
    number: u64,
    published: Duration,
    /// When it stopped signing, or never should have.
    retired: Option<Duration>,
}

impl Key {
    fn kid(self) -> String {
        format!("k{}", self.number)
    }

    /// Every other key is an ES256 key, and all of a kind are one key under many names.
    fn jwk(self) -> Value {
        let mut jwk = if self.number.is_multiple_of(2) {
            jwk(es_key().verifying_key())
        } else {
            jwk(&ed_key())
        };
        jwk["kid"] = json!(self.kid());
        jwk
    }

    fn token(self) -> String {
        let is_es = self.number.is_multiple_of(2);
        let header = json!({"alg": if is_es { "ES256" } else { "EdDSA" }, "kid": self.kid()});
        let part = |value: Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
        let text =
            format!("{}.{}", part(header), part(json!({"iss": "i", "exp": 4_000_000_000_u64})));
        let signature = if is_es {
            Es256.sign(&es_key(), text.as_bytes()).as_bytes().into_owned()
        } else {
            Ed25519.sign(&ed_key(), text.as_bytes()).as_bytes().into_owned()
        };
        format!("{text}.{}", Base64UrlUnpadded::encode_string(&signature))
    }
}

fn jwk<'a>(key: impl Into<JsonWebKey<'a>>) -> Value {
    serde_json::to_value(key.into().to_verifying_key()).unwrap()
}

fn es_key() -> EsKey {
    <EsKey as SigningKey<Es256>>::from_slice(&[7; 32]).unwrap()
}

fn ed_key() -> EdKey {
    <EdKey as SigningKey<Ed25519>>::from_slice(&[9; 32]).unwrap()
}

/// Publishes before use: a key signs only when all caches must have it.
struct Issuer {
    next: Key,
    current: Key,
    previous: Vec<Key>,
    withdrawn: Vec<Key>,
    generation: u64,
    document: String,
    cache_control: Option<&'static str>,
    /// Where the keys are; changes now and then.
    place: u64,
}

impl Issuer {
    fn new(now: Duration) -> Self {
        let key = |number| Key { number, published: now, retired: None };
        let mut issuer = Self {
            next: key(1),
            current: key(0),
            previous: vec![],
            withdrawn: vec![],
            generation: 0,
            document: String::new(),
            cache_control: None,
            place: 0,
        };
        issuer.publish();
        issuer
    }

    fn publish(&mut self) {
        let keys = [self.next, self.current].into_iter().chain(self.previous.iter().copied());
        self.document = json!({"keys": keys.map(Key::jwk).collect::<Vec<_>>()}).to_string();
        self.generation += 1;
    }

    fn rotate(&mut self, now: Duration, withdraw: bool) {
        let next = Key { number: self.next.number + 1, published: now, retired: None };
        let old = Key { retired: Some(now), ..self.current };
        if withdraw { &mut self.withdrawn } else { &mut self.previous }.push(old);
        self.current = std::mem::replace(&mut self.next, next);
        self.publish();
    }

    /// Takes away the keys whose last token has expired.
    fn clean(&mut self, now: Duration) {
        let lives = |key: &Key| now < key.retired.unwrap() + Duration::from_secs(TOKEN_LIFETIME);
        let before = self.previous.len();
        self.previous.retain(lives);
        if self.previous.len() < before {
            self.publish();
        }
    }

    /// How long its key set lives in the gate, in seconds.
    fn lifetime(&self) -> u128 {
        match self.cache_control {
            Some("max-age=60") => 60,
            Some("no-cache") => 5,
            Some("public, max-age=600, stale-if-error=86400") => 600,
            _ => CACHE.into(),
        }
    }

    fn configuration(&self) -> String {
        json!({"issuer": "https://i", "jwks_uri": format!("https://i/keys/{}", self.place)})
            .to_string()
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Trouble {
    NoAnswer,
    Status(u16),
    Document(&'static str),
}

/// A time when the issuer gives no good answers. The last one is kept after its end.
#[derive(Clone, Copy)]
struct Outage {
    start: Duration,
    end: Duration,
    trouble: Trouble,
}

struct World {
    seed: u64,
    random: Random,
    now: Duration,
    /// How far the gate's clock is ahead, in seconds, and 60 more.
    skew: u64,
    ring: KeyRing,
    issuer: Issuer,
    outage: Outage,
    next_change: Duration,
    next_rotation: Duration,
    /// When the answer comes to the fetch that is under way, and to which one.
    under_way: Option<(Duration, Fetch)>,
    last_begun: Duration,
    /// When the gate's clock was last set.
    last_set: Duration,
    counts: Counts,
}

#[derive(Default, Debug)]
struct Counts {
    fetches: u64,
    failures: u64,
    asked: u64,
    checked: u64,
    waits: u64,
    excused: u64,
    signatures: u64,
    withdrawals: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let (member, place) = if seed.is_multiple_of(2) {
            ("remote_jwks", "/keys/0")
        } else {
            ("openid_discovery", CONFIGURATION)
        };
        let uri = format!("https://i{place}");
        let fetching = json!({"http_uri": {"uri": uri, "timeout": "5s"},
            "cache_duration": format!("{CACHE}s"), "max_stale": format!("{MAX_STALE}s")});
        let mut provider = json!({"issuer": "https://i"});
        provider[member] = fetching;
        let never = Outage { start: at(0), end: at(0), trouble: Trouble::NoAnswer };
        Self {
            seed,
            random: Random(seed),
            now: at(0),
            skew: 60,
            ring: ring_of(json!({ "p": provider })).with_jitter_seed(seed),
            issuer: Issuer::new(at(0)),
            outage: never,
            next_change: at(DAY),
            next_rotation: at(DAY),
            under_way: None,
            last_begun: at(0).saturating_sub(Duration::from_secs(1_000)),
            last_set: at(0),
            counts: Counts::default(),
        }
    }

    fn is_discovered(&self) -> bool {
        !self.seed.is_multiple_of(2)
    }

    /// The gate's clock.
    fn gate_now(&self) -> Duration {
        (self.now + Duration::from_secs(self.skew)).saturating_sub(Duration::from_secs(60))
    }

    /// Lets the world go on until then.
    fn advance(&mut self, until: Duration) {
        let mut tick = self.now;
        loop {
            let wakeup = self.ring.next_wakeup().unwrap();
            let wakeup = wakeup + Duration::from_secs(60);
            let wakeup = wakeup.saturating_sub(Duration::from_secs(self.skew));
            let answer = self.under_way.as_ref().map_or(until, |(answer, _)| *answer);
            let wakeup = wakeup.max(tick);
            let next = until.min(answer).min(wakeup).min(self.next_change).min(self.next_rotation);
            self.now = self.now.max(next);
            if next >= until {
                return;
            }
            if next == self.next_rotation {
                self.rotate();
            } else if next == self.next_change {
                self.change();
            } else if next == answer {
                self.answer();
            }
            self.poll();
            tick = self.now + Duration::from_millis(20);
        }
    }

    fn poll(&mut self) {
        let Some(fetch) = self.ring.poll_fetch(self.gate_now()) else { return };
        // The keys are asked for right behind the configuration that says where they are.
        let second_step = self.is_discovered() && fetch.source.path != CONFIGURATION;
        let gap = self.now.saturating_sub(self.last_begun);
        assert!(
            second_step || gap >= Duration::from_millis(700) || self.last_set >= self.last_begun,
            "{}: two fetches within {gap:?}",
            self.story()
        );
        self.last_begun = self.now;
        self.counts.fetches += 1;
        if self.under_way.is_some() {
            self.counts.failures += 1;
        }
        let (lost, slow) = (self.random.below(100) == 0, self.random.below(20) == 0);
        let takes = if slow { self.random.between(0, 6) } else { Duration::from_millis(80) };
        let answer = if lost { Duration::MAX } else { self.now + takes };
        self.under_way = Some((answer, fetch));
    }

    /// The answer to the fetch that is under way comes.
    fn answer(&mut self) {
        let Some((_, fetch)) = self.under_way.take() else { return };
        let late = self.now.saturating_sub(self.last_begun) > fetch.source.timeout;
        let trouble = (self.now < self.outage.end).then_some(self.outage.trouble);
        let (body, etag) = match &*fetch.source.path {
            CONFIGURATION => (self.issuer.configuration(), format!("\"c{}\"", self.issuer.place)),
            _ => (self.issuer.document.clone(), format!("\"{}\"", self.issuer.generation)),
        };
        let place = format!("/keys/{}", self.issuer.place);
        let gone = fetch.source.path.starts_with("/keys/") && fetch.source.path != place;
        let known = fetch.if_none_match.as_deref() == Some(etag.as_bytes());
        let response = |status, body| Fetched::Response {
            status,
            etag: Some(etag.as_bytes()),
            cache_control: self.issuer.cache_control.map(str::as_bytes),
            age: None,
            body,
        };
        let fetched = match trouble {
            _ if late => Fetched::Failed,
            Some(Trouble::NoAnswer) => Fetched::Failed,
            Some(Trouble::Status(status)) => response(status, &b"{\"keys\": []}"[..]),
            Some(Trouble::Document(text)) => response(200, text.as_bytes()),
            None if gone && self.is_discovered() => response(404, b""),
            None if known => response(304, b""),
            None => response(200, body.as_bytes()),
        };
        let result = self.ring.handle_fetched(&fetch, fetched, self.gate_now());
        self.counts.failures += u64::from(result.is_err());
        assert!(
            result.is_err() || trouble.is_none(),
            "{}: {trouble:?} was taken for keys",
            self.story()
        );
    }

    fn rotate(&mut self) {
        self.issuer.clean(self.now);
        // The next key has to be in all caches before it signs.
        let ready = self.issuer.next.published + Duration::from_secs(CACHE + SLACK);
        if self.now >= ready && self.now >= self.outage.end + Duration::from_secs(CACHE + SLACK) {
            let withdraw = self.random.below(4) == 0;
            self.counts.withdrawals += u64::from(withdraw);
            self.issuer.rotate(self.now, withdraw);
        }
        self.next_rotation = self.now + self.random.between(3_000, 3 * DAY);
    }

    /// Something in the world becomes different.
    fn change(&mut self) {
        match self.random.below(10) {
            0 | 1 => {
                self.skew = if self.skew == 60 { self.random.below(121) } else { 60 };
                self.last_set = self.now;
            }
            2..=4 => {
                self.issuer.cache_control = match self.random.below(40) {
                    0 => Some("no-cache"),
                    1..=3 => Some("max-age=60"),
                    4..=15 => None,
                    16..=25 => Some("max-age=86400"),
                    _ => Some("public, max-age=600, stale-if-error=86400"),
                };
            }
            5 if self.now >= self.outage.end => {
                self.issuer.place += u64::from(self.is_discovered());
            }
            _ if self.now >= self.outage.end => {
                let troubles = [
                    Trouble::NoAnswer,
                    Trouble::Status(500),
                    Trouble::Status(404),
                    Trouble::Status(301),
                    Trouble::Document("<html>maintenance</html>"),
                    Trouble::Document("{\"keys\": [{\"kid\": \"k"),
                    Trouble::Document(""),
                ];
                let trouble = troubles[self.random.index(7)];
                let length = match self.random.below(40) {
                    0 => self.random.between(DAY, 3 * DAY),
                    1..=8 => self.random.between(3_600, 20 * 3_600),
                    _ => self.random.between(1, 600),
                };
                self.outage = Outage { start: self.now, end: self.now + length, trouble };
            }
            _ => {}
        }
        self.next_change = self.now + self.random.between(600, DAY);
    }

    /// What a token of this key is to the gate, once it no longer waits.
    fn verdict(&mut self, key: Key) -> Result<bool, Duration> {
        let (start, kid) = (self.now, key.kid());
        loop {
            match self.ring.at_hand(0, None, Some(&kid), self.gate_now()) {
                KeysAtHand::Ready { keys, .. } => return Ok(keys.contains(&kid)),
                KeysAtHand::Unavailable { retry_after } => return Err(retry_after),
                KeysAtHand::Await => {}
            }
            self.counts.waits += u64::from(start == self.now);
            self.counts.asked += u64::from(self.ring.demand(&only(), self.gate_now()));
            self.poll();
            self.advance(self.now + Duration::from_millis(50));
            let waited = self.now.saturating_sub(start);
            let end = Duration::from_secs(LONGEST_WAIT);
            assert!(waited < end, "{}: waits for ever", self.story());
        }
    }

    /// A request with a token of a key that signs, or did until a moment ago.
    fn valid_request(&mut self) {
        let previous = self.issuer.previous.iter().copied().filter(|key| {
            self.now < key.retired.unwrap() + Duration::from_secs(TOKEN_LIFETIME - LONGEST_WAIT)
        });
        let keys: Vec<Key> = previous.chain([self.issuer.current]).collect();
        let key = keys[self.random.index(keys.len())];
        let excused = self.is_excused();
        let verdict = self.verdict(key);
        self.counts.checked += 1;
        if verdict != Ok(true) {
            assert!(excused, "{}: {} is denied: {verdict:?}", self.story(), key.kid());
            self.counts.excused += 1;
        } else if self.random.below(1_000) == 0 {
            self.check_signature(key);
        }
    }

    /// Whether it is no wonder that there are no keys: for `max_stale` nobody could get any.
    fn is_excused(&self) -> bool {
        let longest = Duration::from_secs(MAX_STALE - CACHE - SLACK);
        let so_far = self.now.min(self.outage.end).saturating_sub(self.outage.start);
        let over = self.now >= self.outage.end + Duration::from_secs(SLACK);
        (so_far > longest && !over) || self.counts.checked == 0
    }

    fn check_signature(&mut self, key: Key) {
        let text = key.token();
        let token = UnverifiedToken::parse(text.as_bytes(), MAX_TOKEN_BYTES).unwrap();
        let KeysAtHand::Ready { keys, .. } =
            self.ring.at_hand(0, None, token.key_id(), self.gate_now())
        else {
            return;
        };
        assert!(token.verify_by(self.ring.signatures(), keys).is_ok(), "{}", self.story());
        self.counts.signatures += 1;
    }

    /// A thief with a token of a withdrawn key, which passes no longer than it must.
    fn withdrawn_request(&mut self) {
        let Some(key) = self.issuer.withdrawn.last().copied() else { return };
        let since = self.now.saturating_sub(key.retired.unwrap());
        let in_outage = self.now < self.outage.end + Duration::from_secs(SLACK)
            && self.outage.start < key.retired.unwrap() + Duration::from_secs(CACHE + SLACK);
        let bound = if in_outage { MAX_STALE + SLACK } else { CACHE + SLACK };
        if self.verdict(key) == Ok(true) {
            let bound = Duration::from_secs(bound);
            assert!(since <= bound, "{}: withdrawn {since:?} ago, and passes", self.story());
        }
    }

    /// A stranger with a made-up `kid`.
    fn made_up_request(&mut self) {
        let key = Key { number: 1_000_000, published: self.now, retired: None };
        assert_ne!(self.verdict(key), Ok(true), "{}", self.story());
    }

    fn story(&self) -> String {
        format!(
            "seed {}, second {}, outage {:?} from {} to {}, clock {:+}, {:?}",
            self.seed,
            second(self.now),
            self.outage.trouble,
            second(self.outage.start),
            second(self.outage.end),
            self.skew.cast_signed() - 60,
            self.counts
        )
    }
}

fn second(time: Duration) -> u64 {
    time.saturating_sub(at(0)).as_secs()
}

/// Lets the world live for years, with requests every ten minutes or so.
fn live(seed: u64) {
    let mut world = World::new(seed);
    // The nanofetches that are due if every set is refreshed after four fifths of its lifetime.
    let mut due = 0;
    while world.now < at(YEARS * 365 * DAY) {
        let start = world.now;
        let lifetime = world.issuer.lifetime();
        let pause = world.random.between(1, 1_200);
        let pause = pause.min(world.next_change.saturating_sub(world.now));
        world.advance(world.now + pause.max(Duration::from_millis(50)));
        match world.random.below(20) {
            0 => world.made_up_request(),
            1..=4 => world.withdrawn_request(),
            _ => world.valid_request(),
        }
        due += (world.now.saturating_sub(start)).as_nanos() * 5 / (4 * lifetime);
    }
    let (counts, story) = (&world.counts, world.story());
    let due = u64::try_from(due / 1_000_000_000).unwrap();
    // One for each configuration, at most once in five minutes, where there are any.
    let configurations = if world.is_discovered() { YEARS * 365 * DAY / 300 } else { 0 };
    let changes = YEARS * 365 * 20; // what a shorter lifetime and a set clock bring forward
    let allowed = due + counts.asked + counts.failures + configurations + changes;
    assert!(counts.fetches <= allowed, "{story}: at most {allowed} fetches");
    assert!(counts.fetches * 2 >= due, "{story}: {due} refreshes are due");
    assert!(counts.checked > 50_000 && counts.withdrawals > 20, "{story}");
    assert!(counts.excused > 0 && counts.signatures > 20, "{story}");
}

#[test]
fn years_with_one_place_for_the_keys() {
    live(2);
}

#[test]
fn more_years_with_one_place_for_the_keys() {
    live(4);
}

#[test]
fn years_with_discovery() {
    live(1);
}

#[test]
fn more_years_with_discovery() {
    live(3);
}
