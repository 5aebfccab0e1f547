//! The `rife-train` binary: arguments to a training run.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use burn_tensor::Device;
use clap::{Parser, ValueEnum};
use rife_train::checkpoint::State;
use rife_train::data::{Corpus, Sources, Triplets, clips, corpus};
use rife_train::parameters::Parameters;
use rife_train::recipe::Recipe;
use rife_train::trainer::{CHECKPOINT, Run, Trainer, prepare_folder};
use rife_train::{threads, weights_file};

/// Trains a RIFE network by a recipe file.
///
/// Writes into the run's folder: checkpoint.safetensors, from which --resume goes on with the same bits, and the
/// averaged weights as weights.safetensors (f32) and weights.f16.safetensors, which `rife --model` takes.
#[derive(Debug, Parser)]
#[command(
    name = "rife-train",
    version,
    after_help = "\
Examples:
  rife-train --clips clips --out runs/first
  rife-train --corpus runs/first/corpus --out runs/first --resume
  rife-train --triplets vimeo_triplet --recipe my.toml --out runs/vimeo"
)]
struct Arguments {
    /// Folder of video clips. Windows of frames are cut out of them once, into --corpus
    #[arg(long, value_name = "DIR")]
    clips: Option<PathBuf>,
    /// Folder of windows.npy and held_out.npy, as this program or tools/prepare_corpus.py writes them [default:
    /// OUT/corpus, with --clips]
    #[arg(long, value_name = "DIR")]
    corpus: Option<PathBuf>,
    /// Folder of folders of three pictures (Vimeo90K triplets and the like), the true middle one second by name
    #[arg(long, value_name = "DIR")]
    triplets: Option<PathBuf>,
    /// What is trained, on what and how
    #[arg(long, value_name = "FILE", default_value = "recipes/default.toml")]
    recipe: PathBuf,
    /// The run's folder
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Go on from the run's checkpoint
    #[arg(long)]
    resume: bool,
    /// Start from these weights (.safetensors, PyTorch's keys) instead of random ones
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    start: Option<PathBuf>,
    /// Stop after this step of the recipe's schedule
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Worker threads; 0 is one a core
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Steps between lines of the log
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    report: u64,
    /// Steps between validations; each writes the checkpoint and the weights
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    validate: u64,
    /// What computes
    #[arg(long, value_enum, default_value_t = BackEnd::Flex)]
    back_end: BackEnd,
    /// Devices that share each batch, each with a part of it. On the CPU these are threads of one device
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    devices: u16,
}

/// Burn's back ends in this build.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum BackEnd {
    /// The CPU.
    Flex,
    /// A GPU, through Vulkan.
    #[cfg(feature = "vulkan")]
    Vulkan,
}

impl BackEnd {
    fn devices(self, count: u16) -> Vec<Device> {
        (0..count).map(|index| self.device(index, count)).collect()
    }

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
    let folder = corpus_folder(&arguments, &recipe)?;
    let (sources, held_out) = open(&arguments, folder.as_ref())?;
    let last_step = arguments
        .steps
        .unwrap_or(recipe.optimizer.steps())
        .min(recipe.optimizer.steps());
    println!(
        "{} ({} values), {} windows and triplets, {} held out, steps {} to {last_step}",
        recipe.network.version,
        state.parameters.count(),
        sources.len(),
        held_out.as_ref().map_or(0, Corpus::len),
        state.step,
    );
    let run = Run {
        out: arguments.out,
        last_step,
        report: arguments.report,
        validate: arguments.validate,
        command: std::env::args().collect::<Vec<_>>().join(" "),
    };
    let mut trainer = Trainer::new(recipe, state, arguments.back_end.devices(arguments.devices))?;
    trainer.run(&sources, held_out.as_ref(), &run, |line| println!("{line}"))
}

/// The checkpoint, given weights or random ones.
fn first_state(arguments: &Arguments, recipe: &Recipe) -> Result<State> {
    let checkpoint = arguments.out.join(CHECKPOINT);
    if arguments.resume {
        let (state, before) = State::read(&checkpoint, recipe)?;
        if before != *recipe {
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

/// Where the windows are, cut out of the clips where they are not yet.
fn corpus_folder(arguments: &Arguments, recipe: &Recipe) -> Result<Option<PathBuf>> {
    let Some(clips) = &arguments.clips else {
        return Ok(arguments.corpus.clone());
    };
    let folder = arguments
        .corpus
        .clone()
        .unwrap_or_else(|| arguments.out.join("corpus"));
    if !folder.join(corpus::TRAINING).exists() {
        println!("cutting windows out of the clips in {}", clips.display());
        clips::prepare(clips, &folder, &recipe.data, |cut| {
            let purpose = if cut.held_out { " (held out)" } else { "" };
            println!("{}: {} windows{purpose}", cut.clip.display(), cut.windows);
        })?;
    }
    Ok(Some(folder))
}

fn open(arguments: &Arguments, folder: Option<&PathBuf>) -> Result<(Sources, Option<Corpus>)> {
    ensure!(
        folder.is_some() || arguments.triplets.is_some(),
        "nothing to train on: give --clips, --corpus or --triplets"
    );
    let training = folder
        .map(|folder| Corpus::open(&folder.join(corpus::TRAINING)))
        .transpose()?;
    let held_out = folder
        .map(|folder| folder.join(corpus::HELD_OUT))
        .filter(|path| path.exists());
    let held_out = held_out.map(|path| Corpus::open(&path)).transpose()?;
    let triplets = arguments
        .triplets
        .as_ref()
        .map(|path| Triplets::find(path))
        .transpose()?;
    Ok((Sources::new(training, triplets)?, held_out))
}
