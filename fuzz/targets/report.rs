//! Feeds arbitrary payloads to every adapter.

#![no_main]

#[path = "../checks/report.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|input: &[u8]| check::check(input));
