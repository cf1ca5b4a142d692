//! Fractions in JSON as Ceph prints them: whole ones without a decimal point.

use serde::Serializer;

pub(super) fn serialize<S: Serializer>(fraction: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    #[expect(clippy::cast_possible_truncation, reason = "only whole numbers that fit are taken")]
    let whole = *fraction as i64;
    #[expect(clippy::cast_precision_loss, reason = "what does not come back equal is not printed as whole")]
    let back = whole as f64;
    if back == *fraction { serializer.serialize_i64(whole) } else { serializer.serialize_f64(*fraction) }
}

pub(super) fn serialize_some<S: Serializer>(fraction: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match fraction {
        Some(fraction) => serialize(fraction, serializer),
        None => serializer.serialize_none(),
    }
}
