//! The cota command and the local server.
fn main() {}
