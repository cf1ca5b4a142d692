//! Every decoder that reads bytes from outside, as a function of bytes that must neither panic nor take long nor much memory.
//!
//! Owns: the targets, what each of them does with what it decoded, and the budgets they must keep. The same functions
//! are run in two ways: `tests/replay.rs` runs the committed corpus and seeded mutations of it on every `./dev test`;
//! `libfuzzer/` runs them under cargo-fuzz, which needs the nightly toolchain:
//!
//! ```sh
//! cargo +nightly fuzz run --fuzz-dir tests/fuzz/libfuzzer crush_text tests/fuzz/corpus/crush_text
//! ```
//!
//! What a fuzzer finds is fixed, and its input goes into `corpus/TARGET/` under a name that tells the story.
//! Does not know: files (the replay reads the corpus), how inputs are made up beyond [`mutate`].
//!
//! Bytes behind a checksum are tried twice, as they are and with the checksum made right: else a fuzzer never gets
//! past it, and a peer or a disk that errs in a calculated way would be the first to do so.

mod budget;
mod cluster_map;
mod message;
mod mutation;
mod placement;
mod session;
mod store_format;
mod target;

pub use budget::{Budget, CountingAllocator, Spent, measure};
pub use mutation::mutate;
pub use target::{TARGETS, Target, target};
