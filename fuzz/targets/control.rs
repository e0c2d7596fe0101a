//! Feeds arbitrary streams to the control-mode parser and the scan reader.

#![no_main]

#[path = "../checks/control.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|input: &[u8]| check::check(input));
