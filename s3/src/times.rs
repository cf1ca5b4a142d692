//! Times as the index keeps them and as S3 shows them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use s3s::dto::Timestamp;

/// Milliseconds since 1970 as a time.
pub(crate) fn timestamp(milliseconds: u64) -> Timestamp {
    (UNIX_EPOCH + Duration::from_millis(milliseconds)).into()
}

/// The same for times that may lie before 1970.
pub(crate) fn timestamp_signed(milliseconds: i64) -> Timestamp {
    let distance = Duration::from_millis(milliseconds.unsigned_abs());
    let time = if milliseconds < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
    time.unwrap_or(UNIX_EPOCH).into()
}

/// A time in milliseconds since 1970.
pub(crate) fn milliseconds(time: Timestamp) -> i64 {
    let time = SystemTime::from(time::OffsetDateTime::from(time));
    let clipped = |distance: Duration| i64::try_from(distance.as_millis()).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => clipped(after),
        Err(before) => -clipped(before.duration()),
    }
}

/// Whole seconds, which is what times in headers have.
pub(crate) fn seconds(milliseconds: u64) -> i64 {
    i64::try_from(milliseconds / 1000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for moment in [0, 1, 1_700_000_000_123, -86_400_000] {
            assert_eq!(milliseconds(timestamp_signed(moment)), moment);
        }
        assert_eq!(milliseconds(timestamp(1_700_000_000_123)), 1_700_000_000_123);
    }
}
