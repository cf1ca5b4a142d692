//! Making an OSD: a device file, and both halves of its store with a new identity.

use std::{
    fs::{self, File, OpenOptions},
    os::fd::AsRawFd,
    path::Path,
};

use anyhow::{Context, Result, bail};
use nix::fcntl::{FallocateFlags, fallocate};
use store::{DiskStore, Identity};
use types::{OsdUuid, StoreUuid, Uuid};

use crate::settings::{CreateSettings, device_path, metadata_path};

/// The folder's mark that making it has ended; without it whatever is there is made anew.
const CREATED_MARK: &str = "created";

/// Whether an OSD has been made in this folder, to its end.
pub fn is_created(data: &Path) -> bool {
    data.join(CREATED_MARK).exists()
}

/// Makes an OSD in its folder. A folder in which making was interrupted is made anew: it never held anything.
pub fn create(settings: &CreateSettings) -> Result<()> {
    if is_created(&settings.data) {
        bail!("{} holds an OSD already", settings.data.display());
    }
    let data = &settings.data;
    fs::create_dir_all(data).with_context(|| format!("make the folder {}", data.display()))?;
    // A start that was killed leaves its `create` at work here: it is waited for, and what it made stands.
    let folder = File::open(data).with_context(|| format!("open {}", data.display()))?;
    folder.lock().with_context(|| format!("lock {}", data.display()))?;
    if is_created(data) {
        return Ok(());
    }
    let device = device_path(data);
    if let Some(size) = settings.size {
        allocate(&device, size)?;
    }
    let metadata = metadata_path(data);
    if metadata.exists() {
        fs::remove_dir_all(&metadata).with_context(|| format!("remove the unfinished {}", metadata.display()))?;
    }
    let identity = Identity {
        cluster: settings.cluster,
        osd: settings.id,
        osd_uuid: OsdUuid(random_uuid()?),
        store_uuid: StoreUuid(random_uuid()?),
    };
    DiskStore::format(&device, &metadata, identity, &settings.store)
        .with_context(|| format!("format {}", device.display()))?;
    let mark = File::create(data.join(CREATED_MARK)).with_context(|| format!("mark {} as made", data.display()))?;
    mark.sync_all().context("flush the mark")?;
    File::open(data).and_then(|folder| folder.sync_all()).with_context(|| format!("flush {}", data.display()))
}

/// Reserves the file's space, so that "disk full" is said now and not when data is written.
fn allocate(device: &Path, size: u64) -> Result<()> {
    let open = OpenOptions::new().create(true).truncate(true).read(true).write(true).open(device);
    let file = open.with_context(|| format!("make the device file {}", device.display()))?;
    let length = i64::try_from(size).context("the size of a device file must fit 63 bits")?;
    if let Err(error) = fallocate(&file, FallocateFlags::empty(), 0, length) {
        if error == nix::errno::Errno::EOPNOTSUPP {
            file.set_len(size).with_context(|| format!("size {}", device.display()))?;
        } else {
            drop(fs::remove_file(device));
            bail!("cannot reserve {size} bytes for {}: {error}; a smaller --osd-size may fit", device.display());
        }
    }
    tracing::debug!(descriptor = file.as_raw_fd(), size, "reserved the device file");
    file.sync_all().with_context(|| format!("flush {}", device.display()))
}

/// A uuid from the kernel's random source.
pub(crate) fn random_uuid() -> Result<Uuid> {
    Ok(Uuid::from_random(random_bytes()?))
}

/// Bytes from the kernel's random source.
pub(crate) fn random_bytes<const COUNT: usize>() -> Result<[u8; COUNT]> {
    let mut bytes = [0; COUNT];
    getrandom::fill(&mut bytes).context("ask the kernel for random bytes")?;
    Ok(bytes)
}
