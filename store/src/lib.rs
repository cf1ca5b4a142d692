//! ika-store: to be filled.
