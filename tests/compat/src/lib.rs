//! Programs of others against a real cluster: what their authors tested against the services they were written for.
//!
//! Owns: getting the programs, running them on a cluster's gateway. A program that cannot be had is said so, loudly,
//! and its test is skipped: the registries are not part of this project.

mod browser;
mod http;
mod promtool;
mod tools;
mod tree;

pub use browser::{Browser, Scheme};
pub use http::get_text;
pub use promtool::complaints_of_promtool;
pub use tools::{Tool, Tools, run};
pub use tree::{assert_equal_trees, make_tree};
