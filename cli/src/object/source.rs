//! Files and standard streams, read and written in chunks without stopping the connection meanwhile.

use std::{
    io,
    path::{Path, PathBuf},
};

use bytes::{Bytes, BytesMut};
use client::{Error, Result};
use tokio::{
    fs::{self, File},
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
};

/// Bytes read or written at once: a piece of a striped object.
pub(super) const CHUNK_BYTES: usize = 4 << 20;

/// Where bytes come from.
pub(super) struct Source {
    reader: Box<dyn AsyncRead + Unpin>,
    name: String,
    /// Known for files only.
    pub size: Option<u64>,
}

impl Source {
    /// The file, or standard input for `-`.
    pub async fn open(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Ok(Self { reader: Box::new(tokio::io::stdin()), name: "standard input".into(), size: None });
        }
        let name = path.display().to_string();
        let fail = |error: io::Error| cannot("read", &name, &error);
        let file = File::open(path).await.map_err(fail)?;
        let metadata = file.metadata().await.map_err(fail)?;
        if metadata.is_dir() {
            return Err(Error::invalid(format!("{name} is a folder; --recursive stores all its files")));
        }
        // Devices and pipes say zero.
        let size = metadata.is_file().then_some(metadata.len());
        Ok(Self { reader: Box::new(file), name, size })
    }

    /// The next chunk; shorter than `CHUNK_BYTES` only at the end, empty behind it.
    pub async fn chunk(&mut self) -> Result<Bytes> {
        let expected = self.size.and_then(|size| usize::try_from(size).ok()).unwrap_or(CHUNK_BYTES);
        // One byte more finds the end of a small file without another read of a whole chunk.
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES.min(expected.saturating_add(1)));
        while chunk.len() < CHUNK_BYTES {
            let left = (CHUNK_BYTES - chunk.len()) as u64;
            let read = (&mut self.reader).take(left).read_buf(&mut chunk).await;
            if read.map_err(|error| cannot("read", &self.name, &error))? == 0 {
                break;
            }
        }
        Ok(chunk.freeze())
    }
}

/// Where bytes go: a file that appears under its name when it is whole, or a stream.
pub(super) struct Sink {
    writer: Box<dyn AsyncWrite + Unpin>,
    name: String,
    /// What is renamed to what in the end.
    rename: Option<(PathBuf, PathBuf)>,
}

impl Sink {
    /// The file, or standard output for `-`.
    pub async fn create(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Ok(Self { writer: Box::new(tokio::io::stdout()), name: "standard output".into(), rename: None });
        }
        let name = path.display().to_string();
        let fail = |error: io::Error| cannot("write", &name, &error);
        let is_special = match fs::metadata(path).await {
            Ok(metadata) if metadata.is_dir() => {
                return Err(Error::invalid(format!("{name} is a folder; give a file's name")));
            }
            Ok(metadata) => !metadata.is_file(),
            Err(_) => false,
        };
        if is_special {
            let file = File::options().write(true).open(path).await.map_err(fail)?;
            return Ok(Self { writer: Box::new(file), name, rename: None });
        }
        let mut part = path.as_os_str().to_owned();
        part.push(format!(".part-{}", std::process::id()));
        let part = PathBuf::from(part);
        let file = File::create(&part).await.map_err(fail)?;
        Ok(Self { writer: Box::new(file), name, rename: Some((part, path.to_owned())) })
    }

    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.writer.write_all(bytes).await.map_err(|error| cannot("write", &self.name, &error))
    }

    /// Puts the file in its place.
    pub async fn finish(mut self) -> Result<()> {
        let fail = |error: io::Error| cannot("write", &self.name, &error);
        self.writer.flush().await.map_err(fail)?;
        match &self.rename {
            Some((part, whole)) => {
                fs::rename(part, whole).await.map_err(fail)?;
                self.rename = None;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some((part, _)) = &self.rename
            && let Err(error) = std::fs::remove_file(part)
        {
            tracing::warn!(%error, file = %part.display(), "remove what was fetched in part");
        }
    }
}

fn cannot(verb: &str, name: &str, error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => Error::not_found(format!("{name} does not exist")),
        io::ErrorKind::PermissionDenied => Error::denied(format!("{verb} {name}: {error}")),
        io::ErrorKind::StorageFull => Error::full(format!("{verb} {name}: {error}")),
        _ => Error::invalid(format!("{verb} {name}: {error}")),
    }
}
