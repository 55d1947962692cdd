//! How often the cache hits, beside LRU and FIFO with room for as many entries.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::{SplitMix, request, room_for};

const TOKENS: u32 = 10_000;
const REQUESTS: u32 = 100_000;

/// Prints the table of the module's documentation, with `--nocapture`.
#[test]
fn hits_no_less_often_than_lru() {
    for (name, exponent) in [("0.9", 0.9), ("1.0", 1.0), ("1.1", 1.1)] {
        let trace = zipf(exponent, 1);
        for room in [100, 1_000] {
            let mut cache = room_for(room);
            let sieve = percent_of_hits(&trace, |number| request(&mut cache, number));
            assert_eq!(cache.counters().entries, room);
            let mut lru = Lru { room, ..Lru::default() };
            let lru = percent_of_hits(&trace, |number| lru.request(number));
            let mut fifo = Fifo { room, ..Fifo::default() };
            let fifo = percent_of_hits(&trace, |number| fifo.request(number));
            println!("//! | {name} | {room} | {sieve:.1} % | {lru:.1} % | {fifo:.1} % |");
            assert!(sieve > lru - 1.0, "{sieve} % against {lru} %");
            assert!(sieve > fifo, "{sieve} % against {fifo} %");
        }
    }
}

#[test]
fn a_burst_of_tokens_used_once_leaves_those_in_use() {
    let in_use = |mut request: Box<dyn FnMut(u64) -> bool>| {
        let mut hits = |numbers: std::ops::Range<u64>| numbers.filter(|it| request(*it)).count();
        hits(0..80);
        assert_eq!(hits(0..80), 80);
        assert_eq!(hits(1_000..1_119), 0);
        hits(0..80)
    };
    let mut sieve = room_for(100);
    let mut lru = Lru { room: 100, ..Lru::default() };
    assert_eq!(in_use(Box::new(move |number| request(&mut sieve, number))), 80);
    assert_eq!(in_use(Box::new(move |number| lru.request(number))), 0, "what SIEVE spares us");
}

/// Requests for tokens of which the one of rank `r` is asked for `1 / r^exponent` times as often
/// as the first.
fn zipf(exponent: f64, seed: u64) -> Vec<u64> {
    let mut sum = 0.0;
    let sums: Vec<f64> = (1..=TOKENS)
        .map(|rank| {
            sum += f64::from(rank).powf(-exponent);
            sum
        })
        .collect();
    let mut random = SplitMix(seed);
    let mut draw = || {
        let fraction = f64::from(u32::try_from(random.next() >> 32).unwrap()) / f64::from(u32::MAX);
        sums.partition_point(|reached| *reached < fraction * sum) as u64
    };
    (0..REQUESTS).map(|_| draw()).collect()
}

fn percent_of_hits(trace: &[u64], mut request: impl FnMut(u64) -> bool) -> f64 {
    let hits = trace.iter().filter(|number| request(**number)).count();
    f64::from(u32::try_from(hits).unwrap()) * 100.0 / f64::from(REQUESTS)
}

#[derive(Default)]
struct Lru {
    room: usize,
    time: u64,
    used: HashMap<u64, u64>,
    by_time: BTreeMap<u64, u64>,
}

impl Lru {
    fn request(&mut self, number: u64) -> bool {
        self.time += 1;
        let before = self.used.insert(number, self.time);
        self.by_time.insert(self.time, number);
        if let Some(before) = before {
            self.by_time.remove(&before);
        } else if self.used.len() > self.room {
            let (_, oldest) = self.by_time.pop_first().unwrap();
            self.used.remove(&oldest);
        }
        before.is_some()
    }
}

#[derive(Default)]
struct Fifo {
    room: usize,
    held: HashSet<u64>,
    queue: VecDeque<u64>,
}

impl Fifo {
    fn request(&mut self, number: u64) -> bool {
        let miss = self.held.insert(number);
        if miss {
            self.queue.push_back(number);
            if self.queue.len() > self.room {
                self.held.remove(&self.queue.pop_front().unwrap());
            }
        }
        !miss
    }
}
