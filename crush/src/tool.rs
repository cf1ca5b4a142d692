//! `crushtool` as a function: the options of Ceph's tool, its output and its exit codes, so that scripts and people need not
//! relearn.
//!
//! The options are parsed by hand, because their grammar (words that take several values, `_` for `-`, the first wrong one
//! wins) is Ceph's, not that of this project's own commands. Files are read and written through [`Files`], so the crate stays
//! pure.
//!
//! Where Ceph's tool prints its own log lines (with times and thread numbers) on standard error, only the sentence after them
//! is printed here.

mod arguments;
mod build;
mod display;
mod dump;
mod formatter;
mod modify;
mod number;
mod reclassify;
mod run;
mod table;
mod testing;
mod usage;

/// What the tool needs of the world around it. `-` is standard input.
pub trait Files {
    /// The content of a file.
    ///
    /// # Errors
    /// The reason in the words of the operating system, such as `(2) No such file or directory`.
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String>;

    /// Makes this the content of a file.
    ///
    /// # Errors
    /// The reason in the words of the operating system.
    fn write(&mut self, path: &str, content: &[u8]) -> Result<(), String>;
}

/// What a run of the tool leaves behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// The exit code.
    pub code: u8,
    /// What goes to standard output.
    pub stdout: String,
    /// What goes to standard error.
    pub stderr: String,
}

/// The name under which the tool speaks.
const NAME: &str = "crushtool";

/// Runs the tool with these arguments, the program's name not among them.
pub fn crush_tool(arguments: &[String], files: &mut dyn Files) -> Output {
    let mut run = run::Run { output: Output::default(), files };
    if let Err(stop) = run.all(arguments) {
        run.output.code = stop.0;
    }
    run.output
}

/// Ends the run with this exit code; what is to be said has been said.
#[derive(Clone, Copy, Debug)]
struct Stop(u8);

/// The exit code for an operating-system error number, which the tool returns negated.
fn exit_code(number: u8) -> u8 {
    0u8.wrapping_sub(number)
}
