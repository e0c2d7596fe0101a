//! Feeds arbitrary texts to the grammar of references and selectors.

#![no_main]

#[path = "../checks/reference.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|input: &[u8]| check::check(input));
