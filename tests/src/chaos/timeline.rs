//! The run by seconds, for its plot and its report.

use std::collections::BTreeMap;
use std::time::Duration;

use super::book::{Answer, Book};
use super::ledger::{Judged, Judgement};
use crate::load::Latencies;

/// How an answer looks in the plot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Look {
    Allowed,
    Denied,
    Unavailable,
    Down,
    Wrong,
}

impl Look {
    pub(super) const ALL: [Self; 5] =
        [Self::Allowed, Self::Denied, Self::Unavailable, Self::Down, Self::Wrong];

    fn of(answer: &Answer, judgement: Judgement) -> Self {
        match judgement {
            Judgement::WrongAccept | Judgement::WrongDenial => Self::Wrong,
            Judgement::Unavailable => Self::Unavailable,
            Judgement::Down => Self::Down,
            Judgement::Right if *answer == Answer::Allowed => Self::Allowed,
            Judgement::Right => Self::Denied,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Unavailable => "unavailable (503)",
            Self::Down => "no answer (restart)",
            Self::Wrong => "wrong verdict",
        }
    }
}

/// One second.
#[derive(Clone, Debug)]
pub(super) struct Second {
    pub(super) looks: BTreeMap<Look, u32>,
    pub(super) latencies: Latencies,
}

/// All seconds from a start on, by the time when requests were sent.
pub(super) fn seconds(
    book: &Book,
    judged: &[Judged],
    start: Duration,
    took: Duration,
) -> Vec<Second> {
    let count = usize::try_from(took.as_secs()).unwrap_or_default();
    let mut looks = vec![BTreeMap::<Look, u32>::new(); count];
    let mut times = vec![Vec::new(); count];
    for (asked, judged) in book.requests.iter().zip(judged) {
        let second = usize::try_from(asked.sent.saturating_sub(start).as_secs());
        let second = second.unwrap_or(usize::MAX);
        if let (Some(looks), Some(times)) = (looks.get_mut(second), times.get_mut(second)) {
            *looks.entry(Look::of(&asked.answer, judged.judgement)).or_default() += 1;
            times.push(u32::try_from(asked.took.as_micros()).unwrap_or(u32::MAX));
        }
    }
    let second = |(looks, mut times): (_, Vec<u32>)| {
        let latencies = Latencies::of(&mut times);
        Second { looks, latencies }
    };
    looks.into_iter().zip(times).map(second).collect()
}
