#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| snapshots_fuzz::sales(data));
