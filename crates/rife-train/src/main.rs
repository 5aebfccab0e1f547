//! Command line of `rife-train`: parses arguments, opens data, starts or resumes a run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use burn_tensor::Device;
use clap::{Parser, ValueEnum};
use rife_train::checkpoint::State;
use rife_train::data::{Corpus, Folders, Sources, clips, corpus};
use rife_train::parameters::Parameters;
use rife_train::recipe::Recipe;
use rife_train::trainer::{CHECKPOINT, Run, Trainer, prepare_folder};
use rife_train::watch::{About, REPORT, RunWatch};
use rife_train::{provenance, threads, weights_file};

/// Trains a RIFE network by a recipe file.
///
/// Writes into the run's folder: checkpoint.safetensors, from which --resume continues with the same bits; the averaged
/// weights as weights.safetensors (f32) and weights.f16.safetensors, which `rife --model` reads; the weights of the
/// highest score so far with the prefix best.; and report.html with charts and images.
#[derive(Debug, Parser)]
#[command(
    name = "rife-train",
    version,
    after_help = "\
Examples:
  rife-train --clips clips --out runs/first
  rife-train --corpus runs/first/corpus --out runs/first --resume
  rife-train --frames vimeo_triplet x4k/train --recipe my.toml --out runs/vimeo"
)]
struct Arguments {
    /// Folders of video clips. Windows of frames are cut out of them once, into --corpus
    #[arg(long, value_name = "DIR", num_args = 1..)]
    clips: Vec<PathBuf>,
    /// Folder of windows.npy and held_out.npy, as this program or tools/prepare_corpus.py writes them [default:
    /// OUT/corpus, with --clips]
    #[arg(long, value_name = "DIR")]
    corpus: Option<PathBuf>,
    /// Folders of folders of consecutive frames: Vimeo90K triplets or septuplets with their lists, frames of X4K1000FPS
    /// or Adobe240. The last twentieth is used for validation
    #[arg(long, value_name = "DIR", num_args = 1.., visible_alias = "triplets")]
    frames: Vec<PathBuf>,
    /// Recipe in TOML: network, data, losses, optimizer
    #[arg(long, value_name = "FILE", default_value = "recipes/default.toml")]
    recipe: PathBuf,
    /// The run's folder
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Resume from the run's checkpoint
    #[arg(long)]
    resume: bool,
    /// Start from these weights (.safetensors, PyTorch's keys) instead of random ones
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    start: Option<PathBuf>,
    /// Stop after this step of the recipe's schedule
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Number of worker threads; 0: one per core
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Number of threads that read and draw samples; it does not change the samples
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    loaders: u16,
    /// Number of steps between readings of loss, learning rate and wait for data
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    report: u64,
    /// Number of steps between validations; each writes the checkpoint, the weights and the report
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    validate: u64,
    /// Burn backend that computes
    #[arg(long, value_enum, default_value_t = BackEnd::Flex)]
    back_end: BackEnd,
    /// Number of devices among which each batch is split. On the CPU these are threads of one device
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    devices: u16,
}

/// Burn backends in this build.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum BackEnd {
    /// The CPU.
    Flex,
    /// A GPU, through Vulkan.
    #[cfg(feature = "vulkan")]
    Vulkan,
}

impl BackEnd {
    /// Returns `count` devices of this backend; on the CPU all are the same.
    fn devices(self, count: u16) -> Vec<Device> {
        (0..count).map(|index| self.device(index, count)).collect()
    }

    /// Returns device number `index` of `count`.
    #[cfg_attr(
        not(feature = "vulkan"),
        expect(unused_variables, reason = "the CPU is one device")
    )]
    fn device(self, index: u16, count: u16) -> Device {
        match self {
            Self::Flex => Device::flex(),
            #[cfg(feature = "vulkan")]
            Self::Vulkan if count == 1 => Device::vulkan(burn_tensor::DeviceKind::DefaultDevice),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => Device::vulkan(burn_tensor::DeviceKind::DiscreteGpu(index.into())),
        }
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    threads::start(arguments.threads)?;
    let recipe = Recipe::read(&arguments.recipe)?;
    prepare_folder(&arguments.out)?;
    let state = first_state(&arguments, &recipe)?;
    let data = open(&arguments, &recipe)?;
    let last_step = arguments
        .steps
        .unwrap_or(recipe.optimizer.steps())
        .min(recipe.optimizer.steps());
    println!(
        "{} ({} values), {} windows and folders, {} held out, steps {} to {last_step}",
        recipe.version()?,
        state.parameters.count(),
        data.training.len(),
        data.held_out.as_ref().map_or(0, Sources::len),
        state.step,
    );
    let about = provenance::about(&data.training)?;
    let watch = RunWatch::new(&arguments.out, state.step, last_step, page_head(&recipe, &about)?)?;
    println!("the report: {}", arguments.out.join(REPORT).display());
    let run = Run {
        out: arguments.out,
        last_step,
        report: arguments.report,
        validate: arguments.validate,
        loaders: arguments.loaders.into(),
        about,
    };
    let mut trainer = Trainer::new(recipe, state, arguments.back_end.devices(arguments.devices))?;
    trainer.run(&data.training, data.held_out.as_ref(), &run, watch)
}

/// Makes the title and provenance of the report.
fn page_head(recipe: &Recipe, about: &BTreeMap<String, String>) -> Result<About> {
    let mut facts: Vec<_> = about.clone().into_iter().collect();
    facts.push(("recipe".to_owned(), serde_json::to_string(recipe)?));
    Ok(About {
        title: format!("Training of {}", recipe.version()?),
        facts,
    })
}

/// Returns the state to start from: the run's checkpoint (--resume), given weights (--start) or random weights.
fn first_state(arguments: &Arguments, recipe: &Recipe) -> Result<State> {
    let checkpoint = arguments.out.join(CHECKPOINT);
    if arguments.resume {
        let (state, before) = State::read(&checkpoint, recipe)?;
        if before.as_ref() != Some(recipe) {
            eprintln!(
                "warning: the recipe differs from the one that {} was made with",
                checkpoint.display()
            );
        }
        return Ok(state);
    }
    if checkpoint.exists() {
        bail!(
            "{} exists: --resume goes on from it, another --out starts anew",
            checkpoint.display()
        );
    }
    let version = recipe.version()?;
    let parameters = match &arguments.start {
        None => Parameters::random(version, recipe.data.seed),
        Some(path) => Parameters::from_weights(version, &weights_file::read(path)?)
            .with_context(|| format!("in the weights {}", path.display()))?,
    };
    Ok(State::new(parameters))
}

/// The data of a run: training samples and, if any is held out, validation samples.
struct Data {
    training: Sources,
    held_out: Option<Sources>,
}

/// Opens all data, printing what is left out of it.
fn open(arguments: &Arguments, recipe: &Recipe) -> Result<Data> {
    let folder = corpus_folder(arguments, recipe)?;
    ensure!(
        folder.is_some() || !arguments.frames.is_empty(),
        "nothing to train on: give --clips (video files), --corpus (windows cut before) or --frames (Vimeo90K, \
         X4K1000FPS, Adobe240 or any folder of folders of pictures)"
    );
    let crop = recipe
        .optimizer
        .stages
        .iter()
        .map(|phase| phase.crop)
        .max()
        .unwrap_or(0);
    let (mut training, mut held_out) = (Vec::new(), Vec::new());
    for root in &arguments.frames {
        let found = Folders::find(root, crop)?;
        let (kept, judged) = (found.training.len(), found.held_out.len());
        println!(
            "{}: {kept} folders of frames, {judged} more held out",
            root.display()
        );
        for line in found.left_out {
            println!("{}: left out: {line}", root.display());
        }
        training.push(found.training);
        held_out.push(found.held_out);
    }
    let corpus = |name: &str| folder.as_ref().map(|folder| folder.join(name));
    let windows = corpus(corpus::TRAINING)
        .map(|path| open_corpus(&path, crop))
        .transpose()?;
    let judged = corpus(corpus::HELD_OUT).filter(|path| path.exists());
    let judged = judged.map(|path| Corpus::open(&path)).transpose()?;
    let training = Sources::new(windows, training)?;
    let is_any =
        judged.as_ref().is_some_and(|judged| !judged.is_empty()) || held_out.iter().any(|f| !f.is_empty());
    let held_out = is_any.then(|| Sources::new(judged, held_out)).transpose()?;
    if held_out.is_none() {
        println!("nothing is held out: there will be no PSNR, no best weights and no pictures");
    }
    Ok(Data { training, held_out })
}

/// Opens a file of windows and checks that frames are at least as large as the recipe's largest crop.
fn open_corpus(path: &Path, crop: usize) -> Result<Corpus> {
    let corpus = Corpus::open(path)?;
    let [height, width] = corpus.frame_size();
    ensure!(
        height >= crop && width >= crop,
        "{} holds frames of {width}x{height}, smaller than the recipe's largest crop, {crop}",
        path.display()
    );
    Ok(corpus)
}

/// Returns the folder of the window files, after cutting them out of --clips if it has none yet; `None` without --clips and
/// --corpus.
fn corpus_folder(arguments: &Arguments, recipe: &Recipe) -> Result<Option<PathBuf>> {
    if arguments.clips.is_empty() {
        return Ok(arguments.corpus.clone());
    }
    let folder = arguments
        .corpus
        .clone()
        .unwrap_or_else(|| arguments.out.join("corpus"));
    if folder.join(corpus::TRAINING).exists() {
        println!("the windows that were cut before are used: {}", folder.display());
        return Ok(Some(folder));
    }
    println!("cutting windows out of the clips");
    let mut missing: BTreeSet<&String> = recipe.data.held_out.iter().collect();
    clips::prepare(&arguments.clips, &folder, &recipe.data, |cut| {
        println!("{cut}");
        let stem = cut.clip.file_stem().unwrap_or_default().to_string_lossy();
        missing.retain(|name| **name != stem);
    })?;
    for name in missing {
        println!("data.held_out names {name}, but there is no such clip");
    }
    Ok(Some(folder))
}
