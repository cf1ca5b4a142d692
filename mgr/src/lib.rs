//! ika-mgr: to be filled.
