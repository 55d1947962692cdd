//! All tasks natively, and `jsonwebtoken` beside them.
//!
//! `cargo bench --package postern-bench` leaves it to criterion. With `-- --rounds` the program
//! measures as `wasm/run.mjs` does, so that the two can stand in one table: rounds of a few
//! milliseconds go around all tasks in turn, and the fastest counts.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::Criterion;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, jwk::Jwk};
use postern_bench::{Counting, Fixtures, Task, tasks};
use serde_json::Value;

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

const ROUNDS: u32 = 40;
const ROUND: Duration = Duration::from_millis(2);

fn main() {
    let fixtures = Fixtures::load();
    let ours = tasks(fixtures).into_iter().map(|task| ("native", task));
    let peers = fixtures.algorithms().filter_map(|algorithm| peer(fixtures, algorithm));
    let mut subjects: Vec<(&str, Task)> =
        ours.chain(peers.map(|task| ("jsonwebtoken", task))).collect();
    for (who, task) in &mut subjects {
        assert!(task.run(), "{who}: {}", task.name);
    }
    if std::env::args().any(|word| word == "--rounds") {
        allocations(&mut subjects);
        rounds(&mut subjects);
    } else {
        criterion(&mut subjects);
    }
}

/// How many bytes one run allocates: `bytes TAB task TAB bytes`.
fn allocations(subjects: &mut [(&str, Task)]) {
    for (_, task) in subjects.iter_mut().filter(|(who, _)| *who == "native") {
        let before = ALLOCATOR.bytes();
        task.run();
        println!("bytes\t{}\t{}", task.name, ALLOCATOR.bytes() - before);
    }
}

/// `who TAB task TAB microseconds`.
fn rounds(subjects: &mut [(&str, Task)]) {
    let mut best: Vec<(u32, f64)> =
        subjects.iter_mut().map(|(_, task)| (times(task), f64::INFINITY)).collect();
    for _ in 0..ROUNDS {
        for ((_, task), (times, best)) in subjects.iter_mut().zip(&mut best) {
            *best = best.min(time(task, *times).as_secs_f64() * 1e6 / f64::from(*times));
        }
    }
    for ((who, task), (_, best)) in subjects.iter().zip(best) {
        println!("{who}\t{}\t{best:.3}", task.name);
    }
}

/// How often a task runs in a round.
fn times(task: &mut Task) -> u32 {
    let mut times = 1;
    while time(task, times) < ROUND && times < 1 << 20 {
        times *= 2;
    }
    times
}

fn time(task: &mut Task, times: u32) -> Duration {
    let start = Instant::now();
    assert!((0..times).all(|_| task.run()), "{}", task.name);
    start.elapsed()
}

fn criterion(subjects: &mut [(&str, Task)]) {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    for (who, task) in subjects {
        let name = format!("{who}: {}", task.name);
        criterion.bench_function(&name, |bencher| bencher.iter(|| task.run()));
    }
    criterion.final_summary();
}

/// `jsonwebtoken` on the token of an algorithm; `None` where it does not have the algorithm.
fn peer(fixtures: &'static Fixtures, algorithm: &str) -> Option<Task> {
    let token = fixtures.token(algorithm);
    let key =
        fixtures.keys().iter().find(|key| key.get("kid").is_some_and(|id| id == algorithm))?;
    let key = DecodingKey::from_jwk(&serde_json::from_value::<Jwk>(key.clone()).ok()?).ok()?;
    let mut validation = Validation::new(algorithm.parse::<Algorithm>().ok()?);
    validation.set_audience(&[fixtures.audience()]);
    validation.set_issuer(&[fixtures.issuer()]);
    let decode = move || decode::<Value>(black_box(token), &key, &validation).is_ok();
    Some(Task::new(format!("decide {algorithm}"), decode))
}
