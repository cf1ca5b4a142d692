//! ika-client-ops: to be filled.
