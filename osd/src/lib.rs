//! ika-osd: to be filled.
