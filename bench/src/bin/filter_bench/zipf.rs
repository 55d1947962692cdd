//! Draws by Zipf's law, the same in every run.

/// After so many draws they begin anew.
const DRAWS: usize = 1 << 16;

/// Requests without end: the `n`-th of them is `1/n` to the power of `exponent` times as frequent
/// as the first. With 0 all of them are as frequent.
pub(crate) fn draws(
    pool: &[Vec<u8>],
    exponent: f64,
    seed: usize,
) -> impl Iterator<Item = &[u8]> + Send {
    let draws: Vec<usize> = indices(pool.len(), exponent, seed as u64).take(DRAWS).collect();
    let requests: Vec<&[u8]> =
        draws.into_iter().filter_map(|index| pool.get(index)).map(Vec::as_slice).collect();
    let mut next = 0;
    std::iter::from_fn(move || {
        let request = requests.get(next).copied();
        next = (next + 1) % requests.len().max(1);
        request
    })
}

/// Indices below `count`, without end.
fn indices(count: usize, exponent: f64, seed: u64) -> impl Iterator<Item = usize> {
    let mut sum = 0.0;
    let mut sums = Vec::with_capacity(count);
    for rank in 1..=u32::try_from(count).unwrap_or(u32::MAX) {
        sum += f64::from(rank).powf(-exponent);
        sums.push(sum);
    }
    let mut random = SplitMix(seed);
    std::iter::repeat_with(move || {
        let drawn = random.next() * sum;
        sums.partition_point(|sum| *sum <= drawn).min(count.saturating_sub(1))
    })
}

/// `SplitMix64`: not random enough to keep a secret, but the same everywhere.
struct SplitMix(u64);

impl SplitMix {
    /// At least 0 and less than 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // 32 bits are exact in a float.
        f64::from(u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or_default()) / 2_f64.powi(32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_drawn_ten_times_as_often_as_the_tenth() {
        let mut counts = vec![0_u32; 10_000];
        indices(10_000, 1.0, 1).take(1_000_000).for_each(|index| counts[index] += 1);
        let ratio = f64::from(counts[0]) / f64::from(counts[9]);
        assert!((9.0..11.0).contains(&ratio), "{ratio}");
        // 1 / H(10000)
        assert!((100_000..104_500).contains(&counts[0]), "{}", counts[0]);
    }
}
