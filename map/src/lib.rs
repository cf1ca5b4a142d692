//! ika-map: to be filled.
