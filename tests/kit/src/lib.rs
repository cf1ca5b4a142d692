//! ika-tests-kit: to be filled.
