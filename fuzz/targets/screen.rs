//! Feeds arbitrary bytes to the reader of screens, and what it reads to every adapter.

#![no_main]

#[path = "../checks/screen.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|input: &[u8]| check::check(input));
