#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::key_vault_answer(data));
