//! ika-ika
fn main() {}
