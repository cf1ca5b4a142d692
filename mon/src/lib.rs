//! ika-mon: to be filled.
