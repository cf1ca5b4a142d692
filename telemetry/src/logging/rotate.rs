//! A log file that stays within its bound: when it is full it becomes `NAME.1` and a new one begins.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use tracing_subscriber::fmt::MakeWriter;

/// The file and how full it is. Each event's line arrives in one `write`.
pub(super) struct RotatingFile {
    path: PathBuf,
    bytes_max: u64,
    current: Mutex<Current>,
}

struct Current {
    file: File,
    bytes: u64,
}

impl RotatingFile {
    pub(super) fn open(path: &Path, bytes_max: u64) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), bytes_max, current: Mutex::new(Current::open(path)?) })
    }

    fn rotate(&self, current: &mut Current) -> io::Result<()> {
        let mut predecessor = OsString::from(&self.path);
        predecessor.push(".1");
        fs::rename(&self.path, predecessor)?;
        *current = Current::open(&self.path)?;
        Ok(())
    }
}

impl Current {
    fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { file, bytes })
    }
}

impl Write for &RotatingFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // A thread that panicked while it wrote left the file as good as any other partial write would.
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let length = line.len() as u64;
        if current.bytes > 0 && current.bytes + length > self.bytes_max {
            self.rotate(&mut current)?;
        }
        current.file.write_all(line)?;
        current.bytes += length;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for RotatingFile {
    type Writer = &'a RotatingFile;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_becomes_the_predecessor_and_the_bound_holds() {
        let folder = std::env::temp_dir().join(format!("ika-telemetry-rotate-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("log");
        fs::write(&path, "old line\n").unwrap();
        let file = RotatingFile::open(&path, 30).unwrap();
        for number in 0..4 {
            (&file).write_all(format!("line {number}..\n").as_bytes()).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "line 2..\nline 3..\n");
        assert_eq!(fs::read_to_string(folder.join("log.1")).unwrap(), "old line\nline 0..\nline 1..\n");
        // Just inside the bound stays, just outside goes on in a new file.
        (&file).write_all(&[b'x'; 12]).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 30);
        (&file).write_all(b"y").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "y");
        fs::remove_dir_all(&folder).unwrap();
    }
}
