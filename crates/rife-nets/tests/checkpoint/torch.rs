//! `torch.save` reader: zip and legacy formats, malformed and malicious pickles.

use rife_nets::checkpoint::{
    self, Format, LoadedCheckpoint, PickleProblem, Problem, TorchProblem, ZipProblem, save_pkl,
};
use rife_nets::{WeightTensor, Weights};

use crate::support::{Entry, Zip, conv_weights, counted, fixture};

fn read(name: &str) -> Result<LoadedCheckpoint, Problem> {
    checkpoint::load(&fixture(name)).map_err(|error| error.problem)
}

fn read_bytes(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

#[test]
fn every_form_of_the_same_state_dict_reads_alike() {
    let zip = [
        "zip",
        "protocol4",
        "module",
        "half",
        "bfloat16",
        "double",
        "parameters",
        "views",
    ];
    let legacy = [
        "legacy",
        "module_legacy",
        "half_legacy",
        "bfloat16_legacy",
        "double_legacy",
        "views_legacy",
    ];
    let zip = zip.map(|name| (name, Format::TorchZip));
    let legacy = legacy.map(|name| (name, Format::TorchLegacy));
    for (name, format) in zip.into_iter().chain(legacy) {
        let loaded = read(&format!("{name}.pkl")).unwrap_or_else(|problem| panic!("{name}: {problem}"));
        assert_eq!(loaded.weights, conv_weights(), "{name}");
        assert_eq!(loaded.format, format, "{name}");
        assert!(loaded.notes.is_empty(), "{name}: {:?}", loaded.notes);
    }
}

#[test]
fn counters_are_left_out_with_a_note() {
    let loaded = read("counter.pkl").unwrap();
    assert_eq!(loaded.weights, conv_weights());
    assert!(
        loaded.notes[0].contains("norm.num_batches_tracked"),
        "{:?}",
        loaded.notes
    );
}

#[test]
fn a_state_dict_inside_a_training_checkpoint_is_found() {
    assert_eq!(read("training.pkl").unwrap().weights, conv_weights());
}

#[test]
fn nothing_in_a_pickle_is_run() {
    let here = std::env::current_dir().unwrap();
    for name in ["runs.pkl", "runs_legacy.pkl"] {
        let problem = read(name).unwrap_err();
        let Problem::Pickle(PickleProblem::Forbidden(what)) = &problem else {
            panic!("{problem}");
        };
        assert!(what.contains("posix.system"), "{what}");
        assert!(!here.join("marker").exists() && !fixture("marker").exists());
    }
    let problem = read("whole_model.pkl").unwrap_err();
    assert!(problem.to_string().contains("__main__.Net"), "{problem}");
    assert!(problem.to_string().contains("state_dict"), "{problem}");
}

#[test]
fn other_archives_are_refused_by_what_they_are() {
    assert!(matches!(
        read("script.pt"),
        Err(Problem::Torch(TorchProblem::TorchScript))
    ));
    assert!(matches!(
        read("big_endian.pkl"),
        Err(Problem::Torch(TorchProblem::BigEndian))
    ));
    assert!(matches!(
        read("deflated.pkl"),
        Err(Problem::Zip(ZipProblem::Compressed { method: 8, .. }))
    ));
    assert!(matches!(
        read("expanded.pkl"),
        Err(Problem::Torch(TorchProblem::View { count: 1, .. }))
    ));
    assert!(matches!(read("make.py"), Err(Problem::Unknown { .. })));
}

#[test]
fn the_older_form_of_a_big_endian_machine_is_refused() {
    let mut bytes = read_bytes("legacy.pkl");
    let flag = b"little_endianq\x02\x88";
    let at = bytes
        .windows(flag.len())
        .position(|window| window == flag)
        .unwrap();
    bytes[at + flag.len() - 1] = 0x89;
    let problem = checkpoint::load_bytes(&bytes).unwrap_err();
    assert!(
        matches!(problem, Problem::Torch(TorchProblem::BigEndian)),
        "{problem}"
    );
}

#[test]
fn a_file_cut_off_anywhere_is_an_error() {
    for name in ["zip.pkl", "legacy.pkl", "views_legacy.pkl"] {
        let bytes = read_bytes(name);
        for length in 0..bytes.len() {
            assert!(
                checkpoint::load_bytes(&bytes[..length]).is_err(),
                "{name} cut to {length}"
            );
        }
        let longer = [&bytes[..], b"x"].concat();
        assert!(
            checkpoint::load_bytes(&longer).is_err(),
            "{name} with one byte more"
        );
    }
}

#[test]
fn damaged_tensor_data_fails_its_checksum() {
    let mut bytes = read_bytes("zip.pkl");
    let needle = 0.25f32.to_le_bytes();
    let at = bytes.windows(4).position(|window| window == needle).unwrap();
    bytes[at + 1] ^= 1;
    let problem = checkpoint::load_bytes(&bytes).unwrap_err();
    assert!(
        matches!(problem, Problem::Zip(ZipProblem::Checksum(_))),
        "{problem}"
    );
}

fn zip_problem(zip: Zip) -> ZipProblem {
    match checkpoint::load_bytes(&zip.finish()) {
        Err(Problem::Zip(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn hostile_archives_are_refused_by_name() {
    let plain = Entry::stored("a/data.pkl", b"\x80\x02}.");
    for name in [
        "../../etc/passwd",
        "/etc/passwd",
        "a/../b",
        "a\\b",
        "C:/x",
        "a//b",
        "",
        "a/\x1b[2J",
        "folder/",
    ] {
        let problem = zip_problem(Zip::default().with(&Entry::stored(name, b"")));
        assert!(matches!(problem, ZipProblem::Name(_)), "{name}: {problem}");
        assert!(!problem.to_string().contains('\x1b'));
    }
    let problem = zip_problem(Zip::default().with(&Entry {
        attributes: 0o120_777 << 16,
        ..plain
    }));
    assert!(matches!(problem, ZipProblem::Symlink(_)), "{problem}");
    let problem = zip_problem(Zip::default().with(&Entry {
        claimed: u32::MAX - 1,
        ..plain
    }));
    assert!(matches!(problem, ZipProblem::Size { stored: 4, .. }), "{problem}");
    let problem = zip_problem(Zip::default().with(&Entry { method: 8, ..plain }));
    assert!(
        matches!(problem, ZipProblem::Compressed { method: 8, .. }),
        "{problem}"
    );
    let problem = zip_problem(Zip::default().with(&Entry { flags: 1, ..plain }));
    assert!(matches!(problem, ZipProblem::Encrypted(_)), "{problem}");
    let problem = zip_problem(Zip::default().with(&plain).with(&plain));
    assert!(matches!(problem, ZipProblem::DuplicateName(_)), "{problem}");
    let problem = zip_problem(Zip::default().with(&Entry {
        offset: Some(7),
        ..plain
    }));
    assert!(matches!(problem, ZipProblem::Misplaced(_)), "{problem}");
}

#[test]
fn overlapping_entries_are_refused() {
    // The outer entry's data is another whole entry, which the directory lists too.
    let inner = Zip::default().with(&Entry::stored("a/b", b"x")).bytes;
    let outer = Entry::stored("a/data.pkl", &inner);
    let at = 30 + outer.name.len() as u32;
    let mut zip = Zip::default().with(&outer);
    let bytes = zip.bytes.clone();
    zip = zip.with(&Entry {
        offset: Some(at),
        ..Entry::stored("a/b", b"x")
    });
    zip.bytes = bytes;
    let problem = zip_problem(zip);
    assert!(matches!(problem, ZipProblem::Overlap(_)), "{problem}");
}

#[test]
fn too_many_entries_are_refused_before_they_are_read() {
    let mut zip = Zip::default().with(&Entry::stored("a/data.pkl", b""));
    zip.entries = 65_000;
    let problem = zip_problem(zip);
    assert!(
        matches!(problem, ZipProblem::TooManyEntries { found: 65_000, .. }),
        "{problem}"
    );
}

fn pickled(pickle: &[u8]) -> Problem {
    let zip = Zip::default().with(&Entry::stored("a/data.pkl", pickle));
    checkpoint::load_bytes(&zip.finish()).unwrap_err()
}

/// Makes the pickle of `{key: tensor}`, a view of storage 0, which is not in the archive.
fn tensor_pickle(key: &str, sizes: &[u8]) -> Vec<u8> {
    let mut pickle = b"\x80\x02}(X".to_vec();
    pickle.extend((key.len() as u32).to_le_bytes());
    pickle.extend(key.as_bytes());
    pickle.extend(
        b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000",
    );
    pickle.extend(b"X\x03\0\0\0cpuK\x01tQ");
    pickle.extend(sizes);
    pickle.extend(b"\x89}tRu.");
    pickle
}

#[test]
fn tensors_that_do_not_fit_are_refused() {
    let problem = pickled(&tensor_pickle("x", b"K\0K\x01\x85K\x01\x85"));
    assert!(
        matches!(problem, Problem::Torch(TorchProblem::MissingStorage { .. })),
        "{problem}"
    );

    let whole = |sizes: &[u8], data: &[u8]| {
        let pickle = tensor_pickle("x", sizes);
        let zip = Zip::default()
            .with(&Entry::stored("a/data.pkl", &pickle))
            .with(&Entry::stored("a/data/0", data));
        checkpoint::load_bytes(&zip.finish())
    };
    let one = 1.5f32.to_le_bytes();
    let tensor = whole(b"K\0K\x01\x85K\x01\x85", &one).unwrap().weights;
    assert_eq!(tensor.get("x").unwrap().data, [1.5]);

    let wrong_length = whole(b"K\0K\x01\x85K\x01\x85", &[0; 8]);
    assert!(matches!(
        wrong_length,
        Err(Problem::Torch(TorchProblem::StorageSize {
            needed: 4,
            found: 8,
            ..
        }))
    ));
    let huge = b"K\0(J\xff\xff\xff\x7fJ\xff\xff\xff\x7fJ\xff\xff\xff\x7ft(K\0K\0K\0t";
    let beyond: [&[u8]; 5] = [
        b"K\x01K\x01\x85K\x01\x85",
        b"K\0K\x02\x85K\x01\x85",
        b"K\0K\x02\x85K\0\x85",
        b"K\0K\x02\x85\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85",
        huge,
    ];
    for sizes in beyond {
        let refused = whole(sizes, &one);
        assert!(
            matches!(refused, Err(Problem::Torch(TorchProblem::View { .. }))),
            "{sizes:?}: {refused:?}"
        );
    }
    let negative = whole(b"K\0J\xff\xff\xff\xff\x85K\x01\x85", &one);
    assert!(
        matches!(negative, Err(Problem::Pickle(PickleProblem::Damaged { .. }))),
        "{negative:?}"
    );
}

#[test]
fn pickles_that_grow_are_stopped() {
    // A list of a list ... doubled thirty times is thirty values here, since nothing is copied.
    let mut laughs = b"\x80\x02]q\0".to_vec();
    for i in 0..30u8 {
        laughs.extend([b']', b'q', i + 1, b'(', b'h', i, b'h', i, b'e']);
    }
    laughs.push(b'.');
    assert!(matches!(
        pickled(&laughs),
        Problem::Torch(TorchProblem::NoStateDict)
    ));

    let many = [b"\x80\x02".to_vec(), vec![b'}'; 3_000_000]].concat();
    assert!(matches!(
        pickled(&many),
        Problem::Pickle(PickleProblem::TooMuch { what: "values", .. })
    ));
    let nested = [b"\x80\x02".to_vec(), vec![b'('; 5_000_000]].concat();
    assert!(matches!(
        pickled(&nested),
        Problem::Pickle(PickleProblem::TooMuch {
            what: "a pickle's bytes",
            ..
        })
    ));
    let announced = b"\x80\x02X\xff\xff\xff\xffabc";
    assert!(matches!(
        pickled(announced),
        Problem::Pickle(PickleProblem::CutOff(_))
    ));
    let long_key = tensor_pickle(&"k".repeat(600), b"K\0K\x01\x85K\x01\x85");
    assert!(matches!(
        pickled(&long_key),
        Problem::Torch(TorchProblem::LongKey(_))
    ));
}

#[test]
fn damaged_pickles_are_refused() {
    for pickle in [
        &b"\x80\x02."[..],
        b"\x80\x02(.",
        b"\x80\x02K\x01(\x86.",
        b"\x80\x02K\x01s.",
        b"\x80\x02}(K\x01u.",
        b"\x80\x02h\x05.",
        b"\x80\x02K\x01b.",
        b"\x80\x02NNR.",
        b"\x80\x02NQ.",
        b"\x80\x02X\x01\0\0\0\xff.",
        b"\x80\x02\x8a\x09123456789.",
    ] {
        let problem = pickled(pickle);
        assert!(
            matches!(problem, Problem::Pickle(PickleProblem::Damaged { .. })),
            "{pickle:?}: {problem}"
        );
    }
    // An instruction for building an instance, which no state_dict has.
    assert!(matches!(
        pickled(b"\x80\x02i"),
        Problem::Pickle(PickleProblem::Opcode { code: b'i', at: 2 })
    ));
    assert!(matches!(pickled(b"\x80\x02}."), Problem::NoTensors));
    let escapes = pickled(b"\x80\x02cos\nsystem\x1b[2J\n.");
    assert!(!escapes.to_string().contains('\x1b'), "{escapes}");
}

#[test]
fn tensors_that_share_a_storage_cannot_outgrow_the_file() {
    let values: Vec<u8> = (0..1000).flat_map(|i| (i as f32).to_le_bytes()).collect();
    let mut pickle = b"\x80\x02}(".to_vec();
    for i in 0..100 {
        let key = format!("{i:02}");
        pickle.extend(b"X\x02\0\0\0");
        pickle.extend(key.as_bytes());
        pickle.extend(
            b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000",
        );
        pickle.extend(b"X\x03\0\0\0cpuM\xe8\x03tQK\0M\xe8\x03\x85K\x01\x85\x89}tR");
    }
    pickle.extend(b"u.");
    let zip = Zip::default()
        .with(&Entry::stored("a/data.pkl", &pickle))
        .with(&Entry::stored("a/data/0", &values));
    let problem = checkpoint::load_bytes(&zip.finish()).unwrap_err();
    assert!(
        matches!(problem, Problem::Torch(TorchProblem::Inflated)),
        "{problem}"
    );
}

#[test]
fn the_same_key_with_and_without_module_is_refused() {
    let weights: Weights = [("a", 1), ("module.a", 2)]
        .map(|(key, size)| (key.to_owned(), counted(&[size])))
        .into_iter()
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.pkl");
    save_pkl(&path, &weights).unwrap();
    let problem = checkpoint::load(&path).unwrap_err();
    assert!(matches!(problem.problem, Problem::DuplicateKey(_)), "{problem}");
}

#[test]
fn a_written_pkl_reads_back() {
    let mut weights = conv_weights();
    weights.insert(
        "scalar",
        WeightTensor {
            shape: vec![],
            data: vec![0.1],
        },
    );
    weights.insert(
        "empty",
        WeightTensor {
            shape: vec![0, 3],
            data: vec![],
        },
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flownet.pkl");
    save_pkl(&path, &weights).unwrap();
    assert_eq!(checkpoint::load(&path).unwrap().weights, weights);
    // A folder of train_log's form is its file.
    assert_eq!(checkpoint::load(folder.path()).unwrap().weights, weights);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn an_old_folder_is_its_three_files_under_prefixes() {
    let folder = tempfile::tempdir().unwrap();
    let copy = |part: &str| std::fs::copy(fixture("module_legacy.pkl"), folder.path().join(part)).unwrap();
    copy("flownet.pkl");
    copy("contextnet.pkl");
    let problem = checkpoint::load(folder.path()).unwrap_err();
    assert!(problem.to_string().contains("missing: unet.pkl"), "{problem}");
    copy("unet.pkl");
    let loaded = checkpoint::load(folder.path()).unwrap();
    assert_eq!(loaded.format, Format::TorchFolder);
    let keys: Vec<_> = loaded.weights.keys().collect();
    let expected = ["contextnet", "flownet", "unet"]
        .map(|part| [format!("{part}.conv.bias"), format!("{part}.conv.weight")]);
    assert_eq!(keys, expected.concat());
    let empty = tempfile::tempdir().unwrap();
    let problem = checkpoint::load(empty.path()).unwrap_err();
    assert!(matches!(problem.problem, Problem::Folder { .. }), "{problem}");
}
