//! What a run has shown, in figures, and whether it is good.

mod files;
mod text;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::book::{Asked, Book, Hit};
use super::edges::OwnCounts;
use super::ledger::{Class, Judged, Judgement, Reach};
use super::options::Storage;
use super::passage::Matter;
use super::plan::Deed;
use super::scene::Counts;
use super::stage::Stage;
use super::{plot, timeline};
use crate::Failure;
use crate::load::Latencies;

/// How many wrong answers are told in full.
const MAX_EXAMPLES: usize = 12;

/// What programs and proxies have counted.
#[derive(Debug)]
pub(super) struct Figures {
    storage: Storage,
    /// When the load began, since the Unix epoch, and how long it lasted.
    start: Duration,
    took: Duration,
    edges: Vec<EdgeFigures>,
    notes: Vec<String>,
}

#[derive(Debug)]
struct EdgeFigures {
    own: OwnCounts,
    answers: BTreeMap<(Matter, u16), u64>,
    tampered: BTreeMap<Matter, u64>,
}

impl Figures {
    pub(super) async fn collect(
        stage: &Stage,
        storage: Storage,
        (start, took): (Duration, Duration),
    ) -> Self {
        let mut edges = Vec::new();
        for edge in &stage.edges {
            edges.push(EdgeFigures {
                own: edge.own_counts().await,
                answers: edge.passage.answers(),
                tampered: edge.passage.tampered(),
            });
        }
        Self { storage, start, took, edges, notes: stage.notes.clone() }
    }
}

/// The figures of a run.
#[derive(Debug)]
pub struct Report {
    seed: u64,
    figures: Figures,
    book: Book,
    judged: Vec<Judged>,
    /// By revocation and edge.
    reaches: BTreeMap<(usize, usize), Reach>,
    plan: Vec<Deed>,
    latencies: Latencies,
    logins: u64,
    refreshes: u64,
}

/// How soon revocations were seen, somewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Spread {
    pub(super) seen: usize,
    /// Those for which no refusal was seen any more: the run was over, or the token expired.
    pub(super) unseen: usize,
    pub(super) median: Duration,
    pub(super) longest: Duration,
    /// With the time in which the issuer could not be reached.
    pub(super) longest_on_the_wall: Duration,
}

impl Report {
    pub(super) fn new(
        seed: u64,
        figures: Figures,
        book: Book,
        counts: &Counts,
        plan: Vec<Deed>,
    ) -> Self {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let micros = |asked: &Asked| u32::try_from(asked.took.as_micros()).unwrap_or(u32::MAX);
        let mut times: Vec<u32> = book.requests.iter().map(micros).collect();
        Self {
            seed,
            judged: book.judge(),
            reaches: book.reaches(),
            latencies: Latencies::of(&mut times),
            logins: get(&counts.logins),
            refreshes: get(&counts.refreshes),
            figures,
            book,
            plan,
        }
    }

    /// What is wrong; empty where the run is good.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let (denials, accepts) =
            (self.count(Judgement::WrongDenial), self.count(Judgement::WrongAccept));
        if denials + accepts > 0 {
            faults.push(format!("{denials} wrong denials, {accepts} wrong accepts"));
            faults.extend(self.examples().map(|example| format!("for example {example}")));
        }
        // A run that has not seen something has shown nothing of it.
        let is_seen = |class: Class| self.judged.iter().any(|judged| judged.class == class);
        // What takes more than ten seconds in peace, chance may keep from a short run.
        let is_due =
            |class: Class| self.is_long() || !matches!(class, Class::Revoked | Class::WithdrawnKey);
        let unseen = Class::JUDGED.into_iter().filter(|class| is_due(*class) && !is_seen(*class));
        faults.extend(unseen.map(|class| format!("no request was of the class `{class}`")));
        for (edge, facts) in self.book.edges.iter().enumerate() {
            if self.spread(|_, of| of == edge).seen == 0 {
                faults.push(format!("{} has seen no revocation", facts.name));
            }
        }
        if self.book.rotations.is_empty() {
            faults.push("no keys were rotated".to_owned());
        }
        faults
    }

    fn is_long(&self) -> bool {
        self.figures.took >= Duration::from_secs(90)
    }

    /// The wrong answers, in words.
    fn examples(&self) -> impl Iterator<Item = String> {
        let wrong = self.book.requests.iter().zip(&self.judged).filter(|(_, judged)| {
            matches!(judged.judgement, Judgement::WrongAccept | Judgement::WrongDenial)
        });
        wrong.take(MAX_EXAMPLES).map(|(asked, judged)| self.example(asked, judged.class))
    }

    fn example(&self, asked: &Asked, class: Class) -> String {
        let at = self.since_start(asked.sent).as_secs_f64();
        let edge = self.edge_name(asked.edge);
        let token = self.book.tokens.get(asked.token);
        let told = token.map_or_else(String::new, |token| {
            let age = asked.sent.saturating_sub(token.issued).as_secs_f64();
            format!(
                "{} token {} of key {}, {age:.1} s old",
                token.domain, asked.token, token.key_id
            )
        });
        let revocations = self.book.revocations.iter().filter_map(|revocation| {
            let hit = token.is_some_and(|token| revocation.hits(token) != Hit::No);
            let done = self.since_start(revocation.done?).as_secs_f64();
            hit.then(|| format!(", {} at {done:.1} s", revocation.means.name()))
        });
        let troubles = self.book.troubles.iter().filter(|trouble| {
            trouble.is_of(asked.edge)
                && trouble.since <= asked.answered()
                && trouble.end().saturating_add(Duration::from_secs(12)) >= asked.sent
        });
        let troubles = troubles.map(|trouble| {
            let [since, until] =
                [trouble.since, trouble.end()].map(|time| self.since_start(time).as_secs_f64());
            format!(", {} from {since:.1} s to {until:.1} s", trouble.kind.name())
        });
        let more: String = revocations.chain(troubles).collect();
        format!(
            "at {at:.2} s {edge} said {} after {:?} to a token that is {class}: {told}{more}",
            asked.answer.name(),
            asked.took,
        )
    }

    fn count(&self, judgement: Judgement) -> usize {
        self.judged.iter().filter(|judged| judged.judgement == judgement).count()
    }

    pub(super) fn since_start(&self, time: Duration) -> Duration {
        time.saturating_sub(self.figures.start)
    }

    fn edge_name(&self, edge: usize) -> &'static str {
        self.book.edges.get(edge).map(|edge| edge.name).unwrap_or_default()
    }

    /// How soon those revocations were seen, at those edges, that are chosen by their numbers.
    pub(super) fn spread(&self, is_chosen: impl Fn(usize, usize) -> bool) -> Spread {
        let chosen = self.reaches.iter().filter(|((number, edge), _)| is_chosen(*number, *edge));
        let (settled, open): (Vec<&Reach>, Vec<&Reach>) =
            chosen.map(|(_, reach)| reach).partition(|reach| reach.is_settled);
        let mut times: Vec<Duration> = settled.iter().map(|reach| reach.connected).collect();
        times.sort_unstable();
        Spread {
            seen: settled.len(),
            unseen: open.len(),
            median: times.get(times.len() / 2).copied().unwrap_or_default(),
            longest: times.last().copied().unwrap_or_default(),
            longest_on_the_wall: settled
                .iter()
                .map(|reach| reach.on_the_wall)
                .max()
                .unwrap_or_default(),
        }
    }

    /// Class, verdict and judgement, and how often each edge has given it.
    fn rows(&self) -> BTreeMap<(Class, String, Judgement), Vec<u64>> {
        let mut rows = BTreeMap::<_, Vec<u64>>::new();
        for (asked, judged) in self.book.requests.iter().zip(&self.judged) {
            let row = (judged.class, asked.answer.name(), judged.judgement);
            let counts = rows.entry(row).or_insert_with(|| vec![0; self.book.edges.len()]);
            if let Some(count) = counts.get_mut(asked.edge) {
                *count += 1;
            }
        }
        rows
    }

    /// Writes `chaos-STORAGE.txt`, `.json`, `.csv` (every request) and `.svg` into a folder.
    ///
    /// # Errors
    /// When it cannot be written to.
    pub fn write(&self, folder: &Path) -> Result<(), Failure> {
        let failed = || Failure::while_doing("writing the report");
        std::fs::create_dir_all(folder).map_err(failed())?;
        let name = self.figures.storage.name();
        let files = [
            ("txt", self.to_string()),
            ("json", format!("{:#}\n", self.to_json())),
            ("csv", self.to_csv()),
            ("svg", plot::draw(self)),
        ];
        for (kind, text) in files {
            std::fs::write(folder.join(format!("chaos-{name}.{kind}")), text).map_err(failed())?;
        }
        Ok(())
    }
}

/// What the plot shows.
impl Report {
    pub(super) fn storage(&self) -> Storage {
        self.figures.storage
    }

    pub(super) fn took(&self) -> Duration {
        self.figures.took
    }

    pub(super) fn book(&self) -> &Book {
        &self.book
    }

    pub(super) fn reaches(&self) -> &BTreeMap<(usize, usize), Reach> {
        &self.reaches
    }

    pub(super) fn seconds(&self) -> Vec<timeline::Second> {
        timeline::seconds(&self.book, &self.judged, self.figures.start, self.figures.took)
    }

    /// In a sentence.
    pub(super) fn summary(&self) -> String {
        let Spread { seen, median, longest, .. } = self.spread(|_, _| true);
        format!(
            "{} requests in {} s, {} wrong denials, {} wrong accepts; {} revocations, seen at an edge \
             {seen} times: the last accept {:.1} s after them at the median, {:.1} s at most; {} \
             rotations; seed {}",
            self.book.requests.len(),
            self.figures.took.as_secs(),
            self.count(Judgement::WrongDenial),
            self.count(Judgement::WrongAccept),
            self.book.revocations.len(),
            median.as_secs_f64(),
            longest.as_secs_f64(),
            self.book.rotations.len(),
            self.seed,
        )
    }
}
