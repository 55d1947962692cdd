//! How edges stand: who has shown that it holds the next key.

use std::ops::RangeInclusive;

use super::{Contact, Edge, EdgeId, EdgeName};
use crate::clock::Timestamp;

/// Whether an edge is ready for the next key to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EdgeState {
    /// All of its processes that were heard of within the bound hold the next key.
    HoldsNext,
    /// One of them does not.
    Late,
    /// None was heard of within the bound.
    Silent,
    /// None was ever heard of, or not within a week.
    NeverSeen,
}

impl EdgeState {
    /// The state as it is listed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HoldsNext => "holds next",
            Self::Late => "late",
            Self::Silent => "silent",
            Self::NeverSeen => "never seen",
        }
    }
}

/// How one edge stands with one domain's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeStanding {
    /// The edge.
    pub id: EdgeId,
    /// What it is called.
    pub name: EdgeName,
    /// When any process of it last asked.
    pub last_contact: Option<Timestamp>,
    /// How many of its processes were heard of within the bound.
    pub instances: usize,
    /// The lowest generation that one of those holds, or, if there are none, that the last one did;
    /// nothing where one holds nothing.
    pub generation: Option<u64>,
    /// What follows.
    pub state: EdgeState,
}

/// What edges are judged by.
#[derive(Debug, Clone)]
pub(crate) struct Judgement {
    /// The generations that have the next key: from the first one to the latest. Who claims to hold
    /// a later one holds something else.
    pub(crate) with_next: RangeInclusive<u64>,
    /// Seconds for which a contact counts.
    pub(crate) bound: u64,
    pub(crate) now: Timestamp,
}

/// Whether every enrolled edge has shown that it holds the next key. Of no edges nothing is proven.
pub(crate) fn is_proven(standings: &[EdgeStanding]) -> bool {
    let holds_next = |standing: &EdgeStanding| standing.state == EdgeState::HoldsNext;
    !standings.is_empty() && standings.iter().all(holds_next)
}

/// How each of `edges` stands, by the contacts of one domain.
pub(crate) fn standings<'e>(
    edges: impl IntoIterator<Item = &'e Edge>,
    contacts: &[Contact],
    judgement: Judgement,
) -> Vec<EdgeStanding> {
    let of_edge = |edge: &Edge| {
        let own: Vec<_> = contacts.iter().filter(|contact| contact.edge == edge.id).collect();
        standing(edge, &own, &judgement)
    };
    edges.into_iter().map(of_edge).collect()
}

fn standing(edge: &Edge, contacts: &[&Contact], judgement: &Judgement) -> EdgeStanding {
    let Judgement { with_next, bound, now } = judgement;
    let latest = contacts.iter().max_by_key(|contact| contact.at);
    let heard_of: Vec<_> =
        contacts.iter().filter(|contact| now.since(contact.at) <= *bound).collect();
    let lowest = heard_of.iter().map(|contact| contact.generation).min();
    let holds_next =
        |contact: &Contact| contact.generation.is_some_and(|held| with_next.contains(&held));
    let state = match latest {
        None => EdgeState::NeverSeen,
        Some(_) if heard_of.is_empty() => EdgeState::Silent,
        Some(_) if heard_of.iter().all(|contact| holds_next(contact)) => EdgeState::HoldsNext,
        Some(_) => EdgeState::Late,
    };
    EdgeStanding {
        id: edge.id.clone(),
        name: edge.name.clone(),
        last_contact: latest.map(|contact| contact.at),
        instances: heard_of.len(),
        generation: lowest.unwrap_or_else(|| latest.and_then(|contact| contact.generation)),
        state,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::tests::edge;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn contact(edge: &Edge, instance: u8, age: u64, generation: Option<u64>) -> Contact {
        Contact {
            edge: edge.id.clone(),
            domain: edge.domains[0].clone(),
            instance: format!("{instance:016x}"),
            at: Timestamp(NOW.0 - age),
            generation,
        }
    }

    #[test]
    fn an_edge_holds_next_when_all_that_was_heard_of_it_lately_does() {
        let edge = edge("envoy", &["shop"]);
        for (contacts, instances, generation, state) in [
            (vec![], 0, None, EdgeState::NeverSeen),
            (vec![(1, 10, Some(3))], 1, Some(3), EdgeState::HoldsNext),
            (vec![(1, 181, Some(3))], 1, Some(3), EdgeState::HoldsNext),
            (vec![(1, 182, Some(3))], 0, Some(3), EdgeState::Silent),
            (vec![(1, 10, Some(2))], 1, Some(2), EdgeState::Late),
            (vec![(1, 10, Some(5))], 1, Some(5), EdgeState::Late),
            (vec![(1, 10, None)], 1, None, EdgeState::Late),
            (vec![(1, 10, Some(4)), (2, 10, Some(2))], 2, Some(2), EdgeState::Late),
            (vec![(1, 10, Some(4)), (2, 10, None)], 2, None, EdgeState::Late),
            (vec![(1, 10, Some(4)), (2, 182, Some(2))], 1, Some(4), EdgeState::HoldsNext),
        ] {
            let contacts: Vec<_> = contacts
                .iter()
                .map(|&(instance, age, generation)| contact(&edge, instance, age, generation))
                .collect();
            let judgement = Judgement { with_next: 3..=4, bound: 181, now: NOW };
            let stands = standings([&edge], &contacts, judgement).remove(0);
            let found = (stands.instances, stands.generation, stands.state);
            assert_eq!(found, (instances, generation, state), "{contacts:?}");
        }
    }

    #[test]
    fn nothing_is_proven_by_nobody_or_by_some() {
        let edges = [edge("envoy", &["shop"]), edge("worker", &["shop"])];
        let judgement = Judgement { with_next: 3..=4, bound: 181, now: NOW };
        let prove = |edges: &[Edge], contacts: &[Contact]| {
            is_proven(&standings(edges, contacts, judgement.clone()))
        };
        let [first, second] = [0, 1].map(|index: usize| contact(&edges[index], 1, 5, Some(3)));
        assert!(!prove(&[], std::slice::from_ref(&first)));
        assert!(!prove(&edges, std::slice::from_ref(&first)));
        assert!(prove(&edges, &[first.clone(), second]));
        assert!(prove(&edges[..1], &[first]));
    }
}
