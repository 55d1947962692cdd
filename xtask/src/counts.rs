//! Counting tests, from the summaries that the test runners print.

use std::ops::AddAssign;

/// How many tests ran, and how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Counts {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
    pub(crate) skipped: u32,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// Adds up what `cargo test` prints for each binary:
/// `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
pub(crate) fn of_cargo_test(output: &str) -> Counts {
    let mut total = Counts::default();
    for line in output.lines().filter(|line| line.contains("test result: ")) {
        total += Counts {
            passed: before(line, " passed"),
            failed: before(line, " failed"),
            skipped: before(line, " ignored"),
        };
    }
    total
}

/// Reads nextest's summary, when there is one:
/// `Summary [ 1.2s] 5 tests run: 3 passed (1 slow), 1 failed, 1 timed out, 2 skipped`.
pub(crate) fn of_nextest(output: &str) -> Option<Counts> {
    let plain = without_colour(output);
    let line = plain.lines().rev().find(|line| line.trim_start().starts_with("Summary ["))?;
    Some(Counts {
        passed: before(line, " passed"),
        failed: before(line, " failed")
            + before(line, " timed out")
            + before(line, " exec failed")
            + not_run(line),
        skipped: before(line, " skipped"),
    })
}

/// `3/5 tests run`: the two that an abort left out have not passed.
fn not_run(line: &str) -> u32 {
    let Some((fraction, _)) = line.split_once(" tests run") else { return 0 };
    let Some((ran, all)) = fraction.rsplit(' ').next().and_then(|word| word.split_once('/')) else {
        return 0;
    };
    let number = |text: &str| text.parse::<u32>().unwrap_or(0);
    number(all).saturating_sub(number(ran))
}

fn before(line: &str, word: &str) -> u32 {
    line.split_once(word)
        .and_then(|(head, _)| head.rsplit(|letter: char| !letter.is_ascii_digit()).next())
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}

fn without_colour(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter == '\u{1b}' {
            letters.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(letter);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_test_is_added_up_over_binaries() {
        let output = "\
            test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n\
            noise\n\
            test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(of_cargo_test(output), Counts { passed: 13, failed: 2, skipped: 1 });
    }

    #[test]
    fn nextest_summaries_are_read() {
        let counts = |line| of_nextest(line);
        let plain = "     Summary [   0.011s] 3 tests run: 3 passed (1 slow), 0 skipped\n";
        assert_eq!(counts(plain), Some(Counts { passed: 3, failed: 0, skipped: 0 }));
        let worse = " Summary [ 1s] 5 tests run: 2 passed, 1 failed, 2 timed out, 7 skipped";
        assert_eq!(counts(worse), Some(Counts { passed: 2, failed: 3, skipped: 7 }));
        let aborted = " Summary [ 1s] 3/5 tests run: 3 passed, 0 skipped";
        assert_eq!(counts(aborted), Some(Counts { passed: 3, failed: 2, skipped: 0 }));
        assert_eq!(counts("error: could not compile"), None);
    }

    #[test]
    fn colours_do_not_hide_the_numbers() {
        let line = "\u{1b}[32;1m     Summary\u{1b}[0m [   1s] \u{1b}[1m4\u{1b}[0m tests run: \
            \u{1b}[1m4\u{1b}[0m \u{1b}[32;1mpassed\u{1b}[0m, \u{1b}[1m0\u{1b}[0m skipped";
        assert_eq!(of_nextest(line), Some(Counts { passed: 4, failed: 0, skipped: 0 }));
    }
}
