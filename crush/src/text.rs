//! The text form of a map: what `crushtool -c` reads and `crushtool -d` prints.
//!
//! ```text
//! map     = { tunable | device | type } { bucket | rule } { choose_args }
//! tunable = "tunable" NAME NUMBER
//! device  = "device" NUMBER NAME [ "class" NAME ]
//! type    = "type" NUMBER NAME
//! bucket  = TYPE NAME "{" { "id" ID [ "class" NAME ] } "alg" NAME { "hash" NUMBER }
//!           { "item" NAME [ "weight" DECIMAL ] [ "pos" NUMBER ] } "}"
//! rule    = "rule" [ NAME ] "{" ("id" | "ruleset") NUMBER "type" NAME [ "min_size" NUMBER "max_size" NUMBER ] { step } "}"
//! ```
//!
//! A `#` begins a comment that ends with its line. Weights are decimal; they become 16.16 fixed point by way of a 32-bit
//! float, as in Ceph, because that decides their last bits.

mod compile;
mod decompile;
mod grammar;
mod tokens;

use std::fmt;

pub use compile::compile;
pub use decompile::decompile;

/// Why a text is not a map, and where. Lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The line of the word that is wrong.
    pub line: usize,
    /// The column at which the word begins.
    pub column: usize,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for Error {}
