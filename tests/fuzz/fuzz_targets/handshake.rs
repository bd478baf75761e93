//! `cargo +nightly fuzz run handshake`, from the root with `--fuzz-dir tests/fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dropbed::secure::fuzz::handshake(data));
