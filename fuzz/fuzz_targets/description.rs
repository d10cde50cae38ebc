#![no_main]
libfuzzer_sys::fuzz_target!(|script: &[u8]| symbolon_fuzz::description(script));
