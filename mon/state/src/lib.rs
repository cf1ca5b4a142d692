//! ika-mon-state: to be filled.
