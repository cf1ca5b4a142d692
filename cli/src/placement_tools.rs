//! `crushtool` and `osdmaptool`: Ceph's tools for placement and cluster maps, without a cluster.
//!
//! Owns: files and standard streams for them. Does not know: any option; the tools are functions of `crush` and `map`.

use std::{
    ffi::OsStr,
    fs,
    io::{self, Read, Write},
    path::Path,
    process::ExitCode,
};

use crush::tool::{Files, Output, crush_tool};
use map::tool::osdmap_tool;
use telemetry::clock::wall_clock_milliseconds;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlacementTool {
    /// Works on placement maps.
    Crush,
    /// Works on cluster maps.
    OsdMap,
}

impl PlacementTool {
    /// The tool of this name, whether it is a subcommand or the name of a link to the program.
    pub fn of_name(name: &OsStr) -> Option<Self> {
        match Path::new(name).file_name()?.to_str()? {
            "crushtool" => Some(Self::Crush),
            "osdmaptool" => Some(Self::OsdMap),
            _ => None,
        }
    }

    /// Runs the tool with the arguments behind its name; prints what it says and ends as it ends.
    pub fn run(self, arguments: &[String]) -> ExitCode {
        let mut files = RealFiles;
        let output = match self {
            Self::Crush => crush_tool(arguments, &mut files),
            Self::OsdMap => osdmap_tool(arguments, wall_clock_milliseconds(), &mut files),
        };
        match print(&output) {
            Ok(()) => ExitCode::from(output.code),
            // Whoever read us has gone, as `head` does; there is nobody to tell.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(output.code),
            Err(error) => {
                eprintln!("ika: write the output: {error}");
                ExitCode::FAILURE
            }
        }
    }
}

fn print(output: &Output) -> io::Result<()> {
    io::stderr().write_all(output.stderr.as_bytes())?;
    let mut stdout = io::stdout().lock();
    stdout.write_all(output.stdout.as_bytes())?;
    stdout.flush()
}

struct RealFiles;

impl Files for RealFiles {
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        if path == "-" {
            let mut content = Vec::new();
            return io::stdin().read_to_end(&mut content).map(|_| content).map_err(|error| reason(&error));
        }
        fs::read(path).map_err(|error| reason(&error))
    }

    fn write(&mut self, path: &str, content: &[u8]) -> Result<(), String> {
        fs::write(path, content).map_err(|error| reason(&error))
    }
}

/// `(2) No such file or directory`: the number in front, as Ceph's tools print it.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match error.raw_os_error() {
        Some(number) => format!("({number}) {}", text.split(" (os error").next().unwrap_or(&text)),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_and_a_subcommand_are_the_same_tool() {
        assert_eq!(PlacementTool::of_name(OsStr::new("/usr/bin/crushtool")), Some(PlacementTool::Crush));
        assert_eq!(PlacementTool::of_name(OsStr::new("osdmaptool")), Some(PlacementTool::OsdMap));
        assert_eq!(PlacementTool::of_name(OsStr::new("/usr/bin/ika")), None);
    }

    #[test]
    fn reasons_are_in_the_words_of_the_system() {
        let error = fs::read("/nowhere/at/all").expect_err("it does not exist");
        assert_eq!(reason(&error), "(2) No such file or directory");
    }
}
