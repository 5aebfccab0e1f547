//! Short training runs: the loss falls, a resumed run gives the same bits as an uninterrupted one, and a network that is not
//! in the registry is trained, converted and run.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use burn_tensor::Device;
use rife_cpu::{CpuBackend, EngineOptions};
use rife_nets::checkpoint::{self, Dtype, load};
use rife_nets::onnx::{OnnxOptions, save_onnx};
use rife_nets::{Image, Model, NetworkSpec, Options, SPEC_KEY, Version, Weights, deterministic};
use rife_testing::Need;
use rife_train::checkpoint::State;
use rife_train::data::npy::Writer;
use rife_train::data::{Corpus, Picture, Sources, corpus};
use rife_train::loss::Term;
use rife_train::parameters::Parameters;
use rife_train::recipe::{self, NetworkRecipe, Recipe, TeacherRecipe};
use rife_train::step::Devices;
use rife_train::trainer::{CHECKPOINT, Run, Trainer, WEIGHTS};
use rife_train::weights_file::Precision;
use rife_train::{threads, weights_file};

/// Returns the default recipe with these steps and batch size, crops of 64 and windows of 96 pixels.
fn small_recipe(steps: u64, batch: u64) -> Recipe {
    shortened(include_str!("../../../recipes/default.toml"), steps, batch)
}

/// As [`small_recipe`], for the fast network: a fifth of the arithmetic.
fn fast_recipe(steps: u64, batch: u64) -> Recipe {
    shortened(include_str!("../../../recipes/fast.toml"), steps, batch)
}

fn shortened(recipe: &str, steps: u64, batch: u64) -> Recipe {
    let mut recipe = Recipe::parse(recipe).unwrap();
    recipe.data.size = 96;
    recipe.optimizer.stages = vec![[steps, 64, batch].into()];
    recipe.optimizer.warmup = 5;
    recipe.optimizer.learning_rate = 1e-3;
    recipe
}

/// Makes a frame of a texture that moves by `[x, y]` pixels per frame.
fn frame(seed: f64, time: f64, [x, y]: [f64; 2]) -> Picture {
    Picture::from_fn([96, 96], |row, column| {
        let (x, y) = (column as f64 - x * time, row as f64 - y * time);
        let value = |c: f64| {
            let waves = (0.31 * x + 0.11 * y + seed).sin() + (0.23 * y - 0.17 * x + 2.0 * seed + c).sin();
            let spots = (0.05 * x * (1.0 + 0.1 * seed)).sin() * (0.07 * y + seed).cos();
            (128.0 + 40.0 * (waves + spots)) as u8
        };
        [value(0.0), value(0.7), value(1.4)]
    })
}

/// Writes and opens a corpus of `count` windows of moving textures.
fn corpus_in(folder: &Path, name: &str, count: usize) -> Corpus {
    let path = folder.join(name);
    let mut writer = Writer::create(&path, [count, 5, 96, 96, 3]).unwrap();
    for window in 0..count {
        let speed = [(window % 5) as f64 - 2.0, (window % 3) as f64 * 1.5 - 1.5];
        let frames = (0..5).map(|i| frame(window as f64, f64::from(i), speed));
        let pixels: Vec<u8> = frames.flat_map(|frame| frame.pixels().to_vec()).collect();
        writer.push(&pixels).unwrap();
    }
    writer.finish().unwrap();
    Corpus::open(&path).unwrap()
}

fn run_in(out: &Path, last_step: u64) -> Run {
    Run {
        out: out.to_owned(),
        last_step,
        report: 2,
        validate: 3,
        loaders: 2,
        about: [("command".to_owned(), "a test".to_owned())].into(),
    }
}

/// Trains on one batch of two samples for `steps` steps and returns the loss of each. The term that weighs most is the negative
/// PSNR in tenths of a dB, so the loss is negative, and falls by 1 where the result is 10 dB better.
fn losses_on_one_batch(recipe: Recipe, steps: usize) -> Vec<f32> {
    threads::start(0).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(Some(corpus_in(folder.path(), corpus::TRAINING, 8)), None).unwrap();
    let samples = sources.batch(&recipe.sampling, 1, 0, [2, 64]).unwrap();
    let state = State::new(Parameters::random(recipe.version().unwrap(), 1));
    let mut trainer = Trainer::new(recipe, state, vec![Device::flex()]).unwrap();
    let losses = (0..steps).map(|_| trainer.step(&samples).unwrap().loss).collect();
    println!("{losses:?}");
    losses
}

/// Training on one batch reduces its loss, from that of the prior.
#[test]
fn training_lowers_the_loss() {
    let losses = losses_on_one_batch(fast_recipe(16, 2), 16);
    assert!(losses[15] < losses[0] - 0.5, "{losses:?}");
}

#[test]
fn a_resumed_run_gives_the_same_bits() {
    threads::start(0).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(Some(corpus_in(folder.path(), corpus::TRAINING, 4)), None).unwrap();
    let held_out = Sources::from(corpus_in(folder.path(), corpus::HELD_OUT, 1));
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    let recipe = fast_recipe(6, 1);
    let version = recipe.version().unwrap();
    let train = |out: &Path, state: State, last_step: u64| {
        std::fs::create_dir_all(out).unwrap();
        let mut trainer = Trainer::new(recipe.clone(), state, vec![Device::flex()]).unwrap();
        let mut lines = Vec::new();
        trainer
            .run(&sources, Some(&held_out), &run_in(out, last_step), |line| {
                lines.push(line)
            })
            .unwrap();
        (trainer.state, lines)
    };
    let start = || State::new(Parameters::random(version, 1));
    let (uninterrupted, lines) = train(&whole, start(), 6);
    assert!(lines.iter().any(|line| line.contains("PSNR")), "{lines:?}");

    train(&parts, start(), 3);
    let (stored, stored_recipe) = State::read(&parts.join(CHECKPOINT), &recipe).unwrap();
    assert_eq!((stored.step, stored_recipe.as_ref()), (3, Some(&recipe)));
    let (resumed, _) = train(&parts, stored, 6);
    assert_eq!(resumed.scores, uninterrupted.scores, "scores");
    assert!(resumed == uninterrupted, "weights or moments differ");
    for (name, _) in WEIGHTS {
        let [a, b] = [&whole, &parts].map(|out| weights_file::read(&out.join(name)).unwrap());
        assert!(a == b, "{name} differs");
        assert!(
            Version::candidates(&a).contains(&version),
            "{name} is a network of rife-nets"
        );
    }
}

#[test]
fn damaged_and_foreign_checkpoints_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(CHECKPOINT);
    let recipe = small_recipe(6, 1);
    let state = State::new(Parameters::random(Version::DEFAULT, 1));
    state.write(&path, &recipe, [].into()).unwrap();
    assert_eq!(State::read(&path, &recipe).unwrap().0, state);

    let mut other = recipe.clone();
    other.network = NetworkRecipe::named("4.25.lite");
    assert!(State::read(&path, &other).is_err(), "another network");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(State::read(&path, &recipe).is_err(), "half a file");
    weights_file::write(&path, &state.average.to_weights(), [].into(), Precision::F32).unwrap();
    let error = format!("{:?}", State::read(&path, &recipe).unwrap_err());
    assert!(
        error.contains("format"),
        "plain weights are no checkpoint: {error}"
    );
}

/// Returns a small recipe for one of the paper's networks, with its teacher block.
fn paper_recipe(steps: u64, batch: u64) -> Recipe {
    let mut recipe = small_recipe(steps, batch);
    recipe.network = NetworkRecipe::named("rife_m");
    recipe.loss.stage_weight = 0.0;
    recipe.loss.flow_weight = 0.0;
    recipe.loss.teacher_block_weight = 1.0;
    recipe.loss.distillation_weight = 0.01;
    recipe.optimizer.learning_rate = 3e-4;
    recipe
}

/// Each of two devices computes half of the batch. The order in which the samples' gradients are added differs, so that
/// the sums differ by about 1e-6 of a tensor's norm; 1e-5 is accepted.
#[test]
fn two_devices_give_what_one_does() {
    threads::start(0).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(Some(corpus_in(folder.path(), corpus::TRAINING, 8)), None).unwrap();
    for mut recipe in [fast_recipe(4, 5), paper_recipe(4, 3)] {
        recipe.sampling.synthetic = 2.0;
        let batch = recipe.optimizer.phase(0).batch;
        let samples = sources.batch(&recipe.sampling, 1, 0, [batch, 64]).unwrap();
        let version = recipe.version().unwrap();
        let parameters = Parameters::random(version, 1);
        let weights = recipe.weights_at(0);
        let on = |count: usize| {
            let devices =
                Devices::new(vec![Device::flex(); count], None, recipe.optimizer.precision).unwrap();
            devices.evaluate(&parameters, &samples, &weights).unwrap()
        };
        let (one, two) = (on(1), on(2));
        let off = (one.total - two.total).abs() / one.total.abs();
        let mut worst = 0.0f64;
        for (a, b) in one.gradients.iter().zip(&two.gradients) {
            let square =
                |values: &mut dyn Iterator<Item = f32>| values.map(|x| f64::from(x).powi(2)).sum::<f64>();
            let difference = square(&mut a.iter().zip(b).map(|(a, b)| a - b));
            worst = worst.max((difference / square(&mut a.iter().copied()).max(1e-20)).sqrt());
        }
        println!("{version}: loss off by {off:.1e}, gradients by {worst:.1e}");
        assert!(off < 1e-5 && worst < 1e-5, "{version}: {off} {worst}");
        for (term, value) in one.terms.iter() {
            let other = two.terms[term];
            assert!(
                (value - other).abs() <= 1e-5 * value.abs(),
                "{}: {value} {other}",
                term.name()
            );
        }
    }
}

/// With 16-bit convolutions the gradients point in nearly the same direction as with f32.
#[test]
fn half_precision_gives_nearly_the_same_gradients() {
    threads::start(0).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(Some(corpus_in(folder.path(), corpus::TRAINING, 4)), None).unwrap();
    let recipe = fast_recipe(4, 2);
    let samples = sources.batch(&recipe.sampling, 1, 0, [2, 64]).unwrap();
    let parameters = Parameters::random(recipe.version().unwrap(), 1);
    let weights = recipe.weights_at(0);
    let found = [
        recipe::Precision::F32,
        recipe::Precision::F16,
        recipe::Precision::Bf16,
    ]
    .map(|precision| {
        let devices = Devices::new(vec![Device::flex()], None, precision).unwrap();
        devices.evaluate(&parameters, &samples, &weights).unwrap()
    });
    let flat = |i: usize| found[i].gradients.iter().flatten().map(|x| f64::from(*x));
    let product = |i: usize, j: usize| flat(i).zip(flat(j)).map(|(a, b)| a * b).sum::<f64>();
    for (i, least) in [(1, 0.9999), (2, 0.99)] {
        let cosine = product(0, i) / (product(0, 0) * product(i, i)).sqrt();
        let off = (found[i].total / found[0].total - 1.0).abs();
        println!("cosine {cosine}, loss off by {off}");
        assert!(cosine > least && cosine < 1.0 - 1e-12, "{cosine}");
        assert!(off < 1e-2, "{off}");
    }
}

/// With a teacher block and a larger teacher network, resuming is exact, and exported weights lack the teacher block.
#[test]
fn a_resumed_run_with_teachers_gives_the_same_bits() {
    threads::start(0).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(Some(corpus_in(folder.path(), corpus::TRAINING, 4)), None).unwrap();
    let larger: Version = "4.6".parse().unwrap();
    let weights = folder.path().join("larger.safetensors");
    weights_file::write(
        &weights,
        &deterministic::weights(larger),
        [].into(),
        Precision::F32,
    )
    .unwrap();
    let mut recipe = paper_recipe(2, 2);
    recipe.teacher = Some(TeacherRecipe {
        version: larger.name().to_owned(),
        weights,
        frame_weight: 0.5,
        flow_weight: 0.01,
    });
    let train = |name: &str, state: State, last_step: u64| {
        let out = folder.path().join(name);
        std::fs::create_dir_all(&out).unwrap();
        let mut trainer = Trainer::new(recipe.clone(), state, vec![Device::flex(); 2]).unwrap();
        let mut lines = Vec::new();
        trainer
            .run(&sources, None, &run_in(&out, last_step), |line| lines.push(line))
            .unwrap();
        (trainer.state, lines.join("\n"))
    };
    let version = recipe.version().unwrap();
    let start = || State::new(Parameters::random(version, 1));
    let (uninterrupted, lines) = train("whole", start(), 2);
    for term in [
        Term::TeacherBlock,
        Term::Distillation,
        Term::LargerFrame,
        Term::LargerFlow,
    ] {
        assert!(lines.contains(term.name()), "{} in {lines}", term.name());
    }
    train("parts", start(), 1);
    let parts = folder.path().join("parts");
    let (stored, stored_recipe) = State::read(&parts.join(CHECKPOINT), &recipe).unwrap();
    assert_eq!((stored.step, stored_recipe.as_ref()), (1, Some(&recipe)));
    let (resumed, _) = train("parts", stored, 2);
    assert!(resumed == uninterrupted, "weights or moments differ");
    let block = |parameters: &Parameters| {
        let tensors = parameters.tensors.iter();
        tensors
            .filter(|tensor| tensor.key.starts_with("block_tea."))
            .cloned()
            .collect::<Vec<_>>()
    };
    let (first, last) = (block(&start().parameters), block(&resumed.parameters));
    assert!(!first.is_empty() && first != last, "the teacher block is trained");
    let shipped = weights_file::read(&parts.join(WEIGHTS[0].0)).unwrap();
    assert!(shipped.keys().all(|key| !key.starts_with("block_tea.")));
    version.check(&shipped, false).unwrap();
}

/// Training the paper's network on one batch reduces its loss, with its teacher block.
#[test]
fn the_papers_network_lowers_its_loss() {
    let losses = losses_on_one_batch(paper_recipe(12, 2), 12);
    assert!(losses[11] < losses[0] - 1.0, "{losses:?}");
}

#[test]
fn middle_frames_are_all_that_ifnet_trains_on() {
    threads::start(0).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(Some(corpus_in(folder.path(), corpus::TRAINING, 4)), None).unwrap();
    let mut recipe = paper_recipe(4, 2);
    recipe.network = NetworkRecipe::named("rife");
    let mut samples = sources.batch(&recipe.sampling, 1, 0, [2, 64]).unwrap();
    let state = State::new(Parameters::random(recipe.version().unwrap(), 1));
    let mut trainer = Trainer::new(recipe, state, vec![Device::flex()]).unwrap();
    samples.times = vec![0.5, 0.25];
    let error = format!("{:#}", trainer.step(&samples).unwrap_err());
    assert!(error.contains("0.25"), "{error}");
}

/// The `[network]` table of a network that is not in the registry.
const OWN_NETWORK: &str = r#"
trunk = { res_conv = { groups = 2 } }
head = { pixel_shuffle = { unused = 0 } }
encoder = { layers = 4, keys = "named", inner = 12, features = 3 }
blocks = [{ channels = 36, scale = 8 }, { channels = 28, scale = 4 }, { channels = 20, scale = 1 }]
features = 6
mask = "replace"
flow = "linear"

[network.prior.dis]
min_coarsest_area = 256
gauss_newton_steps = 2
propagation_rounds = 4
finest_propagation_rounds = 1
damping = 2e-4
min_residual = 0.01
max_step = 1.5

[network.synthesis]
residual = true
blend_prior = { obmc_distance = 2 }
cubic_residual = 1.1
keep_static = 2.0
"#;

/// Interpolates the middle frame with the CPU engine.
fn middle(version: Version, weights: &Weights, images: &[Image; 2]) -> Image {
    let engine = CpuBackend::new(EngineOptions::default()).unwrap();
    let model = Model::from_weights(engine, weights, Some(version)).unwrap();
    let options = Options::default();
    let frames = images
        .each_ref()
        .map(|image| model.prepare_frame(image, &options).unwrap());
    model.interpolate(&frames[0], &frames[1], 0.5, &options).unwrap()
}

/// Runs the exported ONNX model by ONNX Runtime in Python (`RIFE_PYTHON`, else `python3`); `None` if that is not installed.
fn run_onnx(folder: &Path, images: &[Image; 2]) -> Option<Vec<f32>> {
    let program = std::env::var_os("RIFE_PYTHON").unwrap_or_else(|| "python3".into());
    let has = Command::new(&program)
        .args(["-c", "import numpy, onnx, onnxruntime"])
        .stderr(Stdio::null())
        .status();
    let has = has.is_ok_and(|status| status.success());
    let reason = format!("{} has no numpy, onnx and onnxruntime", program.display());
    if !Need::Python.is_met(has, reason) {
        return None;
    }
    let bytes = |values: &[f32]| values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    let case = folder.join("own");
    for (name, values) in [
        ("img0", images[0].data()),
        ("img1", images[1].data()),
        ("timestep", &[0.5]),
    ] {
        std::fs::write(case.join(format!("{name}.f32")), bytes(values)).unwrap();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../rife-nets/tests/onnx/run.py");
    let ran = Command::new(&program).arg(script).arg(folder).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let bytes = std::fs::read(case.join("merged.f32")).unwrap();
    let values = bytes
        .chunks_exact(4)
        .map(|value| f32::from_le_bytes(value.try_into().unwrap()));
    Some(values.collect())
}

#[test]
fn a_network_that_no_table_has_is_trained_converted_and_run() {
    threads::start(0).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(Some(corpus_in(folder.path(), corpus::TRAINING, 4)), None).unwrap();
    let recipe = include_str!("../../../recipes/default.toml");
    let (before, rest) = recipe.split_once("[network]").unwrap();
    let (_, after) = rest.split_once("[data]").unwrap();
    let mut recipe = Recipe::parse(&format!("{before}[network]{OWN_NETWORK}[data]{after}")).unwrap();
    let small = small_recipe(6, 2);
    (recipe.data, recipe.optimizer) = (small.data, small.optimizer);
    let version = recipe.version().unwrap();
    assert!(!version.is_named());
    let state = State::new(Parameters::random(version, 1));
    let untrained = state.average.to_weights();
    let out = folder.path().join("run");
    std::fs::create_dir(&out).unwrap();
    let mut trainer = Trainer::new(recipe.clone(), state, vec![Device::flex()]).unwrap();
    trainer.run(&sources, None, &run_in(&out, 6), |_| {}).unwrap();
    assert!(
        State::read(&out.join(CHECKPOINT), &recipe).unwrap().0 == trainer.state,
        "resumes"
    );

    // What is written says what it is: nothing but the file is needed.
    let trained = load(&out.join(WEIGHTS[0].0)).unwrap();
    let found = Version::of_checkpoint(&trained).unwrap();
    assert_eq!((found, found.spec()), (version, version.spec()));
    assert_ne!(trained.weights, untrained);
    let images = [0.0, 1.0].map(|time| {
        let pixels = frame(3.0, time, [2.0, 1.0]);
        let plane = |c: usize| {
            pixels
                .pixels()
                .iter()
                .skip(c)
                .step_by(3)
                .map(|x| f32::from(*x) / 255.0)
        };
        Image::new(96, 96, (0..3).flat_map(plane).collect()).unwrap()
    });
    let expected = middle(found, &trained.weights, &images);

    // To f16 and back to the same network.
    let mut metadata = BTreeMap::new();
    found.describe_in(&mut metadata);
    let path = folder.path().join("own.safetensors");
    checkpoint::save_safetensors(&path, &trained.weights, Dtype::F16, &metadata).unwrap();
    let converted = load(&path).unwrap();
    assert_eq!(
        NetworkSpec::from_json(&converted.metadata[SPEC_KEY]).unwrap(),
        *version.spec().unwrap()
    );
    let made = middle(
        Version::of_checkpoint(&converted).unwrap(),
        &converted.weights,
        &images,
    );
    let off = |values: &[f32]| {
        let mut off: Vec<_> = values
            .iter()
            .zip(expected.data())
            .map(|(a, b)| (a - b).abs())
            .collect();
        off.sort_by(f32::total_cmp);
        // A search for motion takes the better of two places: where they are as good, rounding decides which.
        off[off.len() * 9 / 10]
    };
    assert!(off(made.data()) < 2e-3, "f16 is off by {}", off(made.data()));

    // To ONNX, which another engine runs.
    let models = folder.path().join("models");
    std::fs::create_dir_all(models.join("own")).unwrap();
    let options = OnnxOptions {
        size: [96, 96],
        network: Options::default(),
        with_flow: false,
        dtype: Dtype::F32,
    };
    let model = models.join("own/model.onnx");
    save_onnx(&model, found, &trained.weights, &options, &metadata).unwrap();
    if let Some(made) = run_onnx(&models, &images) {
        assert_eq!(made.len(), expected.data().len());
        assert!(off(&made) < 1e-4, "ONNX Runtime is off by {}", off(&made));
    }
}
