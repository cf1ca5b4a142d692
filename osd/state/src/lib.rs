//! ika-osd-state: to be filled.
