//! Numbers as C++ streams print them.

/// Digits that a stream prints of a float.
const PRECISION: usize = 6;

/// A float as a C++ stream prints it: `%g`.
pub(crate) fn general(number: f64) -> String {
    if number.is_nan() {
        // What dividing zero by zero gives on the machines that Ceph runs on has its sign set.
        return "-nan".to_owned();
    }
    if number == 0.0 || number.is_infinite() {
        return format!("{number}");
    }
    let scientific = format!("{number:.*e}", PRECISION - 1);
    let (mantissa, exponent) = scientific.split_once('e').expect("the format has an exponent");
    let exponent: i32 = exponent.parse().expect("the exponent is a number");
    let digits = i32::try_from(PRECISION).expect("the precision is small");
    if exponent < -4 || exponent >= digits {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trimmed(mantissa), exponent.abs());
    }
    let decimals = usize::try_from(digits - 1 - exponent).unwrap_or(0);
    trimmed(&format!("{number:.decimals$}")).to_owned()
}

fn trimmed(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::general;

    #[test]
    fn floats_are_printed_as_cpp_does() {
        let expected = [
            (0.0, "0"),
            (1.0, "1"),
            (2.5, "2.5"),
            (3.055_050_463, "3.05505"),
            (0.381_881_3, "0.381881"),
            (1_234_567.0, "1.23457e+06"),
            (0.000_012, "1.2e-05"),
            (0.000_1, "0.0001"),
            (f64::NAN, "-nan"),
            (f64::INFINITY, "inf"),
            (999_999.9, "1e+06"),
        ];
        for (number, text) in expected {
            assert_eq!(general(number), text);
        }
    }
}
