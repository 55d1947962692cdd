//! What is done to whom, and when: the same for the same seed.

use std::time::Duration;

use super::book::Kind;
use super::options::Options;
use super::stage::{ENVOYS, JUMPER, NODE, WORKER};
use super::{SHOP, VAULT};
use crate::load::Random;

/// From the start of the load to the first deed, and from the last one to its end.
const BEGINNING: Duration = Duration::from_secs(2);
const CLOSING: Duration = Duration::from_secs(3);
/// One of each in about so long a time.
const ROUND: Duration = Duration::from_secs(100);
/// What an edge gets to itself between two deeds.
const REST: Duration = Duration::from_secs(1);
/// What a long cut lasts beyond the time after which a list is stale.
const BEYOND_STALE: Duration = Duration::from_secs(6);

/// One disturbance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deed {
    /// Since the start of the load.
    pub(super) at: Duration,
    /// Those that end by themselves have none.
    pub(super) lasts: Duration,
    pub(super) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// To one edge, or to the issuer, and so to all.
    Trouble(Kind, Option<usize>),
    /// All keys of a domain are withdrawn.
    Withdraw(&'static str),
    /// All sessions of a domain are ended.
    EndSessions(&'static str),
}

impl What {
    fn edge(self) -> Option<usize> {
        match self {
            Self::Trouble(_, edge) => edge,
            _ => None,
        }
    }
}

/// All deeds of a run, by their times.
pub(super) fn plan(options: &Options, max_stale: Duration, random: &Random) -> Vec<Deed> {
    let rounds = (options.duration.as_secs() / ROUND.as_secs()).max(1);
    let round = options.duration / u32::try_from(rounds).unwrap_or(1);
    let length = round.saturating_sub(BEGINNING + CLOSING);
    let mut deeds = Vec::new();
    for number in 0..u32::try_from(rounds).unwrap_or(1) {
        let begin = BEGINNING + round * number;
        let whats = shuffled_round(options.is_short(), random);
        let step = length / u32::try_from(whats.len()).unwrap_or(1);
        // When each edge is left in peace.
        let mut free = [begin; 4];
        for (at, what) in (0..).map(|number| begin + step * number).zip(whats) {
            let lasts = lasts(what, options, max_stale, random);
            let at = what.edge().and_then(|edge| free.get(edge)).map_or(at, |free| at.max(*free));
            if at + lasts + CLOSING > begin + length + CLOSING {
                continue;
            }
            if let Some(free) = what.edge().and_then(|edge| free.get_mut(edge)) {
                *free = at + lasts + REST;
            }
            deeds.push(Deed { at, lasts, what });
        }
    }
    deeds.sort_by_key(|deed| deed.at);
    deeds
}

/// One of each, and no edge gets much more than another; in a short run, half of those that resemble
/// each other, since every edge needs some time in peace, too. What takes longest comes first.
fn shuffled_round(is_short: bool, random: &Random) -> Vec<What> {
    let mut edges: Vec<usize> = vec![ENVOYS[0], ENVOYS[1], WORKER, NODE];
    shuffle(&mut edges, random);
    let mut envoys = ENVOYS;
    shuffle(&mut envoys, random);
    let [hot, killed] = envoys;
    let mut tampering = vec![Kind::Flip, Kind::Truncate, Kind::RollBack, Kind::Freeze];
    let mut networks = vec![Kind::Cut, Kind::Slow];
    let mut restarts = vec![
        What::Trouble(Kind::HotRestart, Some(hot)),
        What::Trouble(Kind::Kill, Some(killed)),
        What::Trouble(Kind::Restart, Some(WORKER)),
        What::Trouble(Kind::Restart, Some(NODE)),
    ];
    let mut others = vec![
        What::Trouble(Kind::ClockJump, Some(JUMPER)),
        What::Trouble(Kind::IssuerDead, None),
        What::EndSessions(VAULT),
    ];
    if is_short {
        halve(&mut tampering, random);
        halve(&mut networks, random);
        halve(&mut restarts, random);
    }
    let kinds = [Kind::LongCut].into_iter().chain(tampering).chain(networks);
    let mut troubles = kinds.zip(edges.into_iter().cycle());
    let long_cut = troubles.next().map(|(kind, edge)| What::Trouble(kind, Some(edge)));
    others.extend(restarts);
    others.extend(troubles.map(|(kind, edge)| What::Trouble(kind, Some(edge))));
    shuffle(&mut others, random);
    // A withdrawal has to be seen while the tokens of its keys are not expired.
    long_cut.into_iter().chain([What::Withdraw(SHOP)]).chain(others).collect()
}

/// Leaves half of them, by chance.
fn halve<T>(items: &mut Vec<T>, random: &Random) {
    shuffle(items, random);
    items.truncate(items.len() / 2);
}

fn lasts(what: What, options: &Options, max_stale: Duration, random: &Random) -> Duration {
    let (least, most) = if options.is_short() { (1500, 2500) } else { (3000, 7000) };
    let some = random.between(Duration::from_millis(least), Duration::from_millis(most));
    match what {
        What::Trouble(Kind::LongCut, _) => max_stale + BEYOND_STALE,
        What::Trouble(Kind::HotRestart | Kind::Kill | Kind::Restart, _)
        | What::Withdraw(_)
        | What::EndSessions(_) => Duration::ZERO,
        What::Trouble(Kind::IssuerDead, _) => some / 2,
        What::Trouble(..) => some,
    }
}

fn shuffle<T>(items: &mut [T], random: &Random) {
    for last in (1..items.len()).rev() {
        items.swap(last, random.below(last + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::options::Storage;

    fn planned(seconds: u64, seed: u64) -> Vec<Deed> {
        let options =
            Options { duration: Duration::from_secs(seconds), ..Options::short(Storage::Sqlite) };
        plan(&options, Duration::from_secs(9), &Random::new(seed))
    }

    #[test]
    fn a_seed_makes_the_same_plan_again_and_another_one_another() {
        assert_eq!(planned(30, 1), planned(30, 1));
        assert_ne!(planned(30, 1), planned(30, 2));
    }

    #[test]
    fn two_deeds_never_befall_one_edge_at_a_time_and_all_are_over_before_the_end() {
        for seed in 0..50 {
            for seconds in [30, 240] {
                let deeds = planned(seconds, seed);
                assert!(deeds.len() >= 8, "{deeds:?}");
                for edge in 0..4 {
                    let mut free = Duration::ZERO;
                    for deed in deeds.iter().filter(|deed| deed.what.edge() == Some(edge)) {
                        assert!(deed.at >= free, "{deeds:?}");
                        free = deed.at + deed.lasts;
                    }
                    assert!(free + CLOSING <= Duration::from_secs(seconds));
                }
            }
        }
    }

    #[test]
    fn a_long_run_has_all_of_it_and_more_than_once() {
        let deeds = planned(240, 5);
        let count = |is: fn(&What) -> bool| deeds.iter().filter(|deed| is(&deed.what)).count();
        assert_eq!(count(|what| matches!(what, What::Withdraw(_))), 2);
        assert_eq!(count(|what| matches!(what, What::Trouble(Kind::LongCut, _))), 2);
        assert_eq!(count(|what| matches!(what, What::Trouble(Kind::IssuerDead, None))), 2);
    }
}
