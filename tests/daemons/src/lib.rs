//! ika-tests-daemons: to be filled.
