//! ika-net: to be filled.
