#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| orchestrate_fuzz::manifest(data));
