//! ONNX files: what ONNX Runtime computes of them beside what the CPU engine computes, and what is refused.

mod runtime;

use std::collections::BTreeMap;
use std::path::Path;

use rife_backend::Backend;
use rife_cpu::{CpuBackend, EngineOptions};
use rife_nets::checkpoint::{self, Dtype, Problem};
use rife_nets::onnx::{OnnxOptions, save_onnx};
use rife_nets::{
    Image, Model, NetworkError, Options, Scale, Version, Weights, default_weights, deterministic,
};

/// Largest difference between ONNX Runtime and the engine, in the frame and in the mask.
const LARGEST: f32 = 1e-4;
/// The same in the flow, in pixels.
const LARGEST_FLOW: f32 = 2e-3;

/// One network, exported and run.
struct Case {
    name: &'static str,
    version: &'static str,
    size: [usize; 2],
    timestep: f32,
    options: Options,
    dtype: Dtype,
    /// Whether the weights are changed so that motion is large.
    far: bool,
}

impl Case {
    fn new(name: &'static str, version: &'static str, size: [usize; 2]) -> Self {
        Self {
            name,
            version,
            size,
            timestep: 0.5,
            options: Options::default(),
            dtype: Dtype::F32,
            far: false,
        }
    }

    fn at(self, timestep: f32) -> Self {
        Self { timestep, ..self }
    }

    fn with(self, options: Options) -> Self {
        Self { options, ..self }
    }

    fn version(&self) -> Version {
        self.version.parse().unwrap()
    }

    /// The trained weights where there are some, else made by rule.
    fn weights(&self) -> Weights {
        let trained = default_weights().filter(|_| self.version() == Version::DEFAULT);
        let mut weights = match trained {
            Some(bytes) => checkpoint::load_bytes(bytes).unwrap().weights,
            None => deterministic::weights(self.version()),
        };
        if self.far {
            let mut bias = weights.get("block1.lastconv.bias").unwrap().clone();
            bias.data[..4].fill(20.0);
            weights.insert("block1.lastconv.bias", bias);
        }
        weights
    }

    fn images(&self) -> [Image; 2] {
        let [width, height] = self.size;
        [0.0, 0.6].map(|phase| picture(width, height, phase))
    }

    fn write(&self, folder: &Path) {
        let options = OnnxOptions {
            size: self.size,
            network: self.options,
            with_flow: true,
            dtype: self.dtype,
        };
        std::fs::create_dir(folder).unwrap();
        let metadata = BTreeMap::from([("rife_version".to_owned(), self.version.to_owned())]);
        let path = folder.join("model.onnx");
        save_onnx(&path, self.version(), &self.weights(), &options, &metadata).unwrap();
        let [first, second] = self.images();
        for (name, values) in [
            ("img0", first.data()),
            ("img1", second.data()),
            ("timestep", &[self.timestep]),
        ] {
            runtime::write_values(folder, name, values);
        }
    }

    /// What the engine gives: frame, flow and mask.
    fn expected(&self) -> [Vec<f32>; 3] {
        let engine = CpuBackend::new(EngineOptions::default()).unwrap();
        let model = Model::from_weights(engine, &self.weights(), Some(self.version())).unwrap();
        let frames = self
            .images()
            .map(|image| model.prepare_frame(&image, &self.options).unwrap());
        let [first, second] = &frames;
        let pair = model.pair(first, second, &self.options).unwrap();
        let merged = model.frame_at(&pair, self.timestep, &self.options).unwrap();
        let output = model.tensors_at(&pair, self.timestep, &self.options).unwrap();
        let b = model.backend();
        let cropped = |tensor| {
            let [_, height, width] = b.shape(&tensor);
            let rows = b.download(&tensor).unwrap();
            let planes = rows.chunks_exact(height * width);
            let rows = planes.flat_map(|plane| plane.chunks_exact(width).take(self.size[1]));
            rows.flat_map(|row| &row[..self.size[0]]).copied().collect()
        };
        [
            merged.into_data(),
            cropped(output.flow),
            cropped(b.sigmoid(&output.mask)),
        ]
    }

    fn compare(&self, folder: &Path) {
        let outputs = ["merged", "flow", "mask"].into_iter().zip(self.expected());
        for (name, expected) in outputs {
            let found = runtime::read_values(folder, name);
            assert_eq!(found.len(), expected.len(), "{}: {name}", self.name);
            let mut off: Vec<_> = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).collect();
            off.sort_by(f32::total_cmp);
            let (largest, usual) = (off[off.len() - 1], off[off.len() * 9 / 10]);
            println!(
                "{}: {name} differs by at most {largest:.1e}, nine in ten by {usual:.1e}",
                self.name
            );
            let limit = if name == "flow" { LARGEST_FLOW } else { LARGEST };
            // A search for motion takes the better of two places: where they are as good, rounding decides which.
            let (found, exception) = if self.version().spec().is_some_and(|spec| spec.prior.is_some()) {
                (usual, 100.0 * limit)
            } else {
                (largest, limit)
            };
            assert!(
                found <= limit && largest <= exception,
                "{}: {name} differs by {largest}",
                self.name
            );
        }
    }
}

/// Waves of other lengths in every channel, with some grain: no two places are alike.
fn picture(width: usize, height: usize, phase: f32) -> Image {
    let value = |i: usize| {
        let (c, y, x) = (i / (width * height), i / width % height, i % width);
        let wave = (x as f32 * 0.21 + phase).sin() * (y as f32 * 0.13 + c as f32).cos();
        let grain = (i.wrapping_mul(2_654_435_761) >> 7) % 256;
        0.5 + 0.35 * wave + 0.1 * (grain as f32 / 255.0 - 0.5)
    };
    Image::new(width, height, (0..3 * width * height).map(value).collect()).unwrap()
}

fn cases() -> Vec<Case> {
    let half = Options {
        scale: Scale::Half,
        ..Options::default()
    };
    let ensemble = Options {
        ensemble: true,
        ..Options::default()
    };
    let tta = Options {
        tta: true,
        ..Options::default()
    };
    let mut cases = vec![
        Case::new("default", Version::DEFAULT.name(), [100, 72]).at(0.3),
        Case::new("default_f16", Version::DEFAULT.name(), [64, 64]),
        Case::new("r3.lite", "r3.lite", [64, 64]).at(0.6),
        Case::new("r7.lite_half", "r7.lite", [128, 128])
            .at(0.7)
            .with(half),
        Case::new("4.25.lite", "4.25.lite", [128, 128]).at(0.75),
        Case::new("4.26", "4.26", [64, 64]).at(0.25),
        Case::new("4.26_tta", "4.26", [64, 50]).with(tta),
        Case::new("4.14.lite", "4.14.lite", [64, 32]),
        Case::new("4.6", "4.6", [96, 64]).at(0.1),
        Case::new("4.6_ensemble", "4.6", [64, 64]).at(0.25).with(ensemble),
        Case::new("4.7_half", "4.7", [64, 64]).with(half),
        Case::new("4.2", "4.2", [64, 64]),
        Case::new("4.0", "4.0", [64, 64]),
        Case::new("4.0_far", "4.0", [64, 64]).at(0.25),
        Case::new("rife", "rife", [64, 48]),
        Case::new("rife_2r", "rife_2r", [32, 32]),
        Case::new("rife_m", "rife_m", [64, 64]).at(0.7),
        Case::new("rife_hdv2", "rife_hdv2", [64, 64]),
        Case::new("rife_hdv2_smallest", "rife_hdv2", [32, 32]).with(half),
    ];
    cases.retain(|case| case.name != "default_f16" || default_weights().is_some());
    for case in &mut cases {
        case.far = case.name == "4.0_far";
        if case.name == "default_f16" {
            // The weights built in are f16 already, so that nothing is lost.
            case.dtype = Dtype::F16;
        }
    }
    cases
}

#[test]
fn onnx_runtime_computes_what_the_engine_computes() {
    if !runtime::is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let cases = cases();
    for case in &cases {
        case.write(&folder.path().join(case.name));
    }
    let out = runtime::run(folder.path());
    print!("{out}");
    for case in &cases {
        case.compare(&folder.path().join(case.name));
        let time = if case.version().supports_timestep() {
            ",timestep"
        } else {
            ""
        };
        let line = format!(
            "{} img0,img1{time} merged,flow,mask {{'rife_version': '{}'}}",
            case.name, case.version
        );
        assert!(out.lines().any(|found| found == line), "no line {line}");
    }
}

fn small(network: Options) -> OnnxOptions {
    OnnxOptions {
        size: [40, 24],
        network,
        with_flow: false,
        dtype: Dtype::F32,
    }
}

/// Writes a version with weights made by rule.
fn write(version: &str, options: &OnnxOptions) -> Result<Vec<u8>, Problem> {
    let version: Version = version.parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let weights = deterministic::weights(version);
    let written = save_onnx(&path, version, &weights, options, &BTreeMap::new());
    let found = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(found, usize::from(written.is_ok()), "all or nothing");
    written
        .map(|()| std::fs::read(path).unwrap())
        .map_err(|error| error.problem)
}

fn count(bytes: &[u8], text: &[u8]) -> usize {
    bytes.windows(text.len()).filter(|window| *window == text).count()
}

/// The name of an operator in a node: field 4, a text.
fn operator(name: &str) -> Vec<u8> {
    [&[0x22, name.len() as u8], name.as_bytes()].concat()
}

#[test]
fn a_file_holds_every_weight_once_under_its_key_and_only_what_is_needed() {
    let bytes = write("4.6", &small(Options::default())).unwrap();
    assert_eq!(
        bytes,
        write("4.6", &small(Options::default())).unwrap(),
        "equal files"
    );
    for tensor in Version::tensors("4.6".parse().unwrap()) {
        // Field 8 of an initializer: its name.
        let name = [&[0x42, tensor.key.len() as u8], tensor.key.as_bytes()].concat();
        assert_eq!(count(&bytes, &name), 1, "{}", tensor.key);
    }
    let of = |name: &str| count(&bytes, &operator(name));
    assert_eq!((of("Conv"), of("ConvTranspose"), of("DepthToSpace")), (40, 4, 4));
    // Both frames after each of four blocks; the pixels' places are made once.
    assert_eq!((of("GridSample"), of("Expand"), of("If")), (8, 3, 0));
    assert_eq!((of("Pad"), count(&bytes, b"timestep") > 0), (2, true));
    let middle = write("rife", &small(Options::default())).unwrap();
    assert_eq!(count(&middle, b"timestep"), 0, "an input that nothing needs");
    let branches = write("4.0", &small(Options::default())).unwrap();
    assert_eq!(count(&branches, &operator("If")), 1);
}

#[test]
fn weights_in_half_precision_are_half_as_many_bytes() {
    let single = write("4.6", &small(Options::default())).unwrap().len();
    let options = OnnxOptions {
        dtype: Dtype::F16,
        ..small(Options::default())
    };
    let half = write("4.6", &options).unwrap().len();
    assert!(half < single * 52 / 100, "{half} of {single}");
}

#[test]
fn what_cannot_be_written_is_refused() {
    let refused = |version: &str, options: OnnxOptions| match write(version, &options) {
        Err(Problem::Network(error)) => *error,
        other => panic!("{version}: {:?}", other.map(|bytes| bytes.len())),
    };
    for size in [[15, 64], [64, 16_385]] {
        let options = OnnxOptions {
            size,
            ..small(Options::default())
        };
        assert!(matches!(refused("4.6", options), NetworkError::ImageSize { .. }));
    }
    let ensemble = small(Options {
        ensemble: true,
        ..Options::default()
    });
    assert!(matches!(
        refused("4.26", ensemble),
        NetworkError::NoEnsemble { .. }
    ));
    let tta = small(Options {
        tta: true,
        ..Options::default()
    });
    let error = refused("4.1", tta).to_string();
    assert!(error.contains("4.1") && error.contains("4.2 or later"), "{error}");
    let version: Version = "4.6".parse().unwrap();
    let other = deterministic::weights("4.5".parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.onnx");
    let error = save_onnx(
        &path,
        version,
        &other,
        &small(Options::default()),
        &BTreeMap::new(),
    );
    assert!(error.unwrap_err().to_string().contains("not RIFE 4.6"));
    assert!(!path.exists());
}
