//! Reads from a test runner's output how many tests there were.

use std::ops::AddAssign;

/// Tests that passed, failed, and were passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// The sum of all summary lines: of `cargo nextest run` (`Summary [ 1.2s] 34 tests run: 33 passed, 1 failed, 2 skipped`)
/// and of `cargo test` (`test result: ok. 12 passed; 0 failed; 1 ignored; …`).
pub(crate) fn read<'a>(lines: impl IntoIterator<Item = &'a str>) -> Counts {
    let mut sum = Counts::default();
    for line in lines {
        sum += nextest(line).or_else(|| libtest(line)).unwrap_or_default();
    }
    sum
}

fn nextest(line: &str) -> Option<Counts> {
    let line = line.trim_start();
    if !line.starts_with("Summary [") {
        return None;
    }
    let (_, tallies) = line.split_once("run: ")?;
    let mut counts = Counts::default();
    for tally in tallies.split(", ") {
        // `33 passed (1 slow, 2 flaky)`: what is in brackets is counted already, and splits at its comma too.
        let mut words = tally.split_whitespace();
        let (Some(number), Some(word)) = (words.next(), words.next()) else {
            continue;
        };
        let Ok(number) = number.parse::<u64>() else {
            continue;
        };
        match word {
            "passed" => counts.passed += number,
            "skipped" => counts.skipped += number,
            "failed" | "exec" | "timed" => counts.failed += number,
            _ => {}
        }
    }
    Some(counts)
}

fn libtest(line: &str) -> Option<Counts> {
    let (_, tallies) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut counts = Counts::default();
    for tally in tallies.split("; ") {
        let Some((number, word)) = tally.split_once(' ') else {
            continue;
        };
        let Ok(number) = number.parse::<u64>() else {
            continue;
        };
        match word {
            "passed" => counts.passed = number,
            "failed" => counts.failed = number,
            "ignored" => counts.skipped = number,
            _ => {}
        }
    }
    Some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_of_nextest_is_read() {
        let line = "     Summary [   0.037s] 34 tests run: 31 passed (1 slow, 1 flaky), 2 failed, 1 timed out, 4 skipped";
        let expected = Counts {
            passed: 31,
            failed: 3,
            skipped: 4,
        };
        assert_eq!(read([line]), expected);
    }

    #[test]
    fn summaries_of_cargo_test_add_up() {
        let lines = [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: FAILED. 1 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        ];
        let expected = Counts {
            passed: 4,
            failed: 2,
            skipped: 1,
        };
        assert_eq!(read(lines), expected);
    }

    /// nextest shows the output of a failed test, twice in CI, and with it that test's own summary, indented.
    #[test]
    fn a_summary_within_a_tests_output_is_not_counted() {
        let line = "    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 9 filtered out; finished in 0.00s";
        assert_eq!(read([line]), Counts::default());
    }

    #[test]
    fn other_lines_count_nothing() {
        assert_eq!(read(["PASS [ 0.1s] 7 passed", ""]), Counts::default());
    }
}
