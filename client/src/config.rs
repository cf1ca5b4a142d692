//! How a client finds its cluster and proves that it belongs to it: the file `ika.toml`.
//!
//! ```toml
//! # Which cluster. Two clusters on one machine may reuse each other's ports; this tells them apart.
//! cluster = "8f14e45f-ceea-467f-a0e6-d3b0b1a2c3d4"
//! # The cluster key: 32 bytes as 64 hexadecimal digits. Whoever has it is trusted; keep the file readable to few.
//! key = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
//! # Who speaks. Optional; `client.admin` when it is not said.
//! name = "client.admin"
//! # Control planes of the monitors. One that answers is enough; name all, so that any may be down.
//! monitors = ["127.0.0.1:41001", "127.0.0.1:41002", "127.0.0.1:41003"]
//! ```
//!
//! Fields that are not named here are left alone, so that whoever writes the file may keep more in it.

use std::{
    env, fmt, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use types::{ClusterId, EntityKind, EntityName, Error, Result};

/// The variable that names the file.
pub const CONFIG_VARIABLE: &str = "IKA_CONFIG";
/// Where the file is when nothing names it: in the data folder that `ika up` makes in the current folder.
pub const CONFIG_PATH_DEFAULT: &str = "ika-data/ika.toml";

/// The cluster's secret. Shown by nothing but the file.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClusterKey(pub [u8; 32]);

impl fmt::Debug for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterKey(hidden)")
    }
}

impl TryFrom<String> for ClusterKey {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        let refuse = || Error::invalid("the cluster key is not 64 hexadecimal digits");
        let mut key = [0; 32];
        if text.len() != 2 * key.len() || !text.is_ascii() {
            return Err(refuse());
        }
        for (byte, digits) in key.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| refuse())?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| refuse())?;
        }
        Ok(Self(key))
    }
}

impl From<ClusterKey> for String {
    fn from(key: ClusterKey) -> Self {
        key.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What a client must know to connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Which cluster.
    pub cluster: ClusterId,
    /// Its secret.
    pub key: ClusterKey,
    /// Who speaks.
    #[serde(default = "name_default")]
    pub name: EntityName,
    /// Control planes of monitors.
    pub monitors: Vec<SocketAddr>,
}

fn name_default() -> EntityName {
    EntityName::new(EntityKind::Client, "admin")
}

impl Config {
    /// Reads the file.
    pub fn load(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::not_found(format!("{} does not exist", path.display())),
            _ => Error::invalid(format!("read {}: {error}", path.display())),
        })?;
        Self::parse(&text).map_err(|error| error.context(path.display()))
    }

    /// Understands the file's text.
    pub fn parse(text: &str) -> Result<Self> {
        let config: Self =
            toml::from_str(text).map_err(|error| Error::invalid(error.to_string().trim_end().replace('\n', "; ")))?;
        if config.monitors.is_empty() {
            return Err(Error::invalid(
                "no monitors are named; `monitors` needs at least one address like 127.0.0.1:41001",
            ));
        }
        Ok(config)
    }

    /// The file's text.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("the fields are text and lists of text")
    }

    /// The file that is meant: the named one, or the variable's, or the default when it exists.
    pub fn find(named: Option<&Path>) -> Result<PathBuf> {
        if let Some(path) = named {
            return Ok(path.to_owned());
        }
        if let Some(path) = env::var_os(CONFIG_VARIABLE).filter(|path| !path.is_empty()) {
            return Ok(path.into());
        }
        let path = PathBuf::from(CONFIG_PATH_DEFAULT);
        if path.exists() {
            return Ok(path);
        }
        Err(Error::not_found(format!(
            "no cluster is named: give --config FILE or set {CONFIG_VARIABLE}, or run where {CONFIG_PATH_DEFAULT} is"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        cluster = "8f14e45f-ceea-467f-a0e6-d3b0b1a2c3d4"
        key = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
        monitors = ["127.0.0.1:41001", "[::1]:41002"]
        [kept]
        by = "others"
    "#;

    #[test]
    fn reads_what_it_writes_and_hides_the_key() {
        let config = Config::parse(TEXT).unwrap();
        assert_eq!(config.name.to_string(), "client.admin");
        assert_eq!(Config::parse(&config.to_toml()).unwrap(), config);
        assert!(!format!("{config:?}").contains("0011"));
    }

    #[test]
    fn says_what_is_wrong() {
        let wrong = |from: &str, to: &str| Config::parse(&TEXT.replace(from, to)).unwrap_err().message;
        assert!(wrong("ddeeff\"", "\"").contains("64 hexadecimal digits"));
        assert!(wrong("8f14", "xyzw").contains("uuid"));
        assert!(wrong("\"127.0.0.1:41001\", \"[::1]:41002\"", "").contains("at least one address"));
        assert!(wrong("monitors", "minotaurs").contains("monitors"));
    }
}
