//! The checksums that clients send and ask for: CRC-32, CRC-32C, CRC-64/NVME, SHA-1, SHA-256, in base64.

use s3s::{
    S3Error, S3ErrorCode, S3Result,
    crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256},
};
use serde::{Deserialize, Serialize};

/// A checksum's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

/// What a multipart object's checksum is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Scope {
    /// Of all bytes.
    Whole,
    /// Of the checksums of the parts.
    Composite,
}

/// A checksum that is kept with an object or a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checksum {
    pub algorithm: Algorithm,
    pub scope: Scope,
    /// In base64; that of a composite ends with a dash and the number of parts.
    pub value: String,
}

const ALL: [Algorithm; 5] =
    [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme, Algorithm::Sha1, Algorithm::Sha256];

impl Algorithm {
    /// S3's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> S3Result<Self> {
        ALL.into_iter().find(|known| known.name().eq_ignore_ascii_case(name)).ok_or_else(|| {
            let sentence = format!(
                "`{name}` is no checksum algorithm; it would be one of CRC32, CRC32C, CRC64NVME, SHA1, SHA256."
            );
            S3Error::with_message(S3ErrorCode::InvalidRequest, sentence)
        })
    }

    /// The header or trailer that carries it.
    pub fn header(self) -> String {
        format!("x-amz-checksum-{}", self.name().to_ascii_lowercase())
    }

    /// The kind that a trailer of that name carries.
    pub fn of_header(name: &str) -> Option<Self> {
        ALL.into_iter().find(|known| known.header().eq_ignore_ascii_case(name.trim()))
    }

    fn crc(self) -> Option<crc_fast::CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(crc_fast::CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(crc_fast::CrcAlgorithm::Crc32Iscsi),
            Self::Crc64Nvme => Some(crc_fast::CrcAlgorithm::Crc64Nvme),
            Self::Sha1 | Self::Sha256 => None,
        }
    }
}

/// A checksum being computed.
pub(crate) struct Hasher {
    algorithm: Algorithm,
    state: State,
}

enum State {
    Crc32(Crc32),
    Crc32c(Crc32c),
    Crc64Nvme(Crc64Nvme),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Hasher {
    pub fn new(algorithm: Algorithm) -> Self {
        let state = match algorithm {
            Algorithm::Crc32 => State::Crc32(Crc32::new()),
            Algorithm::Crc32c => State::Crc32c(Crc32c::new()),
            Algorithm::Crc64Nvme => State::Crc64Nvme(Crc64Nvme::new()),
            Algorithm::Sha1 => State::Sha1(Sha1::new()),
            Algorithm::Sha256 => State::Sha256(Sha256::new()),
        };
        Self { algorithm, state }
    }

    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Crc32(state) => state.update(bytes),
            State::Crc32c(state) => state.update(bytes),
            State::Crc64Nvme(state) => state.update(bytes),
            State::Sha1(state) => state.update(bytes),
            State::Sha256(state) => state.update(bytes),
        }
    }

    /// In base64.
    pub fn finish(self) -> String {
        match self.state {
            State::Crc32(state) => base64(state.finalize()),
            State::Crc32c(state) => base64(state.finalize()),
            State::Crc64Nvme(state) => base64(state.finalize()),
            State::Sha1(state) => base64(state.finalize()),
            State::Sha256(state) => base64(state.finalize()),
        }
    }
}

/// Bytes as base64.
pub(crate) fn base64(bytes: impl AsRef<[u8]>) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Base64 as bytes.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

/// The checksum of an object made of parts, from theirs with their sizes. `None` when a part has none.
pub(crate) fn of_parts(algorithm: Algorithm, scope: Scope, parts: &[(Option<&Checksum>, u64)]) -> Option<Checksum> {
    let fitting = |checksum: &&Checksum| checksum.algorithm == algorithm;
    let values = parts.iter().map(|(checksum, size)| Some((from_base64(&checksum.filter(fitting)?.value)?, *size)));
    let values: Vec<(Vec<u8>, u64)> = values.collect::<Option<_>>()?;
    let value = match scope {
        Scope::Composite => {
            let mut hasher = Hasher::new(algorithm);
            for (value, _) in &values {
                hasher.update(value);
            }
            format!("{}-{}", hasher.finish(), parts.len())
        }
        Scope::Whole => {
            let crc = algorithm.crc()?;
            let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
            let mut values = values.iter();
            let (first, _) = values.next()?;
            let width = first.len();
            let whole = values
                .fold(number(first), |sum, (value, size)| crc_fast::checksum_combine(crc, sum, number(value), *size));
            base64(&whole.to_be_bytes()[8usize.checked_sub(width)?..])
        }
    };
    Some(Checksum { algorithm, scope, value })
}

/// What a client says the checksum is: in a header, or that it comes in a trailer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Claim {
    /// The kind, when the client names one.
    pub algorithm: Option<Algorithm>,
    /// In base64; without one it comes behind the body or not at all.
    pub value: Option<String>,
}

impl Claim {
    /// From the five headers, the algorithm that an SDK names, and the trailer that is announced.
    pub fn new(
        headers: [(Algorithm, Option<String>); 5],
        named: Option<&str>,
        trailer: Option<&str>,
    ) -> S3Result<Self> {
        let mut claims = headers.into_iter().filter_map(|(algorithm, value)| Some((algorithm, value?)));
        if let Some((algorithm, value)) = claims.next() {
            if claims.next().is_some() {
                let sentence = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.";
                return Err(S3Error::with_message(S3ErrorCode::InvalidRequest, sentence));
            }
            return Ok(Self { algorithm: Some(algorithm), value: Some(value) });
        }
        let announced = trailer.and_then(|names| names.split(',').find_map(Algorithm::of_header));
        let algorithm = match announced {
            Some(algorithm) => Some(algorithm),
            None => named.map(Algorithm::parse).transpose()?,
        };
        Ok(Self { algorithm, value: None })
    }

    /// Refuses bytes that are not what the client says they are.
    pub fn verify(&self, computed: Option<&(Algorithm, String)>, trailer: Option<&str>) -> S3Result<()> {
        let (Some(claimed), Some((algorithm, computed))) = (self.value.as_deref().or(trailer), computed) else {
            return Ok(());
        };
        if claimed == computed {
            return Ok(());
        }
        let name = algorithm.name();
        let sentence = format!("The {name} you specified did not match the calculated checksum.");
        Err(S3Error::with_message(S3ErrorCode::BadDigest, sentence))
    }
}

/// The claim of an input that has the five fields.
macro_rules! claim_of {
    ($input:expr, $named:expr, $trailer:expr) => {
        $crate::checksum::Claim::new(
            [
                ($crate::checksum::Algorithm::Crc32, $input.checksum_crc32.take()),
                ($crate::checksum::Algorithm::Crc32c, $input.checksum_crc32c.take()),
                ($crate::checksum::Algorithm::Crc64Nvme, $input.checksum_crc64nvme.take()),
                ($crate::checksum::Algorithm::Sha1, $input.checksum_sha1.take()),
                ($crate::checksum::Algorithm::Sha256, $input.checksum_sha256.take()),
            ],
            $named,
            $trailer,
        )
    };
}

/// Puts a checksum into an output that has the five fields.
macro_rules! show_checksum {
    ($output:expr, $checksum:expr) => {
        if let Some(checksum) = $checksum {
            let value = Some(checksum.value.clone());
            match checksum.algorithm {
                $crate::checksum::Algorithm::Crc32 => $output.checksum_crc32 = value,
                $crate::checksum::Algorithm::Crc32c => $output.checksum_crc32c = value,
                $crate::checksum::Algorithm::Crc64Nvme => $output.checksum_crc64nvme = value,
                $crate::checksum::Algorithm::Sha1 => $output.checksum_sha1 = value,
                $crate::checksum::Algorithm::Sha256 => $output.checksum_sha256 = value,
            }
        }
    };
}

pub(crate) use {claim_of, show_checksum};

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(algorithm: Algorithm, bytes: &[u8]) -> String {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    #[test]
    fn known_answers() {
        // The check values of the catalogue of parametrised CRC algorithms, and of FIPS 180.
        assert_eq!(sum(Algorithm::Crc32, b"123456789"), base64([0xcb, 0xf4, 0x39, 0x26]));
        assert_eq!(sum(Algorithm::Crc32c, b"123456789"), base64([0xe3, 0x06, 0x92, 0x83]));
        assert_eq!(sum(Algorithm::Crc64Nvme, b"123456789"), base64(0xae8b_1486_0a79_9888_u64.to_be_bytes()));
        assert_eq!(sum(Algorithm::Sha1, b"abc"), "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=");
    }

    #[test]
    fn sums_of_parts_are_those_of_the_whole() {
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
            let part = |bytes: &[u8]| Checksum { algorithm, scope: Scope::Whole, value: sum(algorithm, bytes) };
            let (one, two, three) = (part(b"1234"), part(b""), part(b"56789"));
            let parts = [(Some(&one), 4), (Some(&two), 0), (Some(&three), 5)];
            let whole = of_parts(algorithm, Scope::Whole, &parts).unwrap();
            assert_eq!(whole.value, sum(algorithm, b"123456789"));
            assert_eq!(of_parts(algorithm, Scope::Whole, &[(Some(&one), 4), (None, 5)]), None);
        }
        let parts = [b"a", b"b"].map(|bytes| Checksum {
            algorithm: Algorithm::Sha256,
            scope: Scope::Whole,
            value: sum(Algorithm::Sha256, bytes),
        });
        let composite = of_parts(Algorithm::Sha256, Scope::Composite, &[(Some(&parts[0]), 1), (Some(&parts[1]), 1)]);
        assert!(composite.unwrap().value.ends_with("=-2"));
    }

    #[test]
    fn claims_are_single_and_verified() {
        let none = || ALL.map(|algorithm| (algorithm, None));
        let trailer = Claim::new(none(), Some("CRC32"), Some("x-amz-checksum-crc32c")).unwrap();
        assert_eq!(trailer, Claim { algorithm: Some(Algorithm::Crc32c), value: None });
        let computed = (Algorithm::Crc32c, "AAAA".to_owned());
        assert!(trailer.verify(Some(&computed), Some("AAAA")).is_ok());
        let refused = trailer.verify(Some(&computed), Some("AAAB")).unwrap_err();
        assert_eq!(*refused.code(), S3ErrorCode::BadDigest);
        let mut two = none();
        two[0].1 = Some("AAAA".to_owned());
        two[1].1 = Some("AAAA".to_owned());
        assert!(Claim::new(two, None, None).is_err());
        assert!(Claim::new(none(), Some("MD4"), None).is_err());
    }
}
