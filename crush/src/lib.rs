//! ika-crush: to be filled.
