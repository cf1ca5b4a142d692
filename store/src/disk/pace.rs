//! How long the journal waits for a group to grow.
//!
//! Those whose transactions have just become durable are about to send the next ones. Where a flush costs much more
//! than the time they need for that, a group without them makes them wait for two flushes, and halves what the device
//! could carry. So the journal waits for as many as the last group had, with those that came while it was written:
//! never for more than a part of the time that the device took, and not at all where only one was in flight, or where
//! writing costs more than flushing.

use std::time::Duration;

use super::{group::Record, staging::UNIT_LENGTH};

/// The part of the device's time that is waited at most: those who came first lose little when the others do not come.
const PATIENCE_SHARE: u32 = 4;
/// Most time waited. A device that flushes for longer than this times the share does not want more patience.
const PATIENCE_MAX: Duration = Duration::from_millis(1);
/// Bytes of a group beyond which writing costs as much as flushing, so that it pays to write while others come.
const GATHERED_BYTES_MAX: usize = 512 << 10;

/// What the next group waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Records that are likely to come soon, with those that are there.
    pub records: usize,
    /// How long they are waited for.
    pub patience: Duration,
}

impl Pace {
    /// Whatever comes first is taken at once.
    pub const AT_ONCE: Self = Self { records: 1, patience: Duration::ZERO };

    /// After a group of these records, which kept the device busy for so long while others came.
    pub fn after(group: &[Record], others: usize, device_time: Duration) -> Self {
        let bytes = |record: &Record| {
            let units = record.units.len() + record.runs.iter().map(|run| run.crcs.len()).sum::<usize>();
            units * UNIT_LENGTH
        };
        if group.iter().map(bytes).sum::<usize>() > GATHERED_BYTES_MAX {
            return Self::AT_ONCE;
        }
        let patience = (device_time / PATIENCE_SHARE).min(PATIENCE_MAX);
        Self { records: (group.len() + others).max(1), patience }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::disk::group::JournaledUnit;

    fn records(count: usize, units: usize) -> Vec<Record> {
        let unit = JournaledUnit { place: 1, crc: 0, data: Bytes::new() };
        let record = || Record { units: vec![unit.clone(); units], ..Record::default() };
        std::iter::repeat_with(record).take(count).collect()
    }

    #[test]
    fn waits_for_those_answered_and_those_that_came_meanwhile() {
        let pace = Pace::after(&records(16, 1), 16, Duration::from_micros(400));
        assert_eq!(pace, Pace { records: 32, patience: Duration::from_micros(100) });
        assert_eq!(Pace::after(&records(1, 1), 0, Duration::from_secs(1)).records, 1);
        assert_eq!(Pace::after(&records(2, 1), 0, Duration::from_secs(1)).patience, PATIENCE_MAX);
    }

    #[test]
    fn large_writes_are_not_held_up() {
        assert_eq!(Pace::after(&records(2, 1024), 2, Duration::from_millis(4)), Pace::AT_ONCE);
    }
}
