//! ika-osd-pg: to be filled.
