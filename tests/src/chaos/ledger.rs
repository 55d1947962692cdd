//! Holds every request to what had to be answered, by all that is known when the run is over.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::book::{Answer, Asked, Book, Hit, Manner, Means, Scope, TokenFacts};

/// What is said so shortly before and after an expiry is not judged.
const EXPIRY_MARGIN: Duration = Duration::from_secs(1);
/// How long an edge takes at most to hear of the issuer while it can reach it: between two polls, or the
/// longest wait after a failure, and a fetch.
const RECOVERY: Duration = Duration::from_secs(6);
/// How long an edge may be without a list after a withdrawal of keys.
const WITHDRAWAL: Duration = Duration::from_secs(2);
/// How exactly it is known when a trouble begins to be felt.
const TROUBLE_MARGIN: Duration = Duration::from_secs(1);

/// What a request was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Valid,
    Forged,
    /// It belongs to the other domain.
    Abroad,
    Expired,
    Revoked,
    WithdrawnKey,
    /// It expires within the margin, or did.
    AboutToExpire,
    /// It is revoked, and the edge has not had the time to learn that.
    FreshlyRevoked,
    FreshlyWithdrawn,
    /// Its key is published, and the edge has not had the time to learn that.
    FreshKey,
    /// It was issued in the second in which all sessions of its domain were ended.
    SameSecond,
    /// It was one of these when the request was sent, and another when the answer came.
    Changed,
}

/// What has to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Pass,
    Denial,
    Either,
}

impl Class {
    /// Those for which only one answer is right.
    pub(super) const JUDGED: [Self; 6] =
        [Self::Valid, Self::Forged, Self::Abroad, Self::Expired, Self::Revoked, Self::WithdrawnKey];

    pub(super) fn expected(self) -> Expected {
        match self {
            Self::Valid => Expected::Pass,
            Self::Forged | Self::Abroad | Self::Expired | Self::Revoked | Self::WithdrawnKey => {
                Expected::Denial
            }
            Self::AboutToExpire
            | Self::FreshlyRevoked
            | Self::FreshlyWithdrawn
            | Self::FreshKey
            | Self::SameSecond
            | Self::Changed => Expected::Either,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Valid => "valid",
            Self::Forged => "forged",
            Self::Abroad => "of the other domain",
            Self::Expired => "expired",
            Self::Revoked => "revoked, known",
            Self::WithdrawnKey => "of a withdrawn key, known",
            Self::AboutToExpire => "expires within 1 s",
            Self::FreshlyRevoked => "revoked, still on its way",
            Self::FreshlyWithdrawn => "withdrawal still on its way",
            Self::FreshKey => "key still on its way",
            Self::SameSecond => "issued in the second of an end",
            Self::Changed => "changed meanwhile",
        })
    }
}

/// What an answer was worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Judgement {
    Right,
    /// The gate could not know, and said so, and that is explained by what was done to it.
    Unavailable,
    /// Nobody was there, and that is explained likewise.
    Down,
    WrongDenial,
    WrongAccept,
}

impl Judgement {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Unavailable => "unavailable",
            Self::Down => "down",
            Self::WrongDenial => "WRONG DENIAL",
            Self::WrongAccept => "WRONG ACCEPT",
        }
    }
}

/// What a request was, and what its answer was worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) class: Class,
    pub(super) judgement: Judgement,
}

impl Book {
    /// Judges every request, in their order.
    pub(super) fn judge(&self) -> Vec<Judged> {
        self.requests.iter().map(|asked| self.judge_one(asked)).collect()
    }

    fn judge_one(&self, asked: &Asked) -> Judged {
        let (sent, answered) = (self.class(asked, asked.sent), self.class(asked, asked.answered()));
        // A revocation that became binding on the way does not: it was not yet when it was sent.
        let class = if sent == answered { sent } else { Class::Changed };
        let judgement = match (class.expected(), &asked.answer) {
            (_, Answer::AsSomebodyElse) | (Expected::Denial, Answer::Allowed) => {
                Judgement::WrongAccept
            }
            (_, Answer::Allowed) => Judgement::Right,
            (expected, answer) if answer.is_unavailable() => self.excuse(asked, expected),
            (_, Answer::Nothing(_)) if self.is_silenced(asked) => Judgement::Down,
            (Expected::Denial | Expected::Either, answer) if answer.is_denial() => Judgement::Right,
            // The others are neither an answer of the API nor one of the gate.
            (_, Answer::Refused(..) | Answer::Nothing(_)) => Judgement::WrongDenial,
        };
        Judged { class, judgement }
    }

    /// What a request is at one moment.
    fn class(&self, asked: &Asked, at: Duration) -> Class {
        match asked.manner {
            Manner::Forged => return Class::Forged,
            Manner::Abroad => return Class::Abroad,
            Manner::AsItIs => {}
        }
        // A token that nobody knows of cannot be: it would be an error of ours, and is judged hardest.
        let Some(token) = self.tokens.get(asked.token) else { return Class::Forged };
        if let Some(class) = self.class_by_time(asked.edge, token, at) {
            return class;
        }
        if let Some(class) = self.class_by_revocation(asked.edge, token, at) {
            return class;
        }
        let published = self.keys.get(&token.key_id);
        match published {
            Some(published) if self.could_learn_key(asked.edge, *published, at) => Class::Valid,
            _ => Class::FreshKey,
        }
    }

    /// By the edge's own clock, and what it allows clocks to differ by.
    fn class_by_time(&self, edge: usize, token: &TokenFacts, at: Duration) -> Option<Class> {
        let (least, most) = self.shift(edge, at);
        let shifted = |seconds: i64| {
            let way = Duration::from_secs(seconds.unsigned_abs());
            if seconds < 0 { at.saturating_sub(way) } else { at + way }
        };
        let allowed = self.edges.get(edge).map(|edge| edge.allowed_skew).unwrap_or_default();
        let end = token.expiration + allowed;
        if shifted(least) >= end + EXPIRY_MARGIN {
            Some(Class::Expired)
        } else if shifted(most) + EXPIRY_MARGIN > end {
            Some(Class::AboutToExpire)
        } else {
            None
        }
    }

    fn class_by_revocation(&self, edge: usize, token: &TokenFacts, at: Duration) -> Option<Class> {
        let mut class = None;
        for revocation in self.revocations.iter().filter(|revocation| revocation.asked <= at) {
            let is_known = |done: Duration| done <= at && self.could_learn(edge, done, at);
            let is_withdrawal = revocation.means == Means::Withdrawal;
            match revocation.hits(token) {
                Hit::No => {}
                Hit::Perhaps => class = class.or(Some(Class::SameSecond)),
                Hit::Yes if revocation.done.is_some_and(is_known) => {
                    return Some(if is_withdrawal { Class::WithdrawnKey } else { Class::Revoked });
                }
                Hit::Yes if is_withdrawal => class = Some(Class::FreshlyWithdrawn),
                Hit::Yes => class = Some(Class::FreshlyRevoked),
            }
        }
        class
    }

    /// An edge may say that it does not know enough only where that is so: kept in the dark for so long
    /// that its list is stale, or started anew or put to another time while it is. While it is in the dark,
    /// it may say so of keys that it does not know, too: they could be new. For a moment after each poll
    /// it does so in any case, rather than ask again at once: that lets no bad token in, and no good one
    /// names such a key.
    fn excuse(&self, asked: &Asked, expected: Expected) -> Judgement {
        if expected != Expected::Pass && asked.answer.is_for_want_of_keys() {
            return Judgement::Unavailable;
        }
        let known = self.known_since(asked.edge, asked.answered());
        let is_stale = asked.answered().saturating_sub(known) >= self.limits.max_stale;
        let troubles = self.troubles.iter().filter(|trouble| trouble.is_of(asked.edge));
        let mut dark = troubles.filter(|trouble| {
            trouble.kind.keeps_in_the_dark()
                && asked.answered() >= trouble.since
                && asked.sent <= trouble.end().saturating_add(RECOVERY)
        });
        let is_in_need = dark.any(|dark| {
            expected != Expected::Pass || self.began_anew(asked.edge, dark.since, dark.end())
        });
        if is_stale || is_in_need || self.has_jumped(asked) || self.was_withdrawn_from(asked) {
            Judgement::Unavailable
        } else {
            Judgement::WrongDenial
        }
    }

    /// The latest time of which it is sure that an edge has heard of the issuer by then, or after it: it
    /// does so whenever it can reach it for long enough in one piece.
    fn known_since(&self, edge: usize, at: Duration) -> Duration {
        let light = self.light(edge, Duration::ZERO, at);
        let long =
            light.into_iter().filter(|(since, until)| until.saturating_sub(*since) >= RECOVERY);
        long.map(|(_, until)| until.saturating_sub(RECOVERY)).max().unwrap_or_default()
    }

    /// Whether an edge was started, or its clock put, while it was in the dark.
    fn began_anew(&self, edge: usize, since: Duration, until: Duration) -> bool {
        self.troubles.iter().filter(|trouble| trouble.is_of(edge)).any(|other| {
            !other.kind.keeps_in_the_dark()
                && other.kind != super::book::Kind::Slow
                && other.since <= until
                && other.end().saturating_add(TROUBLE_MARGIN) >= since
        })
    }

    /// When keys are withdrawn, so is what they have signed: the domain's list, too. If an edge gets it
    /// again in the quarter of a second in which the issuer goes by what it has signed before, it
    /// has none until it asks once more, a second later.
    fn was_withdrawn_from(&self, asked: &Asked) -> bool {
        let domain = self.tokens.get(asked.token).map(|token| token.domain);
        self.revocations.iter().any(|revocation| {
            let Scope::Keys(of, _) = &revocation.scope else { return false };
            let end = revocation.done.unwrap_or(Duration::MAX).saturating_add(WITHDRAWAL);
            Some(*of) == domain && revocation.asked <= asked.answered() && asked.sent <= end
        })
    }

    /// A clock that jumps makes everything old at once; what is fetched then is new again.
    fn has_jumped(&self, asked: &Asked) -> bool {
        self.shifts.iter().any(|shift| {
            shift.edge == asked.edge
                && shift.at <= asked.answered()
                && asked.sent <= shift.at + RECOVERY
        })
    }

    fn is_silenced(&self, asked: &Asked) -> bool {
        self.troubles.iter().filter(|trouble| trouble.is_of(asked.edge)).any(|trouble| {
            trouble.kind.silences()
                && trouble.since <= asked.answered()
                && asked.sent <= trouble.end().saturating_add(TROUBLE_MARGIN)
        })
    }
}

/// What a revocation has shown at one edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reach {
    /// The time from when it was in force to the last accept, as far as the issuer could be reached;
    /// none where every request was refused.
    pub(super) connected: Duration,
    /// The same, as the clock on the wall goes.
    pub(super) on_the_wall: Duration,
    /// Whether it was refused after that.
    pub(super) is_settled: bool,
}

impl Book {
    /// What each revocation that is in force has shown at each edge where its tokens were presented.
    pub(super) fn reaches(&self) -> BTreeMap<(usize, usize), Reach> {
        let mut reaches = BTreeMap::new();
        for (number, revocation) in self.revocations.iter().enumerate() {
            let Some(done) = revocation.done else { continue };
            for edge in 0..self.edges.len() {
                let presented = self.presented(edge, number, done);
                if let Some(reach) = self.reach(edge, done, &presented) {
                    reaches.insert((number, edge), reach);
                }
            }
        }
        reaches
    }

    /// The requests that a revocation alone decides on.
    fn presented(&self, edge: usize, revocation: usize, done: Duration) -> Vec<&Asked> {
        let is_meant = |asked: &&Asked| {
            let token = self.tokens.get(asked.token);
            asked.edge == edge
                && asked.manner == Manner::AsItIs
                && asked.sent >= done
                && token.is_some_and(|token| {
                    self.is_hit_first(revocation, token)
                        && self.class_by_time(edge, token, asked.answered()).is_none()
                })
        };
        self.requests.iter().filter(is_meant).collect()
    }

    /// Whether this revocation hits a token, and none before it.
    fn is_hit_first(&self, number: usize, token: &TokenFacts) -> bool {
        let first = self.revocations.iter().position(|other| other.hits(token) != Hit::No);
        first == Some(number)
            && self.revocations.get(number).is_some_and(|this| this.hits(token) == Hit::Yes)
    }

    fn reach(&self, edge: usize, done: Duration, presented: &[&Asked]) -> Option<Reach> {
        let accepts = presented.iter().filter(|asked| asked.answer == Answer::Allowed);
        let last = accepts.map(|asked| asked.sent).max().unwrap_or(done);
        let is_settled =
            presented.iter().any(|asked| asked.sent >= last && asked.answer.is_denial());
        (!presented.is_empty()).then(|| Reach {
            connected: self.reachable(edge, done, last).1,
            on_the_wall: last.saturating_sub(done),
            is_settled,
        })
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
