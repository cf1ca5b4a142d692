//! Weights between their decimal and their fixed-point form, as Ceph converts them: by way of a 32-bit float, whose rounding
//! decides the last bits.

/// The 16.16 fixed point of a decimal number; `None` if it is none, negative, or does not fit.
#[must_use]
pub fn parse(text: &str) -> Option<u32> {
    let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E'));
    let number: f32 = text.parse().ok().filter(|_| is_decimal)?;
    from_float(number)
}

/// The 16.16 fixed point of a number; `None` if it is negative or does not fit.
#[must_use]
pub fn from_float(number: f32) -> Option<u32> {
    let scaled = number * 65_536.0;
    if !(0.0..4_294_967_296.0).contains(&scaled) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above; the fraction goes")]
    let fixed = scaled as u32;
    Some(fixed)
}

/// The number that a 16.16 fixed point stands for, as near as a 32-bit float comes.
#[must_use]
pub fn to_float(weight: u32) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "Ceph's tools print with this precision")]
    let float = weight.cast_signed() as f32;
    float / 65_536.0
}
