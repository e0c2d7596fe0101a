//! `qd`.
fn main() {}
