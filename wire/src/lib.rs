//! ika-wire: to be filled.
