//! The report for programs: JSON, and every request as a line of CSV.

use serde_json::{Map, Value, json};

use super::super::book::Manner;
use super::super::ledger::Judgement;
use super::super::passage::Matter;
use super::{Report, Spread};
use crate::load::Latencies;

impl Report {
    pub(super) fn to_json(&self) -> Value {
        let spread = |spread: Spread| {
            json!({
                "seen": spread.seen,
                "unseen": spread.unseen,
                "median_seconds": spread.median.as_secs_f64(),
                "longest_seconds": spread.longest.as_secs_f64(),
                "longest_on_the_wall_seconds": spread.longest_on_the_wall.as_secs_f64(),
            })
        };
        let rows = self.rows().into_iter().map(|((class, verdict, judgement), counts)| {
            json!({
                "class": class.to_string(),
                "verdict": verdict,
                "judgement": judgement.name(),
                "requests": counts.iter().sum::<u64>(),
            })
        });
        let edges = self.figures.edges.iter().enumerate().map(|(edge, figures)| {
            let by = |(matter, status): &(Matter, u16)| format!("{} {status}", matter.name());
            let answers = figures.answers.iter().map(|(key, count)| (by(key), (*count).into()));
            let tampered = figures.tampered.iter();
            json!({
                "name": self.edge_name(edge),
                "answers_of_the_issuer": answers.collect::<Map<String, Value>>(),
                "tampered": tampered
                    .map(|(matter, count)| (matter.name().to_owned(), (*count).into()))
                    .collect::<Map<String, Value>>(),
                "bundles_refused": figures.own.bundles_refused,
                "lists_refused": figures.own.lists_refused,
                "revocations": spread(self.spread(|_, of| of == edge)),
            })
        });
        let Latencies { median, p99, longest } = self.latencies;
        let latency = [median, p99, longest].map(|time| time.as_secs_f64() * 1000.0);
        json!({
            "storage": self.figures.storage.name(),
            "seed": self.seed,
            "seconds": self.figures.took.as_secs_f64(),
            "requests": self.book.requests.len(),
            "wrong_denials": self.count(Judgement::WrongDenial),
            "wrong_accepts": self.count(Judgement::WrongAccept),
            "unavailable": self.count(Judgement::Unavailable),
            "down": self.count(Judgement::Down),
            "latency_ms": latency,
            "rotations": self.book.rotations.len(),
            "logins": self.logins,
            "refreshes": self.refreshes,
            "revocations": spread(self.spread(|_, _| true)),
            "edges": edges.collect::<Value>(),
            "verdicts": rows.collect::<Value>(),
            "notes": self.figures.notes,
            "faults": self.faults(),
        })
    }

    pub(super) fn to_csv(&self) -> String {
        let mut csv =
            "second,edge,token,presented,class,verdict,milliseconds,judgement\n".to_owned();
        for (asked, judged) in self.book.requests.iter().zip(&self.judged) {
            let manner = match asked.manner {
                Manner::AsItIs => "as it is",
                Manner::Forged => "forged",
                Manner::Abroad => "at the other domain",
            };
            let class = judged.class.to_string().replace(',', "");
            let fields = [
                format!("{:.3}", self.since_start(asked.sent).as_secs_f64()),
                self.edge_name(asked.edge).to_owned(),
                asked.token.to_string(),
                manner.to_owned(),
                class,
                asked.answer.name(),
                format!("{:.3}", asked.took.as_secs_f64() * 1000.0),
                judged.judgement.name().to_owned(),
            ];
            csv.push_str(&fields.join(","));
            csv.push('\n');
        }
        csv
    }
}
