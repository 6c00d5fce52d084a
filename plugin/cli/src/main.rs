//! The writ command line.
fn main() {}
