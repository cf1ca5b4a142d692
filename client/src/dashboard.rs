//! The dashboard as its users and operators reach it: where it is, and the password that opens it.
//!
//! Both stand in the monitors' key/value store, so that every manager finds them and a lost manager loses nothing. Of
//! the password only a salted, slow hash is kept:
//!
//! ```text
//! mgr/dashboard/password   pbkdf2-sha256$ROUNDS$SALT$HASH   salt and hash in hexadecimal digits
//! mgr/dashboard/url        http://HOST:PORT/                of the manager that works
//! ```

use std::fmt;

use bytes::Bytes;
use types::{Error, ErrorKind, Result};

use crate::{Cluster, CommandArguments};

const PASSWORD_KEY: &str = "mgr/dashboard/password";
const URL_KEY: &str = "mgr/dashboard/url";

const SCHEME: &str = "pbkdf2-sha256";
/// OWASP's advice for PBKDF2 with HMAC-SHA-256: a tenth of a second for each guess.
const ROUNDS: u32 = 600_000;
/// Most rounds of a stored hash: a wrong record must not keep a manager busy for hours.
const ROUNDS_MAX: u32 = 100 * ROUNDS;
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;
/// Characters of the shortest password that is taken.
const PASSWORD_CHARACTERS_MIN: usize = 8;
/// Bytes of the longest.
const PASSWORD_BYTES_MAX: usize = 256;
/// Characters of a password that is drawn: 5 bits each.
const DRAWN_CHARACTERS: usize = 24;

/// What is kept of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    rounds: u32,
    salt: Vec<u8>,
    hash: [u8; HASH_BYTES],
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(hidden)")
    }
}

impl PasswordHash {
    /// Of a new password. Takes a tenth of a second of processor time.
    ///
    /// # Errors
    /// `Invalid` when the password is too short or too long.
    pub fn of(password: &str) -> Result<Self> {
        if password.chars().count() < PASSWORD_CHARACTERS_MIN || password.len() > PASSWORD_BYTES_MAX {
            return Err(Error::invalid(format!(
                "a password has at least {PASSWORD_CHARACTERS_MIN} characters and at most {PASSWORD_BYTES_MAX} bytes"
            )));
        }
        let salt = random_bytes::<SALT_BYTES>()?.to_vec();
        let hash = stretch(password, &salt, ROUNDS);
        Ok(Self { rounds: ROUNDS, salt, hash })
    }

    /// Whether this is the password. Takes as long as making the hash did.
    pub fn matches(&self, password: &str) -> bool {
        if password.len() > PASSWORD_BYTES_MAX {
            return false;
        }
        let hash = stretch(password, &self.salt, self.rounds);
        // Every byte is looked at, so that the time says nothing of where they differ.
        hash.iter().zip(&self.hash).fold(0, |differing, (one, other)| differing | (one ^ other)) == 0
    }

    /// Bytes that change with the password and are of use to nobody who does not know the hash.
    pub fn fingerprint(&self) -> &[u8] {
        &self.hash
    }

    /// As it is stored.
    pub fn to_text(&self) -> String {
        format!("{SCHEME}${}${}${}", self.rounds, to_hexadecimal(&self.salt), to_hexadecimal(&self.hash))
    }

    /// Understands what is stored.
    ///
    /// # Errors
    /// `Damaged` when it is of another form.
    pub fn parse(text: &str) -> Result<Self> {
        let understood = || {
            let mut parts = text.split('$');
            let (scheme, rounds) = (parts.next()?, parts.next()?.parse().ok()?);
            let (salt, hash) = (from_hexadecimal(parts.next()?)?, from_hexadecimal(parts.next()?)?);
            let is_known = scheme == SCHEME && (1..=ROUNDS_MAX).contains(&rounds) && parts.next().is_none();
            is_known.then_some(Self { rounds, salt, hash: hash.try_into().ok()? })
        };
        let damaged =
            || Error::damaged(format!("{PASSWORD_KEY} holds no {SCHEME} hash; `ika dashboard password` sets one"));
        understood().ok_or_else(damaged)
    }
}

/// A password that nobody guesses.
pub fn draw_password() -> Result<String> {
    // 32 characters, none of which looks like another.
    const CHARACTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let bytes = random_bytes::<DRAWN_CHARACTERS>()?;
    Ok(bytes.iter().map(|byte| char::from(CHARACTERS[usize::from(byte % 32)])).collect())
}

impl Cluster {
    /// What is kept of the dashboard's password; `None` when none was set.
    pub async fn dashboard_password(&self) -> Result<Option<PasswordHash>> {
        self.key_value(PASSWORD_KEY).await?.map(|text| PasswordHash::parse(&text)).transpose()
    }

    /// Sets the dashboard's password; sessions that were opened with another end within seconds.
    pub async fn set_dashboard_password(&self, hash: &PasswordHash) -> Result<()> {
        self.set_key_value(PASSWORD_KEY, hash.to_text()).await
    }

    /// Where the dashboard of the working manager is; `None` when no manager has served one.
    pub async fn dashboard_url(&self) -> Result<Option<String>> {
        self.key_value(URL_KEY).await
    }

    /// Says where it is: for managers.
    pub async fn set_dashboard_url(&self, url: &str) -> Result<()> {
        self.set_key_value(URL_KEY, url.to_owned()).await
    }

    async fn key_value(&self, key: &str) -> Result<Option<String>> {
        let arguments = CommandArguments::from([("key".to_owned(), key.to_owned())]);
        match self.command("config-key get", arguments, Bytes::new()).await {
            Ok(answer) => {
                let text = String::from_utf8(answer.output.into());
                text.map(Some).map_err(|_| Error::damaged(format!("{key} holds no text")))
            }
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn set_key_value(&self, key: &str, value: String) -> Result<()> {
        let arguments = CommandArguments::from([("key".to_owned(), key.to_owned()), ("val".to_owned(), value)]);
        self.command("config-key set", arguments, Bytes::new()).await.map(drop)
    }
}

fn stretch(password: &str, salt: &[u8], rounds: u32) -> [u8; HASH_BYTES] {
    pbkdf2::pbkdf2_hmac_array::<sha2::Sha256, HASH_BYTES>(password.as_bytes(), salt, rounds)
}

fn random_bytes<const COUNT: usize>() -> Result<[u8; COUNT]> {
    let mut bytes = [0; COUNT];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::internal(format!("read the operating system's randomness: {error}")))?;
    Ok(bytes)
}

fn to_hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hexadecimal(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    let pairs = text.as_bytes().chunks_exact(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_by_its_hash_alone() {
        let hash = PasswordHash::of("correct horse").unwrap();
        let stored = PasswordHash::parse(&hash.to_text()).unwrap();
        assert_eq!(stored, hash);
        assert!(stored.matches("correct horse") && !stored.matches("correct horsf") && !stored.matches(""));
        assert!(!hash.to_text().contains("horse") && !format!("{hash:?}").contains('$'));
        assert_ne!(PasswordHash::of("correct horse").unwrap(), hash, "each has its own salt");
    }

    #[test]
    fn bounds_and_damage_are_refused() {
        assert!(PasswordHash::of("seven77").is_err() && PasswordHash::of("eight888").is_ok());
        assert!(PasswordHash::of(&"x".repeat(PASSWORD_BYTES_MAX + 1)).is_err());
        let text = PasswordHash::of("correct horse").unwrap().to_text();
        for wrong in [text.replace("sha256", "sha1"), text.replace("600000", "0"), format!("{text}00"), String::new()] {
            assert_eq!(PasswordHash::parse(&wrong).unwrap_err().kind, ErrorKind::Damaged, "{wrong}");
        }
    }

    /// RFC 7914, section 11: the test vector for PBKDF2-HMAC-SHA-256 with 80,000 rounds, its first half.
    #[test]
    fn the_hash_is_the_standard_one() {
        let hash = stretch("Password", b"NaCl", 80_000);
        assert_eq!(to_hexadecimal(&hash), "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56");
    }

    #[test]
    fn drawn_passwords_differ() {
        let (one, other) = (draw_password().unwrap(), draw_password().unwrap());
        assert!(one != other && one.len() == DRAWN_CHARACTERS);
    }
}
