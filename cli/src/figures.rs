//! Numbers, times and tables as humans read them.

use comfy_table::{CellAlignment, Table, presets::NOTHING};

/// Bytes with a unit, three digits: `4 KiB`, `1.5 GiB`. Ceph's form.
pub(crate) fn bytes(count: u64) -> String {
    with_unit(count, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"], 1024)
}

/// A count with a thousands' letter: `12.3k`.
pub(crate) fn count(count: u64) -> String {
    let text = with_unit(count, &["", "k", "M", "G", "T", "P", "E"], 1000);
    text.replace(' ', "")
}

fn with_unit(count: u64, units: &[&str], step: u64) -> String {
    let mut scale = 1u64;
    let mut unit = 0;
    while unit + 1 < units.len() && count / scale >= step {
        scale = scale.saturating_mul(step);
        unit += 1;
    }
    let tenths = u128::from(count) * 10 / u128::from(scale);
    if unit == 0 || tenths >= 100 || tenths % 10 == 0 {
        return format!("{} {}", tenths / 10, units[unit]);
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, units[unit])
}

/// `2026-11-23T16:20:00.123+0000` of milliseconds since 1970.
pub(crate) fn time(milliseconds: u64) -> String {
    let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
    let (days, in_day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (in_day / 3600, in_day / 60 % 60, in_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{rest:03}+0000")
}

/// Year, month and day of a count of days since 1970: whole periods of the Gregorian calendar, from the largest.
fn date(mut days: u64) -> (u64, u64, u64) {
    let mut year = 1970;
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)
}

/// Which side of a column its cells stand at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

/// Rows under a head, in columns two spaces apart, without lines.
pub(crate) fn table(head: &[(&str, Side)], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(head.iter().map(|(name, _)| *name));
    for row in rows {
        table.add_row(row);
    }
    for (index, (_, side)) in head.iter().enumerate() {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, 2));
            column.set_cell_alignment(match side {
                Side::Left => CellAlignment::Left,
                Side::Right => CellAlignment::Right,
            });
        }
    }
    table.to_string().lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_counts_have_units() {
        let shown = [0, 1023, 1024, 1536, 10 << 10, 5 << 30, u64::MAX].map(bytes);
        assert_eq!(shown, ["0 B", "1023 B", "1 KiB", "1.5 KiB", "10 KiB", "5 GiB", "15 EiB"]);
        assert_eq!([999, 1000, 12_345].map(count), ["999", "1k", "12k"]);
    }

    #[test]
    fn times_are_dates() {
        assert_eq!(time(0), "1970-01-01T00:00:00.000+0000");
        assert_eq!(time(951_782_400_000), "2000-02-29T00:00:00.000+0000");
        assert_eq!(time(1_795_446_000_123), "2026-11-23T15:00:00.123+0000");
        assert_eq!(time(4_102_444_799_999), "2099-12-31T23:59:59.999+0000");
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [vec!["a".to_owned(), "1".to_owned()], vec!["long".to_owned(), "100".to_owned()]];
        let text = table(&[("NAME", Side::Left), ("SIZE", Side::Right)], rows);
        assert_eq!(text, "NAME  SIZE\na        1\nlong   100\n");
    }
}
