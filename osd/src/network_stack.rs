//! Where this process lives, for peers that must tell its death from a broken network (FOUNDATIONS 11).

use std::{fs, os::unix::fs::MetadataExt};

use wire::NetworkStack;

/// The kernel draws it anew at each boot.
const BOOT_ID_PATH: &str = "/proc/sys/kernel/random/boot_id";
/// The network namespace; its inode number tells namespaces of one kernel apart.
const NAMESPACE_PATH: &str = "/proc/self/ns/net";

/// This process's network stack; unknown when the kernel does not say, and then nobody can prove its death.
pub(crate) fn own() -> NetworkStack {
    let read = || -> std::io::Result<NetworkStack> {
        let boot = fs::read_to_string(BOOT_ID_PATH)?;
        Ok(digest(&boot, fs::metadata(NAMESPACE_PATH)?.ino()))
    };
    read().unwrap_or_else(|error| {
        tracing::debug!(%error, "the kernel does not tell which network stack this is");
        NetworkStack::default()
    })
}

/// 64 of the boot's random bits, mixed with the namespace's number.
fn digest(boot: &str, namespace: u64) -> NetworkStack {
    let bits = boot.chars().filter_map(|digit| digit.to_digit(16)).take(16);
    let boot = bits.fold(0, |sum: u64, digit| sum << 4 | u64::from(digit));
    NetworkStack(boot ^ namespace.rotate_left(32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boots_and_namespaces_tell_stacks_apart() {
        let here = digest("9c3f9c2e-5c0f-4b7e-8f49-0f0b1a2c3d4e\n", 4_026_531_840);
        assert_eq!(here, NetworkStack(0x9c3f_9c2e_5c0f_4b7e ^ 4_026_531_840_u64.rotate_left(32)));
        assert!(!here.is_same_as(digest("9c3f9c2e-5c0f-4b7e-8f49-0f0b1a2c3d4e\n", 4_026_531_841)));
        assert!(!here.is_same_as(digest("8c3f9c2e-5c0f-4b7e-8f49-0f0b1a2c3d4e\n", 4_026_531_840)));
        assert!(own().is_same_as(own()), "this kernel says where we are");
        assert!(!NetworkStack::default().is_same_as(NetworkStack::default()), "unknown is nobody's");
    }
}
