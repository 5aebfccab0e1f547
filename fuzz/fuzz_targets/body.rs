#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = rife_server::fuzzing::body(data);
});
