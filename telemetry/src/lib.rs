//! ika-telemetry: to be filled.
