//! Plans are held to what Istio would decide, request by request.

use std::collections::BTreeSet;

use super::*;
use crate::policy_import::istio::{
    need::{Claim, Test, Token},
    pattern::Pattern,
    traffic::Paths,
};

const PATHS: [&str; 7] = ["*", "/a*", "/a/b*", "/a/b", "*.js", "/a/x.js", "/users/{*}"];
const METHODS: [&str; 3] = ["GET", "PUT", "TRACE"];
const REQUEST_PATHS: [&str; 7] =
    ["/", "/a", "/a/b", "/a/b/c.js", "/a/x.js", "/users/1", "/users/1.js"];

/// Numbers that are the same in every run (Knuth's MMIX).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn traffic(&mut self) -> Traffic {
        let text = PATHS[self.below(PATHS.len())];
        let path = match text {
            "*" => Paths::All,
            _ if text.contains('{') => Paths::Template(text.to_owned()),
            _ => Paths::Fit(Pattern::parse(text)),
        };
        let methods = METHODS.iter().filter(|_| self.below(3) == 0).map(|name| (*name).to_owned());
        Traffic { path, methods: methods.collect(), headers: BTreeSet::new() }
    }

    fn need(&mut self) -> Need {
        if self.below(5) == 0 {
            return Need::Open;
        }
        let mut claims = BTreeSet::new();
        for name in ["group", "role"] {
            let values: BTreeSet<_> = ["x", "y"]
                .iter()
                .filter(|_| self.below(3) == 0)
                .map(|value| (*value).to_owned())
                .collect();
            if !values.is_empty() {
                claims.insert(Claim { path: vec![name.to_owned()], test: Test::OneOf(values) });
            }
        }
        let providers: BTreeSet<_> = [0, 1].into_iter().filter(|_| self.below(2) == 0).collect();
        if providers.is_empty() { Need::Closed } else { Need::Token(Token { providers, claims }) }
    }
}

/// A provider, a group and a role.
type Shown = Option<(usize, &'static str, &'static str)>;

fn matches(traffic: &Traffic, method: &str, path: &str) -> bool {
    let path_fits = match &traffic.path {
        Paths::All => true,
        Paths::Fit(pattern) => pattern.fits(path),
        Paths::Template(_) => path.starts_with("/users/"),
    };
    path_fits && (traffic.methods.is_empty() || traffic.methods.contains(method))
}

fn meets(need: &Need, shown: Shown) -> bool {
    match (need, shown) {
        (Need::Open, _) => true,
        (Need::Closed, _) | (_, None) => false,
        (Need::Token(token), Some((provider, group, role))) => {
            let holds = |claim: &Claim| {
                let value = if claim.path == ["group"] { group } else { role };
                matches!(&claim.test, Test::OneOf(values) if values.contains(value))
            };
            token.providers.contains(&provider) && token.claims.iter().all(holds)
        }
    }
}

/// One rule: its requests, what it excepts, its need, and whether it allows.
type Rule = (Traffic, Vec<Traffic>, Need, bool);

fn istio_lets_in(rules: &[Rule], method: &str, path: &str, shown: Shown) -> bool {
    let is_for = |(traffic, except, _, _): &&Rule| {
        matches(traffic, method, path) && !except.iter().any(|one| matches(one, method, path))
    };
    let allowed =
        rules.iter().filter(|rule| rule.3).filter(is_for).any(|rule| meets(&rule.2, shown));
    let denied =
        rules.iter().filter(|rule| !rule.3).filter(is_for).any(|rule| !meets(&rule.2, shown));
    allowed && !denied
}

fn plan_lets_in(cells: &[Cell], method: &str, path: &str, shown: Shown) -> bool {
    let first = cells.iter().find(|cell| matches(&cell.traffic, method, path));
    first.is_some_and(|cell| meets(&cell.need, shown))
}

fn shown() -> Vec<Shown> {
    let mut all = vec![None];
    for provider in [0, 1] {
        for group in ["x", "y", "z"] {
            all.extend(["x", "y", "z"].map(|role| Some((provider, group, role))));
        }
    }
    all
}

#[test]
fn a_plan_lets_in_what_istio_does_and_tells_where_it_lets_in_less() {
    let mut numbers = Numbers(7);
    let (mut exact, mut stricter) = (0, 0);
    for round in 0..3_000 {
        let mut rules: Vec<Rule> = Vec::new();
        for index in 0..=numbers.below(6) {
            let except = (0..numbers.below(2)).map(|_| numbers.traffic()).collect();
            let allows = index == 0 || numbers.below(3) > 0;
            rules.push((numbers.traffic(), except, numbers.need(), allows));
        }
        rules.sort_by_key(|rule| !rule.3);
        let (mut plan, mut notes) = (Plan::default(), Notes::default());
        for (traffic, except, need, allows) in &rules {
            let clause = Clause { traffic, except, need, place: "here" };
            if *allows {
                plan.allow(&clause, &mut notes).unwrap();
            } else {
                plan.restrict(&clause, &mut notes).unwrap();
            }
        }
        let cells = plan.into_cells();
        let mut same = true;
        for (method, path) in
            METHODS.iter().flat_map(|method| REQUEST_PATHS.map(|path| (method, path)))
        {
            for shown in shown() {
                let expected = istio_lets_in(&rules, method, path, shown);
                let got = plan_lets_in(&cells, method, path, shown);
                assert!(
                    expected || !got,
                    "{round}: {method} {path} {shown:?}: {rules:?} {cells:?}"
                );
                same &= expected == got;
            }
        }
        assert!(same || !notes.is_complete(), "{round}: {rules:?} {cells:?}");
        if notes.is_complete() { exact += 1 } else { stricter += 1 }
    }
    assert!(exact > 500 && stricter > 500, "{exact} {stricter}: both kinds have to be tried");
}
