//! Numbers as C and C++ print them.

use std::fmt::Write as _;

/// As `%.{precision}g`, which is also how C++ streams print floats (with a precision of 6).
pub(super) fn general(number: f64, precision: usize) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    if !number.is_finite() {
        return if number.is_nan() { "nan".to_owned() } else { format!("{number}") };
    }
    let precision = precision.max(1);
    let scientific = format!("{number:.*e}", precision - 1);
    let (mantissa, exponent) = scientific.split_once('e').expect("the format has an exponent");
    let exponent: i32 = exponent.parse().expect("the exponent is a number");
    let digits = i32::try_from(precision).unwrap_or(i32::MAX);
    let mut text = String::new();
    if exponent < -4 || exponent >= digits {
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(text, "{}e{sign}{:02}", without_trailing_zeros(mantissa), exponent.abs()).expect("a string takes all");
    } else {
        let decimals = usize::try_from(digits - 1 - exponent).unwrap_or(0);
        text.push_str(without_trailing_zeros(&format!("{number:.decimals$}")));
    }
    text
}

fn without_trailing_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// The integer at the beginning of a text, as C's `atoi`: 0 if there is none.
pub(super) fn leading_integer(text: &str) -> i32 {
    let text = text.trim_start();
    let sign = usize::from(text.starts_with(['-', '+']));
    let digits = text[sign..].bytes().take_while(u8::is_ascii_digit).count();
    text[..sign + digits].parse().unwrap_or(0)
}

/// The number at the beginning of a text, as C's `atof`: 0 if there is none.
pub(super) fn leading_float(text: &str) -> f32 {
    let text = text.trim_start();
    let longest = (1..=text.len())
        .rev()
        .filter(|length| text.is_char_boundary(*length))
        .find_map(|length| text[..length].parse::<f64>().ok());
    #[expect(clippy::cast_possible_truncation, reason = "the tool keeps weights as 32-bit floats")]
    let number = longest.unwrap_or(0.0) as f32;
    number
}

#[cfg(test)]
mod tests {
    use super::{general, leading_float, leading_integer};

    #[test]
    fn numbers_are_printed_as_c_does() {
        for (number, expected) in
            [(42.6667f32, "42.6667"), (0.0, "0"), (1e9, "1e+09"), (123_456.0, "123456"), (0.00001, "1e-05")]
        {
            assert_eq!(general(f64::from(number), 6), expected);
        }
        assert_eq!(general(f64::from(0.022_994_995f32), 17), "0.0229949951171875");
        assert_eq!(general(1_234_567.0, 6), "1.23457e+06");
    }

    #[test]
    fn numbers_are_read_as_c_does() {
        assert_eq!(leading_integer("12abc"), 12);
        assert_eq!(leading_integer("-3"), -3);
        assert_eq!(leading_integer("x"), 0);
        assert!((leading_float("2.5kg") - 2.5).abs() < f32::EPSILON);
        assert!(leading_float("kg").abs() < f32::EPSILON);
    }
}
