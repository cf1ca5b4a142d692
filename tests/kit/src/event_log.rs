//! What happened in a run, line by line: short enough to keep, exact enough to compare.
//!
//! The log keeps its last lines for the reader and a running digest of all lines for the comparison of two runs. A
//! digest is also kept per block of lines, so that when the lines themselves are gone the block in which two runs
//! parted is still known, and a replay with more room shows it.

use std::{collections::VecDeque, fmt};

use types::Time;

/// Lines per block digest. Ten million lines leave 80 KB of digests.
const BLOCK_LINES: u64 = 1024;

/// How many lines were written and what they were, in 16 bytes. Equal logs have equal digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogDigest {
    /// Lines written.
    pub count: u64,
    /// FNV-1a over all lines.
    pub hash: u64,
}

impl fmt::Display for LogDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} events, digest {:016x}", self.count, self.hash)
    }
}

/// A run's lines: all of them in the digest, the last ones as text.
#[derive(Debug, Clone)]
pub struct EventLog {
    lines_max: usize,
    lines: VecDeque<String>,
    digest: LogDigest,
    blocks: Vec<u64>,
}

impl EventLog {
    /// An empty log that keeps the last `lines_max` lines as text.
    pub fn new(lines_max: usize) -> Self {
        let digest = LogDigest { count: 0, hash: 0xcbf2_9ce4_8422_2325 };
        Self { lines_max, lines: VecDeque::new(), digest, blocks: Vec::new() }
    }

    /// Writes one event.
    pub fn record(&mut self, at: Time, event: impl fmt::Display) {
        let line = format!("{at} {event}");
        for byte in line.bytes().chain([b'\n']) {
            self.digest.hash = (self.digest.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.digest.count += 1;
        if self.digest.count.is_multiple_of(BLOCK_LINES) {
            self.blocks.push(self.digest.hash);
        }
        if self.lines.len() == self.lines_max {
            self.lines.pop_front();
        }
        if self.lines_max > 0 {
            self.lines.push_back(line);
        }
    }

    /// What was written so far, in short.
    pub fn digest(&self) -> LogDigest {
        self.digest
    }

    /// The last lines, oldest first.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }

    /// Where this log and the other part, in words; `None` when they are the same.
    pub fn difference(&self, other: &Self) -> Option<String> {
        if self.digest == other.digest {
            return None;
        }
        let mut ours = self.numbered().peekable();
        let mut theirs = other.numbered().peekable();
        let begin = ours.peek().map_or(self.digest.count, |line| line.0);
        let begin = begin.max(theirs.peek().map_or(other.digest.count, |line| line.0));
        let same_block = self.blocks.iter().zip(&other.blocks).take_while(|(left, right)| left == right).count() as u64;
        if (same_block + 1) * BLOCK_LINES <= begin {
            let first = same_block * BLOCK_LINES;
            return Some(format!(
                "the runs part between events {first} and {}, of which the text is gone; keep at least {} lines",
                first + BLOCK_LINES,
                self.digest.count.max(other.digest.count).saturating_sub(first),
            ));
        }
        let mut ours = ours.skip_while(|line| line.0 < begin);
        let mut theirs = theirs.skip_while(|line| line.0 < begin);
        loop {
            match (ours.next(), theirs.next()) {
                (Some(left), Some(right)) if left == right => {}
                (None, None) => {
                    return Some(format!("the runs part before event {begin}, of which the text is gone"));
                }
                (left, right) => {
                    let number = left.or(right).map_or(begin, |line| line.0);
                    let text =
                        |line: Option<(u64, &str)>| line.map_or("(the end)".to_owned(), |line| line.1.to_owned());
                    return Some(format!(
                        "the runs part at event {number}:\n  one:   {}\n  other: {}",
                        text(left),
                        text(right)
                    ));
                }
            }
        }
    }

    fn numbered(&self) -> impl Iterator<Item = (u64, &str)> {
        let first = self.digest.count - self.lines.len() as u64;
        (first..).zip(self.lines())
    }
}

impl fmt::Display for EventLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, the last {}:", self.digest, self.lines.len())?;
        self.lines().try_for_each(|line| writeln!(f, "{line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_of(lines_max: usize, lines: impl IntoIterator<Item = u64>) -> EventLog {
        let mut log = EventLog::new(lines_max);
        for line in lines {
            log.record(Time::from_milliseconds(line), format_args!("event {line}"));
        }
        log
    }

    #[test]
    fn equal_runs_have_equal_digests_whatever_they_keep() {
        let long = log_of(10_000, 0..5000);
        let short = log_of(3, 0..5000);
        assert_eq!(long.digest(), short.digest());
        assert_eq!(long.difference(&short), None);
        assert_eq!(short.lines().next(), Some("4.997000 event 4997"));
        assert_eq!(short.lines().count(), 3);
    }

    #[test]
    fn the_first_line_that_differs_is_shown() {
        let one = log_of(100, 0..50);
        let other = log_of(100, (0..50).map(|line| if line == 20 { 99 } else { line }));
        let difference = one.difference(&other).unwrap();
        assert!(difference.contains("at event 20"), "{difference}");
        assert!(difference.contains("0.020000 event 20") && difference.contains("0.099000 event 99"), "{difference}");
        let shorter = log_of(100, 0..49);
        assert!(one.difference(&shorter).unwrap().contains("(the end)"));
    }

    #[test]
    fn a_difference_before_the_kept_lines_is_named_by_its_block() {
        let one = log_of(10, 0..5000);
        let other = log_of(10, (0..5000).map(|line| if line == 2000 { 7 } else { line }));
        let difference = one.difference(&other).unwrap();
        assert!(difference.contains("between events 1024 and 2048"), "{difference}");
    }

    #[test]
    fn a_log_without_room_still_compares() {
        let one = log_of(0, 0..10);
        assert_eq!(one.lines().count(), 0);
        assert!(one.difference(&log_of(0, 0..11)).is_some());
    }
}
