//! rife-ncnn-vulkan folders: weights written here are read back.

use std::fs;
use std::path::{Path, PathBuf};

use rife_nets::checkpoint::{self, Format, LoadedCheckpoint, NcnnProblem, Problem};
use rife_nets::{Version, WeightTensor, Weights, deterministic};
use serde_json::Value;

use crate::support::shared;

const F16_TAG: u32 = 0x0130_6b47;

/// Storage of a convolution's weights in a test's `.bin` file.
#[derive(Clone, Copy, PartialEq)]
enum Stored {
    F16,
    F32,
}

/// Exports of 4.x: name of the `.param` file, version, and the order of encoder and blocks in it.
const EXPORTS: [(&str, &str, &[&str]); 10] = [
    (
        "rife-v4_ensembleFalse_fastTrue",
        "4.0",
        &["block0", "block1", "block2", "block3"],
    ),
    (
        "rife-v4.6_ensembleFalse",
        "4.6",
        &["block0", "block1", "block2", "block3"],
    ),
    (
        "rife-v4.6_ensembleTrue",
        "4.6",
        &[
            "block0", "block0", "block1", "block1", "block2", "block2", "block3", "block3",
        ],
    ),
    (
        "rife-v4.15_ensembleFalse",
        "4.13",
        &["encode", "encode", "block0", "block1", "block2", "block3"],
    ),
    (
        "rife-v4.15_ensembleTrue",
        "4.13",
        &[
            "encode", "encode", "block0", "block0", "block1", "block1", "block2", "block2", "block3",
            "block3",
        ],
    ),
    (
        "rife-v4.15_lite_ensembleFalse",
        "4.15.lite",
        &["encode", "encode", "block0", "block1", "block2", "block3"],
    ),
    (
        "rife-v4.15_lite_ensembleTrue",
        "4.15.lite",
        &[
            "encode", "encode", "block0", "block0", "block1", "block1", "block2", "block2", "block3",
            "block3",
        ],
    ),
    (
        "rife-v4.25-lite_ensembleFalse",
        "4.25.lite",
        &[
            "encode", "encode", "block0", "block1", "block2", "block3", "block4",
        ],
    ),
    (
        "rife-v4.26_ensembleFalse",
        "4.25",
        &[
            "encode", "encode", "block0", "block1", "block2", "block3", "block4",
        ],
    ),
    (
        "rife-v4_ensembleTrue_fastFalse",
        "4.0",
        &[
            "block0",
            "block0",
            "block1",
            "block1",
            "block2",
            "block2",
            "block3",
            "block3",
            // Its refinement, which has the paper network's shapes.
            "contextnet",
            "contextnet",
            "unet",
        ],
    ),
];

/// Lists the keys of a reference network's convolutions, without `.weight`, in the order of execution.
fn conv_keys(shared: &Path, version: &str, part: &str) -> Vec<String> {
    let text = fs::read(shared.join(format!("reference/{version}.json"))).unwrap();
    let json: Value = serde_json::from_slice(&text).unwrap();
    let tensors = json["tensors"].as_array().unwrap();
    let is_conv =
        |tensor: &&Value| tensor["shape"].as_array().unwrap().len() == 4 && tensor["kind"] == "weight";
    let keys = tensors
        .iter()
        .filter(is_conv)
        .map(|tensor| tensor["key"].as_str().unwrap());
    let keys = keys.filter(|key| key.split('.').next() == Some(part));
    keys.map(|key| key.strip_suffix(".weight").unwrap().to_owned())
        .collect()
}

/// Writer of a `.bin` file: the weights of a `.param` file's layers in order; `convs` are the keys of its convolutions.
struct BinWriter<'a> {
    weights: &'a Weights,
    convs: std::slice::Iter<'a, String>,
    stored: Stored,
    last: &'a str,
    bin: Vec<u8>,
}

impl<'a> BinWriter<'a> {
    fn write(param: &str, weights: &'a Weights, convs: &'a [String], stored: Stored) -> Vec<u8> {
        let mut writer = Self {
            weights,
            convs: convs.iter(),
            stored,
            last: "",
            bin: Vec::new(),
        };
        for line in param.lines().skip(2) {
            let words: Vec<_> = line.split_whitespace().collect();
            writer.layer(words[0], words[1]);
        }
        assert_eq!(writer.convs.next(), None, "the .param has fewer convolutions");
        writer.bin
    }

    fn layer(&mut self, kind: &str, name: &str) {
        match kind {
            "MemoryData" => self.floats(name),
            "Convolution" | "ConvolutionDepthWise" | "Deconvolution" => {
                self.last = self.convs.next().expect("the .param has more convolutions");
                self.kernel(kind == "Deconvolution");
                self.floats(&format!("{}.bias", self.last));
            }
            // conv.0 is followed by conv.1.
            "PReLU" => self.floats(&format!("{}.1.weight", self.last.strip_suffix(".0").unwrap())),
            _ => {}
        }
    }

    fn tensor(&self, key: &str) -> &'a WeightTensor {
        self.weights.get(key).unwrap_or_else(|| panic!("no {key}"))
    }

    fn floats(&mut self, key: &str) {
        let tensor = self.tensor(key);
        self.bin
            .extend(tensor.data.iter().flat_map(|value| value.to_le_bytes()));
    }

    /// Writes a kernel. For a transposed one, output channels are outermost in ncnn, input channels in PyTorch.
    fn kernel(&mut self, transposed: bool) {
        let tensor = self.tensor(&format!("{}.weight", self.last));
        let &[first, second, height, width] = &tensor.shape[..] else {
            panic!("{:?}", tensor.shape)
        };
        let taps = height * width;
        let mut ordered = Vec::new();
        if transposed {
            for output in 0..second {
                for input in 0..first {
                    ordered.extend(&tensor.data[(input * second + output) * taps..][..taps]);
                }
            }
        } else {
            ordered.clone_from(&tensor.data);
        }
        match self.stored {
            Stored::F32 => {
                self.bin.extend([0; 4]);
                self.bin
                    .extend(ordered.iter().flat_map(|value| value.to_le_bytes()));
            }
            Stored::F16 => {
                self.bin.extend(F16_TAG.to_le_bytes());
                self.bin.extend(
                    ordered
                        .iter()
                        .flat_map(|&value| half::f16::from_f32(value).to_le_bytes()),
                );
                self.bin.extend(vec![0; self.bin.len() % 4]);
            }
        }
    }
}

fn param(shared: &Path, name: &str) -> String {
    fs::read_to_string(shared.join(format!("reference/ncnn_params/{name}.param"))).unwrap()
}

/// Makes a folder of models, each given by name without extension, `.param` and `.bin`.
fn folder(models: &[(&str, &str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, param, bin) in models {
        fs::write(folder.path().join(format!("{name}.param")), param).unwrap();
        fs::write(folder.path().join(format!("{name}.bin")), bin).unwrap();
    }
    folder
}

fn deterministic(version: &str) -> Weights {
    deterministic::weights(version.parse().unwrap())
}

/// Returns the weights of a version and, for the 4.0 export with refinement, of the paper's refinement network.
fn with_refinement(version: &str) -> Weights {
    let mut weights = deterministic(version);
    if version == "4.0" {
        let paper = deterministic("rife");
        let refinement = paper.iter().filter(|(key, _)| key.contains("net."));
        for (key, tensor) in refinement {
            weights.insert(key, tensor.clone());
        }
    }
    weights
}

fn export(shared: &Path, (name, version, parts): (&str, &str, &[&str]), stored: Stored) -> (String, Vec<u8>) {
    let param = param(shared, &format!("{name}_flownet"));
    let keys = |part: &&str| {
        let source = if part.contains("net") { "rife" } else { version };
        conv_keys(shared, source, part)
    };
    let convs: Vec<String> = parts.iter().flat_map(keys).collect();
    let bin = BinWriter::write(&param, &with_refinement(version), &convs, stored);
    (param, bin)
}

/// Returns a tensor as it is read back: kernels may be rounded to f16, other tensors are exact.
fn rounded(key: &str, tensor: &WeightTensor, stored: Stored) -> WeightTensor {
    let is_kernel = tensor.shape.len() == 4 && !key.ends_with("beta");
    let round = |value: &f32| match stored {
        Stored::F16 if is_kernel => half::f16::from_f32(*value).to_f32(),
        _ => *value,
    };
    WeightTensor {
        shape: tensor.shape.clone(),
        data: tensor.data.iter().map(round).collect(),
    }
}

fn assert_is(loaded: &LoadedCheckpoint, version: &str, stored: Stored) {
    let expected = deterministic(version);
    let expected: Weights = expected
        .iter()
        .map(|(key, tensor)| (key.to_owned(), rounded(key, tensor, stored)))
        .collect();
    assert!(loaded.weights == expected, "{version}: the weights differ");
    assert_eq!(loaded.format, Format::Ncnn);
    let recognised = Version::recognise(&loaded.weights).unwrap();
    assert!(
        Version::candidates(&loaded.weights).contains(&version.parse().unwrap()),
        "{recognised}"
    );
}

#[test]
fn every_4_x_export_reads_back() {
    let Some(shared) = shared() else { return };
    // By turns, which gives either kind to exports of every sort.
    let stored = [Stored::F16, Stored::F32].into_iter().cycle();
    for (export_of, stored) in EXPORTS.into_iter().zip(stored) {
        let (param, bin) = export(&shared, export_of, stored);
        let folder = folder(&[("flownet", &param, &bin)]);
        let loaded =
            checkpoint::load(folder.path()).unwrap_or_else(|error| panic!("{}: {error}", export_of.0));
        assert_is(&loaded, export_of.1, stored);
        let left_out = loaded.notes.iter().any(|note| note.contains("refinement"));
        assert_eq!(left_out, export_of.0.ends_with("fastFalse"), "{:?}", loaded.notes);
        // This export has the scales of 4.25 in its graph, where 4.25.lite has its own.
        let other_scales = loaded.notes.iter().any(|note| note.contains("scales"));
        assert_eq!(other_scales, export_of.1 == "4.25.lite", "{:?}", loaded.notes);
    }
}

#[test]
fn convolutions_in_groups_read_back() {
    let Some(shared) = shared() else { return };
    // 4.14.lite is 4.15 with the blocks' inner convolutions, which alone have no activation merged, in two groups.
    let grouped = |line: &str| match line.split_once(" 1=3 4=1 5=1 6=") {
        Some((start, weights)) if !weights.contains(' ') => {
            let weights: usize = weights.parse().unwrap();
            let start = start.replacen("Convolution ", "ConvolutionDepthWise ", 1);
            format!("{start} 1=3 4=1 5=1 6={} 7=2", weights / 2)
        }
        _ => line.to_owned(),
    };
    let param = param(&shared, "rife-v4.15_ensembleFalse_flownet");
    let param = param.lines().map(grouped).collect::<Vec<_>>().join("\n");
    let parts = EXPORTS[3].2.iter();
    let convs: Vec<String> = parts
        .flat_map(|part| conv_keys(&shared, "4.14.lite", part))
        .collect();
    let bin = BinWriter::write(&param, &deterministic("4.14.lite"), &convs, Stored::F16);
    let folder = folder(&[("flownet", &param, &bin)]);
    assert_is(
        &checkpoint::load(folder.path()).unwrap(),
        "4.14.lite",
        Stored::F16,
    );
}

#[test]
fn the_published_size_of_4_25_lite_is_the_size_written_here() {
    let Some(shared) = shared() else { return };
    let (_, bin) = export(&shared, EXPORTS[7], Stored::F16);
    assert_eq!(bin.len(), 11_276_252);
}

fn hdv2(shared: &Path, stored: Stored) -> tempfile::TempDir {
    let weights = deterministic("rife_hdv2");
    let models = [
        ("flownet", "flownet"),
        ("contextnet", "contextnet"),
        ("fusionnet", "unet"),
    ]
    .map(|(file, part)| {
        let text = param(shared, &format!("rife-v2.3_{file}"));
        let bin = BinWriter::write(&text, &weights, &conv_keys(shared, "rife_hdv2", part), stored);
        (file, text, bin)
    });
    folder(
        &models
            .each_ref()
            .map(|(file, text, bin)| (*file, text.as_str(), bin.as_slice())),
    )
}

#[test]
fn version_2_reads_back_from_its_three_models() {
    let Some(shared) = shared() else { return };
    for stored in [Stored::F16, Stored::F32] {
        let folder = hdv2(&shared, stored);
        assert_is(&checkpoint::load(folder.path()).unwrap(), "rife_hdv2", stored);
    }
    let folder = hdv2(&shared, Stored::F16);
    fs::remove_file(folder.path().join("fusionnet.param")).unwrap();
    let error = checkpoint::load(folder.path()).unwrap_err();
    assert!(error.to_string().contains("missing: fusionnet.param"), "{error}");
}

#[test]
fn the_path_of_the_param_file_is_as_good_as_its_folder() {
    let Some(shared) = shared() else { return };
    let (param, bin) = export(&shared, EXPORTS[7], Stored::F16);
    let folder = folder(&[("flownet", &param, &bin)]);
    let loaded = checkpoint::load(&folder.path().join("flownet.param")).unwrap();
    assert_is(&loaded, "4.25.lite", Stored::F16);
}

#[test]
fn the_folder_name_decides_between_versions_of_one_shape() {
    let Some(shared) = shared() else { return };
    let (param, bin) = export(&shared, EXPORTS[3], Stored::F16);
    let parent = tempfile::tempdir().unwrap();
    for (name, key) in [
        ("rife-v4.10", "encode.0.weight"),
        ("anything", "encode.cnn0.weight"),
    ] {
        let folder = parent.path().join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("flownet.param"), &param).unwrap();
        fs::write(folder.join("flownet.bin"), &bin).unwrap();
        let loaded = checkpoint::load(&folder).unwrap();
        assert!(loaded.weights.get(key).is_some(), "{name}: {:?}", loaded.notes);
    }
}

/// Makes a `.bin` file of zeros for a `.param` file.
fn zeros(param: &str) -> Vec<u8> {
    let setting = |line: &str, key: &str| {
        let word = line.split_whitespace().find_map(|word| word.strip_prefix(key));
        word.map_or(0, |value| value.parse::<usize>().unwrap())
    };
    let floats = |line: &str| match line.split_whitespace().next() {
        Some("Convolution" | "Deconvolution") => 1 + setting(line, "6=") + setting(line, "0="),
        Some("PReLU") => setting(line, "0="),
        _ => 0,
    };
    vec![0; 4 * param.lines().map(floats).sum::<usize>()]
}

#[test]
fn networks_that_are_not_supported_are_named() {
    let Some(shared) = shared() else { return };
    for (prefix, name) in [("rife", "RIFE 1.x"), ("rife-v3.1", "RIFE 3.x")] {
        let models = ["flownet", "contextnet", "fusionnet"].map(|file| {
            let text = param(&shared, &format!("{prefix}_{file}"));
            let bin = zeros(&text);
            (file, text, bin)
        });
        let folder = folder(
            &models
                .each_ref()
                .map(|(file, text, bin)| (*file, text.as_str(), bin.as_slice())),
        );
        let error = checkpoint::load(folder.path()).unwrap_err();
        assert!(
            matches!(error.problem, Problem::Ncnn(NcnnProblem::OtherNetwork(_))),
            "{error}"
        );
        assert!(error.to_string().contains(name), "{error}");
    }
}

fn small(param: &str, bin: &[u8]) -> NcnnProblem {
    let folder = folder(&[("flownet", param, bin)]);
    match checkpoint::load(folder.path()) {
        Err(checkpoint::CheckpointError {
            problem: Problem::Ncnn(problem),
            ..
        }) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn damaged_params_are_refused() {
    let line = "Convolution c 1 1 a b 0=1 1=3 4=1 5=1 6=9\n";
    for (param, line) in [
        ("7767517\n", 2),
        ("7767517\nx y\n", 2),
        ("7767517\n99999999999999999999 1\n", 2),
        ("7767517\n4000000000 1\n", 2),
        ("7767517\n2 1\nInput a 0 1 a\n", 2),
        ("7767517\n1 1\nInput a 0 1 a\nInput b 0 1 b\n", 2),
        ("7767517\n1 1\nInput\n", 3),
        ("7767517\n1 1\nInput a 4000000000 1 a\n", 3),
        ("7767517\n1 1\nInput a 0 1 a x=1\n", 3),
        ("7767517\n1 1\nInput a 0 1 a 0=1 0=2\n", 3),
    ] {
        let problem = small(param, b"");
        assert!(
            matches!(problem, NcnnProblem::Param { line: found, .. } if found == line),
            "{param}: {problem}"
        );
    }
    let with = |settings: &str| {
        small(
            &format!("7767517\n1 1\nConvolution c 1 1 a b {settings}\n"),
            &[0; 44],
        )
    };
    for settings in [
        "",
        "0=1 1=5 4=1 5=1 6=25",
        "0=1 1=3 4=1 5=0 6=9",
        "0=0 1=3 4=1 5=1 6=9",
        "0=1 1=3 4=1 5=1 6=10",
        "0=1 1=3 4=1 5=1 6=-9",
        "0=2 1=3 4=1 5=1 6=18 7=0",
        "0=2 1=3 4=1 5=1 6=18 7=3",
        "0=1 1=3 4=1 5=1 6=9 8=1",
        "0=1 1=3 4=1 5=1 6=9 9=1",
        "0=1 1=3 4=1 5=1 6=9 9=2 -23310=1,3.0e-01",
    ] {
        let problem = with(settings);
        assert!(
            matches!(problem, NcnnProblem::Layer { .. }),
            "{settings}: {problem}"
        );
    }
    let huge = with("0=18446744073709551615 1=3 4=1 5=1 6=18446744073709551615");
    assert!(
        matches!(huge, NcnnProblem::CutOff { .. } | NcnnProblem::Layer { .. }),
        "{huge}"
    );
    let other = small("7767517\n1 1\nLSTM \x1b[2J 0 0\n", b"");
    assert!(
        matches!(other, NcnnProblem::Layer { .. }) && !other.to_string().contains('\x1b'),
        "{other}"
    );
    let lone = small("7767517\n1 1\nPReLU p 1 1 a b 0=2\n", &[0; 8]);
    assert!(matches!(lone, NcnnProblem::Layer { .. }), "{lone}");
    let unused = small("7767517\n1 1\nMemoryData m 0 1 m 0=1 1=1 2=4\n", &[0; 16]);
    assert!(matches!(unused, NcnnProblem::UnusedConstant(_)), "{unused}");
    let param = format!("7767517\n1 1\n{line}");
    assert!(matches!(
        small(&param, &[0; 44]),
        NcnnProblem::Unrecognised { .. }
    ));
    assert!(matches!(small(&param, &[0; 43]), NcnnProblem::CutOff { .. }));
    assert!(matches!(small(&param, b""), NcnnProblem::CutOff { .. }));
    assert_eq!(small(&param, &[0; 45]), NcnnProblem::LeftOver(1));
    let int8 = [&0x000d_4b38u32.to_le_bytes()[..], &[0; 40]].concat();
    assert!(matches!(
        small(&param, &int8),
        NcnnProblem::Tag { tag: 0x000d_4b38, .. }
    ));
}

#[test]
fn an_odd_number_of_f16_is_padded() {
    let param = "7767517\n1 1\nConvolution c 1 1 a b 0=1 1=3 4=1 5=1 6=9\n";
    let bin = [&F16_TAG.to_le_bytes()[..], &[0; 9 * 2 + 2 + 4]].concat();
    assert!(matches!(small(param, &bin), NcnnProblem::Unrecognised { .. }));
    assert!(matches!(
        small(param, &bin[..bin.len() - 2]),
        NcnnProblem::CutOff { .. }
    ));
}

#[test]
fn a_bin_of_another_param_is_refused() {
    let Some(shared) = shared() else { return };
    let (param, bin) = export(&shared, EXPORTS[7], Stored::F16);
    assert!(matches!(
        small(&param, &bin[..bin.len() - 1]),
        NcnnProblem::CutOff { .. }
    ));
    assert_eq!(
        small(&param, &[&bin[..], &[0; 4]].concat()),
        NcnnProblem::LeftOver(4)
    );
}

#[test]
fn copies_of_a_layer_must_agree() {
    let Some(shared) = shared() else { return };
    let (param, mut bin) = export(&shared, EXPORTS[7], Stored::F32);
    // The encoder comes after 4032 factors; its first kernel is there twice.
    let factors: usize = [192, 128, 96, 64, 24]
        .iter()
        .map(|channels| 8 * channels * 4)
        .sum();
    bin[factors + 4] ^= 1;
    let problem = small(&param, &bin);
    assert!(
        matches!(&problem, NcnnProblem::CopiesDiffer { key } if key == "encode.cnn0"),
        "{problem}"
    );
}

#[test]
fn a_network_of_other_shapes_is_told_from_the_nearest() {
    let Some(shared) = shared() else { return };
    let (param, bin) = export(&shared, EXPORTS[1], Stored::F32);
    let lines: Vec<_> = param.lines().collect();
    // The same without its last layer with weights: that many bytes less.
    let last = lines
        .iter()
        .rposition(|line| line.starts_with("Deconvolution"))
        .unwrap();
    let shorter = [&lines[..last], &lines[last + 1..]]
        .concat()
        .join("\n")
        .replace("\n304 ", "\n303 ");
    let count: usize = lines[1].split_whitespace().next().unwrap().parse().unwrap();
    let shorter = shorter.replacen(&format!("\n{count} "), &format!("\n{} ", count - 1), 1);
    let bytes = bin.len() - 4 * (1 + 24576 + 24);
    let problem = small(&shorter, &bin[..bytes]);
    let NcnnProblem::Unrecognised { nearest, differs } = &problem else {
        panic!("{problem}")
    };
    assert_eq!(*nearest, "4.6");
    assert!(differs.contains("block3.lastconv.0"), "{differs}");
}

#[test]
fn merged_factors_read_as_one() {
    let Some(shared) = shared() else { return };
    let (param, bin) = export(&shared, EXPORTS[1], Stored::F32);
    let factors: usize = [192, 128, 96, 64].iter().map(|channels| 8 * channels * 4).sum();
    let kept: Vec<_> = param
        .lines()
        .filter(|line| !line.starts_with("MemoryData"))
        .collect();
    let mut merged = kept.join("\n");
    let count: usize = kept[1].split_whitespace().next().unwrap().parse().unwrap();
    merged = merged.replacen(&format!("\n{count} "), &format!("\n{} ", count - 32), 1);
    let folder = folder(&[("flownet", &merged, &bin[factors..])]);
    let loaded = checkpoint::load(folder.path()).unwrap();
    let beta = loaded.weights.get("block2.convblock.5.beta").unwrap();
    assert_eq!(
        (&beta.shape[..], &beta.data[..]),
        (&[1, 96, 1, 1][..], &[1.0; 96][..])
    );
    assert!(
        loaded.notes.iter().any(|note| note.contains("merged")),
        "{:?}",
        loaded.notes
    );
}

#[test]
fn a_folder_with_only_half_a_model() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("flownet.param"), "7767517\n0 0\n").unwrap();
    let error = checkpoint::load(folder.path()).unwrap_err();
    assert_eq!(error.path, PathBuf::from(folder.path()).join("flownet.bin"));
    assert!(matches!(error.problem, Problem::Io(_)), "{error}");
}
