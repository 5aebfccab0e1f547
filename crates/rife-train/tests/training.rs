//! Short training runs: the loss falls, and a resumed run is the uninterrupted one to the bit.

use std::path::Path;

use burn_tensor::Device;
use rife_nets::Version;
use rife_train::checkpoint::State;
use rife_train::data::npy::Writer;
use rife_train::data::{Corpus, Picture, Sources, corpus};
use rife_train::parameters::Parameters;
use rife_train::recipe::Recipe;
use rife_train::trainer::{CHECKPOINT, Run, Trainer, WEIGHTS};
use rife_train::{threads, weights_file};

/// The default recipe made small.
fn recipe(steps: u64, batch: u64) -> Recipe {
    let mut recipe = Recipe::parse(include_str!("../../../recipes/default.toml")).unwrap();
    recipe.data.size = 96;
    recipe.optimizer.stages = vec![[steps, 64, batch].into()];
    recipe.optimizer.warmup = 5;
    recipe.optimizer.learning_rate = 1e-3;
    recipe
}

/// A texture that glides by `[x, y]` pixels a frame.
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

/// A corpus of gliding textures.
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
        command: "a test".to_owned(),
    }
}

/// The loss of one batch, trained on again and again, falls to a quarter.
#[test]
fn training_lowers_the_loss() {
    threads::start(0).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(Some(corpus_in(folder.path(), corpus::TRAINING, 8)), None).unwrap();
    let recipe = recipe(40, 2);
    let samples = sources.batch(&recipe.sampling, 1, 0, [2, 64]).unwrap();
    let state = State::new(Parameters::random(Version::DEFAULT, 1));
    let mut trainer = Trainer::new(recipe, state, vec![Device::flex()]).unwrap();
    let losses: Vec<f32> = (0..40).map(|_| trainer.step(&samples).unwrap().loss).collect();
    println!("{losses:?}");
    let last = losses[35..].iter().sum::<f32>() / 5.0;
    assert!(last < 0.25 * losses[0], "{} came down to {last} only", losses[0]);
}

#[test]
fn a_resumed_run_gives_the_same_bits() {
    threads::start(0).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(Some(corpus_in(folder.path(), corpus::TRAINING, 4)), None).unwrap();
    let held_out = corpus_in(folder.path(), corpus::HELD_OUT, 1);
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    let recipe = recipe(6, 1);
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
    let start = || State::new(Parameters::random(Version::DEFAULT, 1));
    let (uninterrupted, lines) = train(&whole, start(), 6);
    assert!(lines.iter().any(|line| line.contains("PSNR")), "{lines:?}");

    train(&parts, start(), 3);
    let (stored, stored_recipe) = State::read(&parts.join(CHECKPOINT), &recipe).unwrap();
    assert_eq!((stored.step, &stored_recipe), (3, &recipe));
    let (resumed, _) = train(&parts, stored, 6);
    assert!(resumed == uninterrupted, "weights or moments differ");
    for (name, _) in WEIGHTS {
        let [a, b] = [&whole, &parts].map(|out| weights_file::read(&out.join(name)).unwrap());
        assert!(a == b, "{name} differs");
        assert!(
            Version::candidates(&a).contains(&Version::DEFAULT),
            "{name} is a network of rife-nets"
        );
    }
}

#[test]
fn damaged_and_foreign_checkpoints_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(CHECKPOINT);
    let recipe = recipe(6, 1);
    let state = State::new(Parameters::random(Version::DEFAULT, 1));
    state.write(&path, &recipe).unwrap();
    assert_eq!(State::read(&path, &recipe).unwrap().0, state);

    let mut other = recipe.clone();
    other.network.version = "4.25.lite".to_owned();
    assert!(State::read(&path, &other).is_err(), "another network");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(State::read(&path, &recipe).is_err(), "half a file");
    weights_file::write(
        &path,
        &state.average.to_weights(),
        [].into(),
        weights_file::Precision::F32,
    )
    .unwrap();
    let error = format!("{:?}", State::read(&path, &recipe).unwrap_err());
    assert!(
        error.contains("format"),
        "plain weights are no checkpoint: {error}"
    );
}
