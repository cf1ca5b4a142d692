//! Sessions with the machine: text files, random events, and damaged bytes.
//!
//! Every entry is encoded, decoded and applied on three states, and their bytes are compared after each: the proof that
//! monitors never diverge.

mod bytes;
mod random;
mod rig;
mod text;
