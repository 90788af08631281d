#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cota_protocol::fuzzing::socketio(data));
