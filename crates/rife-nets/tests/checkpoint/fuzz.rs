//! Fuzzing of the checkpoint readers with damaged files: they return, and their memory is bounded by the file's size.

use std::fs;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use rife_nets::checkpoint;

use crate::memory::peak_of;
use crate::support::{Entry, Zip, fixture};

/// A mutation of a file.
#[derive(Debug, Clone)]
enum Damage {
    Cut(Index),
    Set(Index, u8),
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index),
    Repeat(Index, Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    // Bytes that mean something: opcodes, digits, signs, ends of ranges.
    let telling = prop::sample::select(b"\0\x01\x7f\x80\xff().QRbcehjqstu0123456789-=[]{}\",:\n ".to_vec());
    let byte = prop_oneof![telling, any::<u8>()];
    prop_oneof![
        1 => any::<Index>().prop_map(Damage::Cut),
        6 => (any::<Index>(), byte.clone()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        3 => (any::<Index>(), 0..8u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        2 => (any::<Index>(), vec(byte, 1..9)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        2 => any::<Index>().prop_map(Damage::Remove),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Damage::Repeat(from, to)),
    ]
}

fn apply(bytes: &mut Vec<u8>, damage: &Damage) {
    if bytes.is_empty() {
        return;
    }
    let length = bytes.len();
    match damage {
        Damage::Cut(at) => bytes.truncate(at.index(length)),
        Damage::Set(at, byte) => bytes[at.index(length)] = *byte,
        Damage::Flip(at, bit) => bytes[at.index(length)] ^= 1 << bit,
        Damage::Insert(at, new) => {
            let at = at.index(length);
            bytes.splice(at..at, new.iter().copied());
        }
        Damage::Remove(at) => drop(bytes.remove(at.index(length))),
        Damage::Repeat(from, to) => {
            let (from, to) = (from.index(length), to.index(length));
            let piece = bytes[from.min(to)..from.max(to)].to_vec();
            bytes.extend(piece);
        }
    }
}

fn damaged(bytes: &[u8], damages: &[Damage]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    damages.iter().for_each(|damage| apply(&mut bytes, damage));
    bytes
}

/// Reads a checkpoint and checks the peak memory against a bound proportional to the file's size.
fn reads_within_bounds(bytes: &[u8]) {
    let (_, peak) = peak_of(|| drop(checkpoint::load_bytes(bytes)));
    let bound = 256 * bytes.len() + (64 << 10);
    assert!(peak <= bound, "{peak} bytes for a file of {}", bytes.len());
}

fn seeds(names: &[&str]) -> Vec<Vec<u8>> {
    names
        .iter()
        .map(|name| fs::read(fixture(name)).unwrap())
        .collect()
}

fn safetensors() -> Vec<u8> {
    let header = concat!(
        r#"{"__metadata__":{"version":"4.25"},"#,
        r#""module.a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"#,
        r#""b":{"dtype":"F16","shape":[],"data_offsets":[24,26]},"#,
        r#""c":{"dtype":"I64","shape":[1],"data_offsets":[26,34]}}"#,
    );
    crate::safetensors::file(header, &[0; 34])
}

/// Extracts the pickle of a fixture in zip form, which begins at the end of the first local header.
fn pickle_of(name: &str) -> Vec<u8> {
    let bytes = fs::read(fixture(name)).unwrap();
    let start = bytes.windows(2).position(|pair| pair == b"\x80\x02").unwrap();
    let end = bytes
        .windows(3)
        .position(|stop| stop == b"sb.")
        .map_or(bytes.len(), |at| at + 3);
    bytes[start..end].to_vec()
}

const PARAM: &str = "7767517
8 8
Input in 0 1 in
MemoryData beta 0 1 beta 0=1 1=1 2=2
Convolution c0 1 1 in c0 0=2 1=3 3=2 4=1 5=1 6=54 9=2 -23310=1,2.000000e-01
Split s 1 2 c0 c0a c0b
BinaryOp m 2 1 c0a beta m 0=2
Convolution c1 1 1 m c1 0=2 1=3 4=1 5=1 6=36
PReLU p 1 1 c1 p 0=2
Deconvolution d 1 1 p d 0=1 1=4 3=2 4=1 5=1 6=32
";

/// Makes a `.bin` file of zeros for [`PARAM`].
fn bin() -> Vec<u8> {
    vec![0; 4 * (2 + (1 + 54 + 2) + (1 + 36 + 2) + 2 + (1 + 32 + 1))]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn torch_files(which in any::<Index>(), damages in vec(damage(), 1..6)) {
        let seeds = seeds(&["zip.pkl", "legacy.pkl", "views_legacy.pkl", "half_legacy.pkl", "runs_legacy.pkl"]);
        reads_within_bounds(&damaged(which.get::<Vec<u8>>(&seeds), &damages));
    }

    #[test]
    fn pickles_in_whole_archives(which in any::<Index>(), damages in vec(damage(), 1..6)) {
        let seeds = [pickle_of("views.pkl"), pickle_of("counter.pkl"), pickle_of("training.pkl")];
        let pickle = damaged(which.get::<Vec<u8>>(&seeds), &damages);
        let zip = Zip::default()
            .with(&Entry::stored("a/data.pkl", &pickle))
            .with(&Entry::stored("a/data/0", &[0; 216]))
            .with(&Entry::stored("a/data/1", &[0; 28]));
        reads_within_bounds(&zip.finish());
    }

    #[test]
    fn safetensors_files(damages in vec(damage(), 1..6)) {
        reads_within_bounds(&damaged(&safetensors(), &damages));
    }

}

proptest! {
    // Each compares what was read to every version.
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ncnn_folders(param in vec(damage(), 0..4), bin_damages in vec(damage(), 0..3)) {
        let folder = tempfile::tempdir().unwrap();
        let (param, bin) = (damaged(PARAM.as_bytes(), &param), damaged(&bin(), &bin_damages));
        fs::write(folder.path().join("flownet.param"), &param).unwrap();
        fs::write(folder.path().join("flownet.bin"), &bin).unwrap();
        let (loaded, peak) = peak_of(|| checkpoint::load(folder.path()).map(drop));
        prop_assert!(loaded.is_err(), "two convolutions are no RIFE");
        // The table of versions, to which the layers are compared, takes most.
        let bound = 256 * (param.len() + bin.len()) + (4 << 20);
        prop_assert!(peak <= bound, "{} bytes for {} and {}", peak, param.len(), bin.len());
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes(start in prop::sample::select(vec![0, 1, 2, 3]), bytes in vec(any::<u8>(), 0..300)) {
        let starts: [&[u8]; 4] = [b"", b"PK\x03\x04", b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", b"\x09\0\0\0\0\0\0\0{"];
        reads_within_bounds(&[starts[start], &bytes].concat());
    }
}

#[test]
fn the_seeds_are_what_the_readers_take() {
    for seed in seeds(&["zip.pkl", "legacy.pkl", "views_legacy.pkl", "half_legacy.pkl"]) {
        checkpoint::load_bytes(&seed).unwrap();
    }
    checkpoint::load_bytes(&safetensors()).unwrap();
    let zip = Zip::default()
        .with(&Entry::stored("a/data.pkl", &pickle_of("zip.pkl")))
        .with(&Entry::stored("a/data/0", &[0; 216]))
        .with(&Entry::stored("a/data/1", &[0; 8]));
    checkpoint::load_bytes(&zip.finish()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("flownet.param"), PARAM).unwrap();
    fs::write(folder.path().join("flownet.bin"), bin()).unwrap();
    let error = checkpoint::load(folder.path()).unwrap_err();
    assert!(
        error.to_string().contains("nearest"),
        "only the network is unknown: {error}"
    );
}

#[test]
fn the_largest_files_accepted_stay_within_bounds() {
    let limit = 100 << 20;
    let pickle = [b"\x80\x02".to_vec(), b"]q\0".repeat(1_000_000)].concat();
    let memo = Zip::default()
        .with(&Entry::stored("a/data.pkl", &pickle))
        .finish();
    let strings = [b"\x80\x02".to_vec(), b"X\0\0\0\0".repeat(800_000)].concat();
    let strings = Zip::default()
        .with(&Entry::stored("a/data.pkl", &strings))
        .finish();
    let tensor = |i: usize| format!(r#""{i}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#);
    let tensors = format!("{{{}}}", (0..100_000).map(tensor).collect::<Vec<_>>().join(","));
    let dimensions = format!(r#"{{"a":{{"dtype":"F32","shape":[{}0],"#, "1,".repeat(4_000_000));
    for bytes in [
        memo,
        strings,
        crate::safetensors::file(&tensors, b""),
        crate::safetensors::file(&dimensions, b""),
    ] {
        let (loaded, peak) = peak_of(|| checkpoint::load_bytes(&bytes));
        loaded.unwrap_err();
        assert!(peak <= limit, "{peak} bytes for a file of {}", bytes.len());
    }
}
