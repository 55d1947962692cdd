//! What is known of a run when it is over: tokens, what became of them, who was cut off when, and
//! every request with its answer. Times count from the Unix epoch, by the true clock.

use std::collections::BTreeMap;
use std::time::Duration;

/// Everything, in the order in which it became known.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) limits: Limits,
    pub(super) edges: Vec<EdgeFacts>,
    pub(super) tokens: Vec<TokenFacts>,
    pub(super) revocations: Vec<Revocation>,
    /// When each key was first seen to be published, by its `kid`.
    pub(super) keys: BTreeMap<String, Duration>,
    pub(super) troubles: Vec<Trouble>,
    pub(super) shifts: Vec<Shift>,
    /// Regular ones, and of which domain.
    pub(super) rotations: Vec<(Duration, &'static str)>,
    pub(super) requests: Vec<Asked>,
}

/// What the policies of the edges promise.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    /// How long an edge has to reach the issuer before it has to know who is revoked there,
    pub(super) learning: Duration,
    /// and which keys there are.
    pub(super) learning_keys: Duration,
    /// How often it asks.
    pub(super) max_age: Duration,
    /// How long it goes by a list that it cannot refresh.
    pub(super) max_stale: Duration,
}

#[derive(Clone, Debug)]
pub(super) struct EdgeFacts {
    pub(super) name: &'static str,
    /// What its policy allows clocks to differ by.
    pub(super) allowed_skew: Duration,
}

/// A token that the issuer has made.
#[derive(Clone, Debug)]
pub(super) struct TokenFacts {
    pub(super) domain: &'static str,
    pub(super) subject: String,
    /// One login, over all of its tokens.
    pub(super) session: u32,
    pub(super) key_id: String,
    /// Its `iat`.
    pub(super) issued: Duration,
    /// Its `exp`.
    pub(super) expiration: Duration,
}

/// How tokens come to an end before their time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Means {
    Logout,
    Disable,
    Reuse,
    EndOfUser,
    EndOfDomain,
    Withdrawal,
}

impl Means {
    pub(super) const ALL: [Self; 6] = [
        Self::Logout,
        Self::Disable,
        Self::Reuse,
        Self::EndOfUser,
        Self::EndOfDomain,
        Self::Withdrawal,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::Disable => "user disabled",
            Self::Reuse => "re-use of a replaced token",
            Self::EndOfUser => "sessions of a user ended",
            Self::EndOfDomain => "sessions of a domain ended",
            Self::Withdrawal => "keys withdrawn",
        }
    }
}

/// Whom a revocation hits.
#[derive(Clone, Debug)]
pub(super) enum Scope {
    Session(u32),
    /// All that was issued before in a domain: to one subject, or to all.
    Issued(&'static str, Option<String>),
    /// All that these of a domain have signed.
    Keys(&'static str, Vec<String>),
}

#[derive(Clone, Debug)]
pub(super) struct Revocation {
    pub(super) means: Means,
    pub(super) scope: Scope,
    /// From here on it may be in force,
    pub(super) asked: Duration,
    /// and from here on it is: the issuer has said so.
    pub(super) done: Option<Duration>,
}

/// Whether a revocation hits a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hit {
    Yes,
    No,
    /// The token was issued in the same second.
    Perhaps,
}

impl Revocation {
    pub(super) fn hits(&self, token: &TokenFacts) -> Hit {
        let is_hit = match &self.scope {
            Scope::Session(session) => *session == token.session,
            Scope::Keys(_, keys) => keys.contains(&token.key_id),
            Scope::Issued(domain, subject) => {
                let is_meant = *domain == token.domain
                    && subject.as_ref().is_none_or(|subject| *subject == token.subject);
                // `iat` knows whole seconds only.
                let until = self.done.unwrap_or(Duration::MAX);
                return match token.issued.as_secs() {
                    _ if !is_meant => Hit::No,
                    second if second < self.asked.as_secs() => Hit::Yes,
                    second if second <= until.as_secs() => Hit::Perhaps,
                    _ => Hit::No,
                };
            }
        };
        if is_hit { Hit::Yes } else { Hit::No }
    }
}

/// What is done to the edges and to the issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Cut,
    LongCut,
    IssuerDead,
    /// It does not answer in time, and nobody has done anything to it: the machine is busy.
    IssuerBusy,
    Slow,
    Flip,
    Truncate,
    RollBack,
    Freeze,
    HotRestart,
    Kill,
    Restart,
    ClockJump,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cut => "cut off",
            Self::LongCut => "cut off for longer than max_stale",
            Self::IssuerDead => "issuer dead",
            Self::IssuerBusy => "issuer busy",
            Self::Slow => "slow",
            Self::Flip => "bytes flipped",
            Self::Truncate => "answers truncated",
            Self::RollBack => "rolled back",
            Self::Freeze => "frozen",
            Self::HotRestart => "hot restart",
            Self::Kill => "killed",
            Self::Restart => "restart",
            Self::ClockJump => "clock off by 60 s",
        }
    }

    /// Whether an edge cannot learn anything new meanwhile.
    pub(super) fn keeps_in_the_dark(self) -> bool {
        match self {
            Self::Cut
            | Self::LongCut
            | Self::IssuerDead
            | Self::IssuerBusy
            | Self::Flip
            | Self::Truncate
            | Self::RollBack
            | Self::Freeze => true,
            Self::Slow | Self::HotRestart | Self::Kill | Self::Restart | Self::ClockJump => false,
        }
    }

    /// Whether nobody listens meanwhile. A hot restart has to go unseen.
    pub(super) fn silences(self) -> bool {
        matches!(self, Self::Kill | Self::Restart)
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Trouble {
    pub(super) kind: Kind,
    /// None: all of them.
    pub(super) edge: Option<usize>,
    pub(super) since: Duration,
    /// None: it goes on.
    pub(super) until: Option<Duration>,
}

impl Trouble {
    pub(super) fn is_of(&self, edge: usize) -> bool {
        self.edge.is_none_or(|of| of == edge)
    }

    pub(super) fn end(&self) -> Duration {
        self.until.unwrap_or(Duration::MAX)
    }
}

/// From here on, an edge's clock is off by so much.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shift {
    pub(super) edge: usize,
    pub(super) at: Duration,
    pub(super) seconds: i64,
}

/// One request, and what came of it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) edge: usize,
    pub(super) token: usize,
    pub(super) manner: Manner,
    pub(super) sent: Duration,
    pub(super) took: Duration,
    pub(super) answer: Answer,
}

/// How a token is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    AsItIs,
    Forged,
    /// Where the tokens of the other domain are asked for.
    Abroad,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Allowed,
    /// The API was told of another user than the token's.
    AsSomebodyElse,
    /// Status and code.
    Refused(u16, String),
    /// No answer at all, although asked twice.
    Nothing(String),
}

impl Answer {
    /// Refused because the gate does not know enough to decide.
    pub(super) fn is_unavailable(&self) -> bool {
        matches!(self, Self::Refused(503, code) if code.ends_with("_unavailable"))
    }

    /// Refused because the gate may not know the token's key yet.
    pub(super) fn is_for_want_of_keys(&self) -> bool {
        matches!(self, Self::Refused(503, code) if code == "keys_unavailable")
    }

    /// Refused for what the token is.
    pub(super) fn is_denial(&self) -> bool {
        matches!(self, Self::Refused(401 | 403, code) if !code.is_empty())
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::Allowed => "allowed".to_owned(),
            Self::AsSomebodyElse => "allowed as somebody else".to_owned(),
            Self::Refused(status, code) if code.is_empty() => format!("status {status}"),
            Self::Refused(_, code) => code.clone(),
            Self::Nothing(_) => "no answer".to_owned(),
        }
    }
}

impl Asked {
    pub(super) fn answered(&self) -> Duration {
        self.sent + self.took
    }
}

impl Book {
    /// From when to when an edge could reach the issuer between two times.
    pub(super) fn light(
        &self,
        edge: usize,
        from: Duration,
        to: Duration,
    ) -> Vec<(Duration, Duration)> {
        let mut dark: Vec<(Duration, Duration)> = self
            .troubles
            .iter()
            .filter(|trouble| trouble.is_of(edge) && trouble.kind.keeps_in_the_dark())
            .map(|trouble| (trouble.since.max(from), trouble.end().min(to)))
            .filter(|(since, until)| since < until)
            .collect();
        dark.sort_unstable();
        let (mut light, mut at) = (Vec::new(), from);
        for (since, until) in dark.into_iter().chain([(to, to)]) {
            if since > at {
                light.push((at, since));
            }
            at = at.max(until);
        }
        light
    }

    /// For how long: the longest stretch, and all.
    pub(super) fn reachable(
        &self,
        edge: usize,
        from: Duration,
        to: Duration,
    ) -> (Duration, Duration) {
        let light = self.light(edge, from, to);
        let lengths = || light.iter().map(|(since, until)| until.saturating_sub(*since));
        (lengths().max().unwrap_or_default(), lengths().sum())
    }

    /// Whether an edge has had the time to learn, by `at`, of an end at `from`.
    pub(super) fn could_learn(&self, edge: usize, from: Duration, at: Duration) -> bool {
        self.reachable(edge, from, at).0 >= self.limits.learning
    }

    /// The same of a key that came at `from`.
    pub(super) fn could_learn_key(&self, edge: usize, from: Duration, at: Duration) -> bool {
        self.reachable(edge, from, at).0 >= self.limits.learning_keys
    }

    /// The least and the most that an edge's clock is off by about a time, in seconds.
    pub(super) fn shift(&self, edge: usize, at: Duration) -> (i64, i64) {
        const ABOUT: Duration = Duration::from_millis(500);
        let (mut least, mut most) = (0, 0);
        for shift in self.shifts.iter().filter(|shift| shift.edge == edge) {
            if shift.at + ABOUT < at {
                (least, most) = (shift.seconds, shift.seconds);
            } else if shift.at <= at + ABOUT {
                least = least.min(shift.seconds);
                most = most.max(shift.seconds);
            }
        }
        (least, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_an_edge_could_learn_is_between_its_troubles() {
        let trouble = |kind, edge, since, until| Trouble { kind, edge, since, until };
        let book = Book {
            limits: Limits { learning: at(10), ..Limits::default() },
            troubles: vec![
                trouble(Kind::Cut, Some(0), at(5), Some(at(8))),
                trouble(Kind::Freeze, Some(0), at(6), Some(at(10))),
                trouble(Kind::Slow, Some(0), at(11), Some(at(15))),
                trouble(Kind::Cut, Some(1), at(0), None),
                trouble(Kind::IssuerDead, None, at(30), Some(at(31))),
            ],
            ..Book::default()
        };
        assert_eq!(book.reachable(0, at(0), at(20)), (at(10), at(15)));
        assert!(!book.could_learn(0, at(0), at(19)) && book.could_learn(0, at(0), at(20)));
        assert!(!book.could_learn(0, at(22), at(40)) && book.could_learn(0, at(22), at(41)));
        assert_eq!(book.reachable(1, at(0), at(1000)).0, at(0));
        assert_eq!(book.reachable(2, at(25), at(40)), (at(9), at(14)));
    }

    #[test]
    fn a_clock_that_jumps_may_show_either_time_for_a_moment() {
        let shift = |at, seconds| Shift { edge: 1, at, seconds };
        let book = Book { shifts: vec![shift(at(10), 60), shift(at(20), 0)], ..Book::default() };
        let shown = [9, 10, 11, 20, 21].map(|second| book.shift(1, at(second)));
        assert_eq!(shown, [(0, 0), (0, 60), (60, 60), (0, 60), (0, 0)]);
        assert_eq!(book.shift(0, at(11)), (0, 0));
    }

    #[test]
    fn the_end_of_all_sessions_hits_what_was_issued_in_earlier_seconds() {
        let token = |domain, milliseconds| TokenFacts {
            domain,
            subject: "ada".to_owned(),
            session: 1,
            key_id: "a".to_owned(),
            issued: Duration::from_millis(milliseconds),
            expiration: at(100),
        };
        let (asked, done) = (Duration::from_millis(50_400), Some(Duration::from_millis(50_900)));
        let end = |subject: Option<&str>| Revocation {
            means: Means::EndOfDomain,
            scope: Scope::Issued("shop", subject.map(str::to_owned)),
            asked,
            done,
        };
        for subject in [None, Some("ada")] {
            assert_eq!(end(subject).hits(&token("shop", 49_000)), Hit::Yes);
            assert_eq!(end(subject).hits(&token("shop", 50_000)), Hit::Perhaps);
            assert_eq!(end(subject).hits(&token("shop", 51_000)), Hit::No);
            assert_eq!(end(subject).hits(&token("vault", 49_000)), Hit::No);
        }
        assert_eq!(end(Some("bob")).hits(&token("shop", 49_000)), Hit::No);
    }
}
