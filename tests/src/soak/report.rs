//! What a run has shown, in figures, and whether it is good.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::disturbance::Deeds;
use super::ledger::{Class, Expected};
use super::memory::{Memory, mebibytes};
use super::sessions::IssuerCounts;
use super::tally::Tally;
use super::{Counts, EXPIRY_MARGIN, GROWTH_LIMIT_MIB, LEARNING_TIME, Options, ROTATION_PERIOD};
use crate::load::Latencies;

/// How many of the samples of memory are printed.
const SHOWN_SAMPLES: usize = 20;

/// The figures of a run.
#[derive(Debug)]
pub struct Report {
    options: Options,
    seed: u64,
    took: Duration,
    tally: Tally,
    latencies: Latencies,
    memory: Memory,
    /// For how long the issuer has answered in time.
    uptime: Duration,
    deeds: Arc<Deeds>,
    issuer: Arc<IssuerCounts>,
}

impl Report {
    pub(super) fn new(
        (options, seed): (Options, u64),
        (took, uptime): (Duration, Duration),
        mut tally: Tally,
        memory: Memory,
        counts: Counts,
    ) -> Self {
        let latencies = tally.latencies();
        let Counts { deeds, issuer } = counts;
        Self { options, seed, took, tally, latencies, memory, uptime, deeds, issuer }
    }

    /// What is wrong; empty where the run is good.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let Tally { wrong_denials, wrong_accepts, examples, .. } = &self.tally;
        let mut faults = Vec::new();
        if *wrong_denials + *wrong_accepts > 0 {
            faults.push(format!("{wrong_denials} wrong denials, {wrong_accepts} wrong accepts"));
            faults.extend(examples.iter().map(|example| format!("for example {example}")));
        }
        match self.growth() {
            Some(growth) if growth <= GROWTH_LIMIT_MIB => {}
            Some(growth) => faults.push(format!("Envoy's memory grew by {growth:.1} MiB")),
            None => faults.push("there are too few samples of Envoy's memory".to_owned()),
        }
        // A run that has not seen a class, a rotation or a death has shown nothing of it.
        let unseen = Class::JUDGED.into_iter().filter(|class| self.tally.of_class(*class) == 0);
        faults.extend(unseen.map(|class| format!("no request was of the class `{class}`")));
        let periods = self.took.as_secs() / ROTATION_PERIOD.as_secs();
        let least = [
            ("rotations", &self.deeds.rotations, periods * 8 / 10),
            ("withdrawals", &self.deeds.withdrawals, 1),
            ("kills", &self.deeds.kills, 1),
            ("logouts", &self.issuer.logouts, 1),
            ("users disabled", &self.issuer.disabled, 1),
            ("refreshes refused", &self.issuer.refused, 1),
        ];
        let too_few = least.into_iter().filter(|(_, counter, least)| get(counter) < *least);
        faults.extend(too_few.map(|(what, counter, least)| {
            format!("only {} {what}, where at least {least} were due", get(counter))
        }));
        faults
    }

    /// What the line through the samples after the warm-up rises by until the end, in MiB.
    fn growth(&self) -> Option<f64> {
        let measured = self.took.saturating_sub(self.options.warm_up).as_secs_f64();
        self.memory.slope(self.options.warm_up).map(|slope| slope * measured)
    }

    fn requests(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{:<47} {:<24} {:>10}", "class", "verdict", "requests")?;
        for (class, verdict, count) in self.tally.rows() {
            let free = if class.expected() == Expected::Either { " (left out)" } else { "" };
            let class = format!("{class}{free}");
            writeln!(formatter, "{class:<47} {verdict:<24} {count:>10}")?;
        }
        let requests = self.tally.requests();
        let seconds = self.took.as_secs().max(1);
        writeln!(formatter, "in all {requests} requests, {} per second", requests / seconds)?;
        let Latencies { median, p99, longest } = self.latencies;
        writeln!(formatter, "latency: p50 {median:?}, p99 {p99:?}, longest {longest:?}")?;
        let Tally { wrong_denials, wrong_accepts, .. } = &self.tally;
        writeln!(formatter, "wrong denials: {wrong_denials}, wrong accepts: {wrong_accepts}")
    }

    fn issuer(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Deeds { rotations, refused_rotations, withdrawals, kills, .. } = &*self.deeds;
        let seconds = |milliseconds: &AtomicU64| Duration::from_millis(get(milliseconds));
        writeln!(
            formatter,
            "issuer: {} rotations ({} put off), {} withdrawals, {} kills; down for {:?} in all, \
             {:?} at most; answered in time for {:?} in all",
            get(rotations),
            get(refused_rotations),
            get(withdrawals),
            get(kills),
            seconds(&self.deeds.downtime),
            seconds(&self.deeds.longest_outage),
            self.uptime,
        )?;
        let counts = &self.issuer;
        writeln!(
            formatter,
            "sessions: {} logins, {} refreshes, {} logouts, {} users disabled; refreshes refused: \
             {} of ended sessions, {} of withdrawn keys, {} retried too late; {} times no answer",
            get(&counts.logins),
            get(&counts.refreshes),
            get(&counts.logouts),
            get(&counts.disabled),
            get(&counts.refused),
            get(&counts.withdrawn),
            get(&counts.too_late),
            get(&counts.unanswered),
        )
    }

    fn memory(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Envoy's resident memory in MiB, by second:")?;
        for (time, bytes) in self.memory.some(SHOWN_SAMPLES) {
            write!(formatter, " {}:{:.1}", time.as_secs(), mebibytes(*bytes))?;
        }
        let warm_up = self.options.warm_up.as_secs();
        let growth = self.growth().unwrap_or_default();
        let slope = self.memory.slope(self.options.warm_up).unwrap_or_default() * 3600.0;
        writeln!(
            formatter,
            "\nafter {warm_up} s of warm-up: {growth:+.2} MiB by the fitted line, which is \
             {slope:+.1} MiB per hour (limit of a run: {GROWTH_LIMIT_MIB} MiB)",
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, seed) = (self.took.as_secs(), self.seed);
        writeln!(
            formatter,
            "soak of {seconds} s (seed {seed}); left out are {EXPIRY_MARGIN:?} on both sides of an \
             expiry, and what the gate has not had {LEARNING_TIME:?} of the issuer's uptime to learn"
        )?;
        self.requests(formatter)?;
        self.issuer(formatter)?;
        self.memory(formatter)?;
        for fault in self.faults() {
            writeln!(formatter, "FAULT: {fault}")?;
        }
        Ok(())
    }
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
