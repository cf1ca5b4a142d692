//! Object classes: methods that an OSD runs beside one object's data, as one step of an operation.
//!
//! Owns: the trait of classes, what a method may see and do, the registry, and the built-in classes with the types
//! of their arguments. Does not know: operations, placement groups, the store, sockets, clocks.
//!
//! A method sees one object: its bytes, attributes and omap as they were before the operation, with everything that
//! earlier steps of the same operation did. What it does itself it sees at once. Nothing of that reaches the disk
//! before the whole operation has been planned: a method gives back an output and a list of [`Effect`]s, which join
//! the operation's transaction. Where the present time or somebody's number matters, the call brings it
//! ([`Circumstances`]).
//!
//! Invariants
//! 1. The same view, circumstances and input give the same output and effects.
//! 2. A method with [`Access::Read`] has no effects; one that tries is refused.
//! 3. Effects are within the limits of `types::limits`, each and in sum.
//!
//! To add a class: one file in `classes/` that implements [`ObjectClass`], and its line in `classes.rs`.

mod call;
mod class;
mod classes;
mod effect;
mod registry;
mod view;

pub use call::{Call, Circumstances, Outcome};
pub use class::{Access, Method, ObjectClass, decode_json, encode_json, unknown_method};
pub use classes::{hello, lock, numeric, refcount, s3_index, version};
pub use effect::Effect;
pub use registry::Registry;
pub use view::{ObjectView, Source};
