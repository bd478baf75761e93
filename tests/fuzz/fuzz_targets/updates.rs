//! `cargo +nightly fuzz run updates`, from the root with `--fuzz-dir tests/fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dropbed::secure::fuzz::updates(data));
