//! Safetensors reader and writer: values, metadata, malformed headers, atomic replacement.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rife_nets::checkpoint::{self, Dtype, Format, Problem, SafetensorsProblem, save_safetensors};
use rife_nets::{WeightTensor, Weights};

use crate::support::{conv_weights, shared};

/// Makes a file of a JSON header and data.
pub(crate) fn file(header: &str, data: &[u8]) -> Vec<u8> {
    let length = header.len() as u64;
    [&length.to_le_bytes(), header.as_bytes(), data].concat()
}

fn problem(bytes: &[u8]) -> SafetensorsProblem {
    match checkpoint::load_bytes(bytes) {
        Err(Problem::Safetensors(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

/// Returns the JSON header of one tensor `a` with these fields.
fn entry(dtype: &str, shape: &str, offsets: &str) -> String {
    format!(r#"{{"a":{{"dtype":{dtype},"shape":{shape},"data_offsets":{offsets}}}}}"#)
}

#[test]
fn every_number_type_is_widened() {
    let types: [(&str, Vec<u8>); 4] = [
        (
            "F32",
            [1.5f32, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect(),
        ),
        (
            "F64",
            [1.5f64, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect(),
        ),
        ("F16", vec![0x00, 0x3e, 0x00, 0xc0]),
        ("BF16", vec![0xc0, 0x3f, 0x00, 0xc0]),
    ];
    for (dtype, data) in types {
        let header = entry(&format!("{dtype:?}"), "[1,2]", &format!("[0,{}]", data.len()));
        let loaded = checkpoint::load_bytes(&file(&header, &data)).unwrap();
        let expected = WeightTensor {
            shape: vec![1, 2],
            data: vec![1.5, -2.0],
        };
        assert_eq!(loaded.weights.get("a"), Some(&expected), "{dtype}");
        assert_eq!(loaded.format, Format::Safetensors);
    }
}

#[test]
fn scalars_empty_tensors_counters_and_metadata() {
    let header = r#"{"__metadata__":{"version":"4.25.lite"},
        "module.one":{"dtype":"F32","shape":[],"data_offsets":[0,4]},
        "none":{"dtype":"F32","shape":[4,0],"data_offsets":[4,4]},
        "count":{"dtype":"I64","shape":[],"data_offsets":[4,12]}}   "#;
    let loaded = checkpoint::load_bytes(&file(header, &[0; 12])).unwrap();
    assert_eq!(loaded.weights.keys().collect::<Vec<_>>(), ["none", "one"]);
    assert_eq!(loaded.weights.get("one").unwrap().data, [0.0]);
    assert_eq!(loaded.metadata["version"], "4.25.lite");
    assert!(loaded.notes[0].contains("count"), "{:?}", loaded.notes);
}

#[test]
fn headers_that_lie_about_their_length() {
    let with_length = |length: u64| [&length.to_le_bytes()[..], b"{}"].concat();
    for length in [1 << 63, u64::MAX, 100_000_000] {
        let found = problem(&with_length(length));
        assert!(
            matches!(found, SafetensorsProblem::HeaderTooLong { .. }),
            "{found}"
        );
    }
    let found = problem(&with_length(3));
    assert_eq!(
        found,
        SafetensorsProblem::HeaderTruncated {
            announced: 3,
            left: 2
        }
    );
}

#[test]
fn a_header_of_a_hundred_megabytes_is_not_parsed() {
    let header = format!("{{{}}}", " ".repeat(100 << 20));
    assert!(matches!(
        problem(&file(&header, b"")),
        SafetensorsProblem::HeaderTooLong { .. }
    ));
}

#[test]
fn a_million_tensors_are_refused() {
    let tensors = |count: usize| {
        let one = |i: usize| format!(r#""{i}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#);
        format!("{{{}}}", (0..count).map(one).collect::<Vec<_>>().join(","))
    };
    let found = problem(&file(&tensors(1_000_000), b""));
    assert!(
        matches!(found, SafetensorsProblem::HeaderTooLong { .. }),
        "{found}"
    );
    let found = problem(&file(&tensors(10_001), b""));
    assert_eq!(found, SafetensorsProblem::TooManyTensors(10_000));
    assert_eq!(
        checkpoint::load_bytes(&file(&tensors(10_000), b""))
            .unwrap()
            .weights
            .len(),
        10_000
    );
}

#[test]
fn headers_that_are_not_the_format() {
    let deep = format!("{{\"a\":{}", "[".repeat(1_000_000));
    let deep_shape = entry(r#""F32""#, &"[".repeat(100_000), "[0,0]");
    let headers = [
        "{",
        "{]",
        r#"{"a":1}"#,
        r#"{"a":{}}"#,
        r#"{"__metadata__":{"a":1}}"#,
        &entry(r#""F32""#, "[-1]", "[0,8]"),
        &entry(r#""F32""#, "[1.5]", "[0,8]"),
        &entry(r#""F32""#, "[2]", "[0,8,9]"),
        &entry("NaN", "[2]", "[0,8]"),
        &entry("7", "[2]", "[0,8]"),
        r#"{"a":{"dtype":"F32","shape":[0],"shape":[0],"data_offsets":[0,0]}}"#,
        r#"{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0],"extra":0}}"#,
        &deep,
        &deep_shape,
    ];
    for header in headers {
        let found = problem(&file(header, &[0; 8]));
        assert!(
            matches!(found, SafetensorsProblem::Header(_)),
            "{header:.60}: {found}"
        );
    }
    let mut not_utf8 = file(&entry(r#""F32""#, "[2]", "[0,8]"), &[0; 8]);
    not_utf8[10] = 0xff;
    assert!(matches!(problem(&not_utf8), SafetensorsProblem::Header(_)));
}

#[test]
fn tensors_that_do_not_fit() {
    let one =
        |dtype: &str, shape: &str, offsets: &str| problem(&file(&entry(dtype, shape, offsets), &[0; 8]));
    let f32 = r#""F32""#;
    let max = u64::MAX;
    let overflows = [
        format!("[{max}]"),
        format!("[{max},2]"),
        "[4294967296,4294967296,4294967296]".to_owned(),
        "[1,1,1,1,1,1,1,1,2]".to_owned(),
    ];
    for shape in overflows {
        let found = one(f32, &shape, "[0,8]");
        assert!(
            matches!(found, SafetensorsProblem::Shape { .. }),
            "{shape}: {found}"
        );
    }
    assert!(matches!(
        one(r#""F8_E4M3""#, "[8]", "[0,8]"),
        SafetensorsProblem::Dtype { .. }
    ));
    assert!(matches!(
        one(f32, "[3]", "[0,8]"),
        SafetensorsProblem::Size {
            needed: 12,
            found: 8,
            ..
        }
    ));
    assert!(matches!(
        one(f32, "[2]", "[8,0]"),
        SafetensorsProblem::Reversed { .. }
    ));
    assert!(matches!(
        one(f32, "[2]", "[8,16]"),
        SafetensorsProblem::PastEnd {
            end: 16,
            length: 8,
            ..
        }
    ));
    let far = format!("[{},{max}]", max - 8);
    assert!(matches!(
        one(f32, "[2]", &far),
        SafetensorsProblem::PastEnd { .. }
    ));
    assert_eq!(
        one(f32, "[1]", "[4,8]"),
        SafetensorsProblem::Hole { begin: 0, end: 4 }
    );
    assert_eq!(
        one(f32, "[1]", "[0,4]"),
        SafetensorsProblem::Hole { begin: 4, end: 8 }
    );
}

#[test]
fn tensors_on_top_of_each_other() {
    let two = |a: &str, b: &str, second: &str| {
        let tensor = |key: &str, offsets: &str| {
            format!(r#""{key}":{{"dtype":"F32","shape":[2],"data_offsets":{offsets}}}"#)
        };
        problem(&file(
            &format!("{{{},{}}}", tensor("a", a), tensor(second, b)),
            &[0; 16],
        ))
    };
    assert!(matches!(
        two("[0,8]", "[0,8]", "b"),
        SafetensorsProblem::Overlap { .. }
    ));
    assert!(matches!(
        two("[4,12]", "[0,8]", "b"),
        SafetensorsProblem::Overlap {
            begin: 4,
            before: 8,
            ..
        }
    ));
    assert!(matches!(
        two("[0,8]", "[8,16]", "a"),
        SafetensorsProblem::DuplicateKey(_)
    ));
    let twice = r#"{"__metadata__":{},"__metadata__":{}}"#;
    assert!(matches!(
        problem(&file(twice, b"")),
        SafetensorsProblem::DuplicateKey(_)
    ));
}

#[test]
fn a_file_without_tensors_is_refused() {
    assert!(matches!(
        checkpoint::load_bytes(&file("{}", b"")),
        Err(Problem::NoTensors)
    ));
}

#[test]
fn other_files_are_named() {
    let found = |bytes: &[u8]| checkpoint::load_bytes(bytes).unwrap_err().to_string();
    assert!(found(b"").contains("empty"));
    assert!(found(b"<!DOCTYPE html>...").contains("web page"));
    assert!(found(b"version https://git-lfs.github.com/spec/v1").contains("Git LFS"));
    assert!(found(b"\x80\x04\x95\x00").contains("pickle"));
    assert!(found(b"12345678[").contains("31 32 33 34 35 36 37 38"));
}

#[test]
fn folders_devices_and_absent_files() {
    let missing = checkpoint::load("no/such/file".as_ref()).unwrap_err();
    assert!(matches!(missing.problem, Problem::Io(_)) && missing.to_string().contains("no/such/file"));
    if cfg!(unix) {
        let device = checkpoint::load("/dev/zero".as_ref()).unwrap_err();
        assert!(matches!(device.problem, Problem::NotAFile), "{device}");
    }
}

#[test]
fn a_file_beyond_the_limit_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sparse");
    fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    let problem = checkpoint::load(&path).unwrap_err();
    assert!(
        matches!(problem.problem, Problem::TooLong { found, .. } if found == 1 << 40),
        "{problem}"
    );
}

#[test]
fn written_files_read_back_and_hold_their_metadata() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    let metadata = BTreeMap::from([("version".to_owned(), "4.25.lite".to_owned())]);
    for dtype in [Dtype::F32, Dtype::F16] {
        save_safetensors(&path, &conv_weights(), dtype, &metadata).unwrap();
        let loaded = checkpoint::load(&path).unwrap();
        assert_eq!(loaded.weights, conv_weights());
        assert_eq!(loaded.metadata, metadata);
        let bytes = fs::read(&path).unwrap();
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap());
        assert_eq!(header % 8, 0);
    }
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing is left beside it"
    );
}

#[test]
fn f16_refuses_what_it_cannot_hold() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    fs::write(&path, "before").unwrap();
    let big = WeightTensor {
        shape: vec![2],
        data: vec![1.0, 70_000.0],
    };
    let weights: Weights = [("a".to_owned(), big)].into_iter().collect();
    let error = save_safetensors(&path, &weights, Dtype::F16, &BTreeMap::new()).unwrap_err();
    assert!(
        matches!(error.problem, Problem::BeyondF16 { index: 1, .. }),
        "{error}"
    );
    assert_eq!(fs::read(&path).unwrap(), b"before");
    save_safetensors(&path, &weights, Dtype::F32, &BTreeMap::new()).unwrap();
    assert_eq!(checkpoint::load(&path).unwrap().weights, weights);
}

#[test]
fn saving_where_it_cannot_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("taken");
    fs::create_dir_all(target.join("by a folder")).unwrap();
    let error = save_safetensors(&target, &conv_weights(), Dtype::F32, &BTreeMap::new()).unwrap_err();
    assert!(matches!(error.problem, Problem::Io(_)), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no part is left");
    let absent = folder.path().join("no/folder");
    assert!(save_safetensors(&absent, &conv_weights(), Dtype::F32, &BTreeMap::new()).is_err());
}

#[test]
fn a_reader_never_sees_half_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    let weights = |value: f32| -> Weights {
        let tensor = WeightTensor {
            shape: vec![50_000],
            data: vec![value; 50_000],
        };
        [("a".to_owned(), tensor)].into_iter().collect()
    };
    save_safetensors(&path, &weights(0.0), Dtype::F32, &BTreeMap::new()).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for i in 1..40 {
                save_safetensors(&path, &weights(i as f32), Dtype::F32, &BTreeMap::new()).unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) {
            let loaded = checkpoint::load(&path).unwrap().weights;
            let data = &loaded.get("a").unwrap().data;
            assert!(data.iter().all(|value| value == &data[0]));
        }
    });
}

/// Environment variable that makes a child process save to this path in an endless loop.
const SAVE_TO: &str = "RIFE_TEST_SAVE_TO";

fn numbered(value: f32) -> Weights {
    let tensor = WeightTensor {
        shape: vec![200_000],
        data: vec![value; 200_000],
    };
    [("a".to_owned(), tensor)].into_iter().collect()
}

/// Does nothing except in a child process started by the test below.
#[test]
fn saves_until_killed() {
    let Some(path) = std::env::var_os(SAVE_TO) else {
        return;
    };
    for i in 1.. {
        save_safetensors(path.as_ref(), &numbered(i as f32), Dtype::F32, &BTreeMap::new()).unwrap();
    }
}

#[test]
fn a_save_that_is_killed_leaves_the_file_before_or_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    save_safetensors(&path, &numbered(0.0), Dtype::F32, &BTreeMap::new()).unwrap();
    for round in 0..40 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "safetensors::saves_until_killed"])
            .env(SAVE_TO, &path)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(5_000 + 777 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        let loaded = checkpoint::load(&path).unwrap().weights;
        let data = &loaded.get("a").unwrap().data;
        assert!(data.len() == 200_000 && data.iter().all(|value| value == &data[0]));
    }
    let last = checkpoint::load(&path).unwrap().weights;
    assert!(last.get("a").unwrap().data[0] > 0.0, "no child ever saved");
}

#[test]
fn a_file_cut_while_it_is_read_is_an_error_or_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    let tensor = WeightTensor {
        shape: vec![1 << 20],
        data: vec![1.0; 1 << 20],
    };
    let weights: Weights = [("a".to_owned(), tensor)].into_iter().collect();
    for round in 0..20 {
        save_safetensors(&path, &weights, Dtype::F32, &BTreeMap::new()).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_micros(100 * round));
                OpenOptions::new()
                    .write(true)
                    .open(&path)
                    .unwrap()
                    .set_len(1000)
                    .unwrap();
            });
            if let Ok(loaded) = checkpoint::load(&path) {
                assert_eq!(loaded.weights, weights);
            }
        });
    }
}

#[test]
fn the_reference_outputs_would_load_as_tensors() {
    let Some(shared) = shared() else { return };
    let loaded = checkpoint::load(&shared.join("reference/4.25.lite.safetensors")).unwrap();
    assert!(loaded.weights.keys().any(|key| key.ends_with("/merged")));
    assert!(
        loaded.notes[0].contains("img0"),
        "bytes are no weights: {:?}",
        loaded.notes
    );
}
