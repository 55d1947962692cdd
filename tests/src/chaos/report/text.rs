//! The report for people.

use std::fmt;

use super::super::book::Means;
use super::super::ledger::{Expected, Judgement};
use super::super::plan::{Deed, What};
use super::{Report, Spread};
use crate::load::Latencies;

impl Report {
    fn verdicts(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:<31} {:<24} {:<12}", "class", "verdict", "which is")?;
        for edge in &self.book.edges {
            write!(formatter, " {:>8}", edge.name)?;
        }
        writeln!(formatter)?;
        for ((class, verdict, judgement), counts) in self.rows() {
            let is_free = class.expected() == Expected::Either;
            let judgement = if is_free && judgement == Judgement::Right {
                "left out"
            } else {
                judgement.name()
            };
            write!(formatter, "{:<31} {verdict:<24} {judgement:<12}", class.to_string())?;
            for count in counts {
                write!(formatter, " {count:>8}")?;
            }
            writeln!(formatter)?;
        }
        let seconds = self.figures.took.as_secs().max(1);
        let requests = u64::try_from(self.book.requests.len()).unwrap_or_default();
        let Latencies { median, p99, longest } = self.latencies;
        writeln!(
            formatter,
            "in all {requests} requests, {} per second; latency: p50 {median:?}, p99 {p99:?}, \
             longest {longest:?}",
            requests / seconds
        )?;
        writeln!(
            formatter,
            "wrong denials: {}, wrong accepts: {}, unavailable: {}, no answer in a restart: {}",
            self.count(Judgement::WrongDenial),
            self.count(Judgement::WrongAccept),
            self.count(Judgement::Unavailable),
            self.count(Judgement::Down),
        )
    }

    fn revocations(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "\n{:<31} {:>6} {:>8} {:>8} {:>8} {:>16}",
            "last accept after a revocation", "seen", "unseen", "p50", "longest", "with cuts"
        )?;
        let mut line = |name: &str, spread: Spread| {
            let Spread { seen, unseen, median, longest, longest_on_the_wall } = spread;
            let [median, longest, on_the_wall] =
                [median, longest, longest_on_the_wall].map(|time| time.as_secs_f64());
            writeln!(
                formatter,
                "{name:<31} {seen:>6} {unseen:>8} {median:>6.2} s {longest:>6.2} s \
                 {on_the_wall:>14.2} s"
            )
        };
        for (edge, facts) in self.book.edges.iter().enumerate() {
            line(facts.name, self.spread(|_, of| of == edge))?;
        }
        for means in Means::ALL {
            let is_it = |number: usize| {
                self.book.revocations.get(number).is_some_and(|this| this.means == means)
            };
            line(means.name(), self.spread(|number, _| is_it(number)))?;
        }
        Ok(())
    }

    fn issuer(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "\nissuer: {} logins, {} refreshes, {} rotations",
            self.logins,
            self.refreshes,
            self.book.rotations.len(),
        )?;
        for (edge, figures) in self.figures.edges.iter().enumerate() {
            write!(formatter, "{}:", self.edge_name(edge))?;
            for ((matter, status), count) in &figures.answers {
                let status = if *status == 0 { "no answer".to_owned() } else { status.to_string() };
                write!(formatter, " {} {status} {count},", matter.name())?;
            }
            let tampered: u64 = figures.tampered.values().sum();
            writeln!(
                formatter,
                " tampered with {tampered}; it has refused {} bundles and {} lists",
                figures.own.bundles_refused, figures.own.lists_refused
            )?;
        }
        Ok(())
    }

    fn deeds(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\nplan:")?;
        for Deed { at, lasts, what } in &self.plan {
            let what = match what {
                What::Trouble(kind, None) => kind.name().to_owned(),
                What::Trouble(kind, Some(edge)) => {
                    format!("{} {}", self.edge_name(*edge), kind.name())
                }
                What::Withdraw(domain) => format!("keys of {domain} withdrawn"),
                What::EndSessions(domain) => format!("sessions of {domain} ended"),
            };
            write!(formatter, " {:.1}", at.as_secs_f64())?;
            if !lasts.is_zero() {
                write!(formatter, "+{:.1}", lasts.as_secs_f64())?;
            }
            write!(formatter, " s {what};")?;
        }
        writeln!(formatter)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (storage, seconds) = (self.figures.storage.name(), self.figures.took.as_secs());
        writeln!(formatter, "chaos on {storage} for {seconds} s (seed {})", self.seed)?;
        for note in &self.figures.notes {
            writeln!(formatter, "note: {note}")?;
        }
        self.verdicts(formatter)?;
        self.revocations(formatter)?;
        self.issuer(formatter)?;
        self.deeds(formatter)?;
        for fault in self.faults() {
            writeln!(formatter, "FAULT: {fault}")?;
        }
        Ok(())
    }
}
