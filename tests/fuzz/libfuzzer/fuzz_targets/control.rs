//! See `tests/fuzz/src`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| (tests_fuzz::target("control").run)(data));
