//! ika-tests-machines: to be filled.
