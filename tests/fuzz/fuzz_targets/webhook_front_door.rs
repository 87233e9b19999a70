#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::webhook_front_door(data));
