//! ika-client: to be filled.
