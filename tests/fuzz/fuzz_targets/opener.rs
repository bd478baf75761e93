//! `cargo +nightly fuzz run opener`, from the root with `--fuzz-dir tests/fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dropbed::secure::fuzz::opener(data));
