//! ika-xtask
fn main() {}
