//! Commands, one module each: conversion of arguments to a job of the library, and of its results to text or JSON.

mod batch;
pub(crate) mod benchmark;
pub(crate) mod chain;
pub(crate) mod convert;
pub(crate) mod devices;
pub(crate) mod image;
pub(crate) mod info;
mod job;
pub(crate) mod join;
pub(crate) mod live;
pub(crate) mod models;
pub(crate) mod reencode;
pub(crate) mod report;
pub(crate) mod sample;
pub(crate) mod serve;
pub(crate) mod tools;
pub(crate) mod verify;
pub(crate) mod video;

use std::path::Path;

use rife::media::CancelToken;
use rife::{Device, Interpolator};

use crate::args::{ModelArgs, VideoArgs};
use crate::output;

/// Runs one job, or a batch for several inputs and watched folders.
pub(crate) fn video(args: VideoArgs, cancel: &CancelToken) -> rife::Result<()> {
    for (given, text) in [
        (
            args.task.model.0.fp16 && args.task.model.0.device == Device::Cpu,
            "--fp16 is ignored: the CPU computes in f32",
        ),
        (args.skip, "--skip does nothing, as in the original"),
    ] {
        if given {
            output::say(text);
        }
    }
    match batch::inputs(&args)? {
        Some(inputs) => batch::run(args, inputs, cancel),
        None => video::run(args, cancel),
    }
}

/// Loads the model that the arguments select.
fn interpolator(args: &ModelArgs, cancel: &CancelToken) -> rife::Result<Interpolator> {
    if args.0.fp16 && args.0.device == Device::Cpu {
        output::say("--fp16 is ignored: the CPU computes in f32");
    }
    let mut spec = args.0.spec();
    spec.cancel = cancel.clone();
    Interpolator::new(&spec)
}

/// Formats a path for people: a single line without control characters.
fn shown(path: &Path) -> String {
    rife_files::shown(path)
}
