#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = rife_media::fuzzing::journal(data);
});
