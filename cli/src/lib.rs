//! ika-cli: to be filled.
