//! Sessions of the dashboard: a signed time of expiry in a cookie. Nothing is kept here, so a session goes on when
//! another manager takes over.
//!
//! The signature's key comes from the cluster key and from what is kept of the password: whoever changes the password
//! ends every session.

use std::time::Duration;

use client::{ClusterKey, PasswordHash};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The cookie's name.
const COOKIE: &str = "ika_session";
/// How long a session lasts: a working day.
pub(super) const SESSION_LENGTH: Duration = Duration::from_secs(12 * 3600);
/// What the key is for, so that no other use of the cluster key gives the same bytes.
const PURPOSE: &[u8] = b"ika dashboard session";

/// Signs and checks sessions.
pub(super) struct Signer {
    mac: Hmac<Sha256>,
}

impl Signer {
    pub fn new(key: &ClusterKey, password: &PasswordHash) -> Self {
        let mut derive = hmac(&key.0);
        derive.update(PURPOSE);
        derive.update(password.fingerprint());
        Self { mac: hmac(&derive.finalize().into_bytes()) }
    }

    /// The value of `Set-Cookie` for a session that begins now.
    pub fn begin(&self, now_ms: u64) -> String {
        let expires_ms = now_ms + u64::try_from(SESSION_LENGTH.as_millis()).expect("half a day");
        let signature = self.sign(expires_ms).finalize().into_bytes();
        let signature: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
        cookie(&format!("{expires_ms}.{signature}"), SESSION_LENGTH)
    }

    /// Whether the value of a request's `Cookie` header holds a session that lasts still.
    pub fn admits(&self, cookies: &str, now_ms: u64) -> bool {
        let values = cookies.split(';').filter_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='));
        values.take(COOKIES_MAX).any(|value| self.is_valid(value, now_ms).unwrap_or(false))
    }

    fn is_valid(&self, value: &str, now_ms: u64) -> Option<bool> {
        let (expires, signature) = value.split_once('.')?;
        let expires_ms = expires.parse().ok()?;
        let digits = signature.as_bytes().chunks_exact(2);
        let bytes: Option<Vec<u8>> =
            digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
        Some(self.sign(expires_ms).verify_slice(&bytes?).is_ok() && now_ms < expires_ms)
    }

    fn sign(&self, expires_ms: u64) -> Hmac<Sha256> {
        self.mac.clone().chain_update(expires_ms.to_le_bytes())
    }
}

/// Cookies of our name that are looked at: a browser sends one.
const COOKIES_MAX: usize = 4;

/// The value of `Set-Cookie` that ends a session.
pub(super) fn end() -> String {
    cookie("", Duration::ZERO)
}

/// Not readable by scripts, not sent along from other sites. No `Secure`: who wants TLS puts a proxy in front.
fn cookie(value: &str, age: Duration) -> String {
    format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}", age.as_secs())
}

fn hmac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(key: u8, password: &str) -> Signer {
        Signer::new(&ClusterKey([key; 32]), &PasswordHash::of(password).unwrap())
    }

    #[test]
    fn a_session_ends_by_time_and_by_a_change_of_the_password() {
        let password = PasswordHash::of("correct horse").unwrap();
        let signer_of = |key| Signer::new(&ClusterKey([key; 32]), &password);
        let cookie = signer_of(1).begin(1000);
        let sent = format!("other=1; {}", cookie.split(';').next().unwrap());
        let end_ms = 1000 + 12 * 3600 * 1000;
        assert!(signer_of(1).admits(&sent, 1001) && signer_of(1).admits(&sent, end_ms - 1));
        assert!(!signer_of(1).admits(&sent, end_ms), "expired");
        assert!(!signer_of(2).admits(&sent, 1001), "of another cluster");
        assert!(!signer(1, "another horse").admits(&sent, 1001), "the password was changed");
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"));
    }

    #[test]
    fn what_nobody_signed_is_refused() {
        let signer = signer(1, "correct horse");
        let cookie = signer.begin(1000);
        let value = cookie.split(';').next().unwrap();
        let later = value.replacen("=4", "=5", 1);
        assert_ne!(later, value);
        for wrong in ["", "ika_session=", "ika_session=9999999999999.", "ika_session=x.y", "ika_session=9é.é", &later]
        {
            assert!(!signer.admits(wrong, 1001), "{wrong}");
        }
        assert!(!signer.admits(end().split(';').next().unwrap(), 1001));
    }
}
