//! The options of `rife image`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use rife::options::ImageOptions;

use super::{KeepArgs, ModelArgs, PresetArgs, Table};

/// Examples at the end of the help.
const EXAMPLES: &str = "\
Examples:
  rife image a.png b.png --timestep 0.5 -o between.png     the image in the middle
  rife image a.png b.png --exp 3 -o steps                  steps/img0.png (a) to steps/img8.png (b)
  rife image a.png b.png --ratio 0.3                       output/img0.png, img1.png, img2.png
  rife image a.png b.png a.png --passes 3 -o morph.mp4     from image to image, 25 frames per second
  rife image a.png b.png --passes 2 -o m.gif --fps 10      also .webp, .webm, .mkv, .mov...";

/// The options of `rife image`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[command(group(ArgGroup::new("pair").required(true)))]
pub(crate) struct ImageArgs {
    /// Two images or more: PNG, JPEG, WebP, TIFF, EXR, BMP or PPM
    #[arg(value_names = ["A", "B"], num_args = 2.., group = "pair")]
    pub(crate) pictures: Vec<PathBuf>,
    /// The two images, as in the original script
    #[arg(long, value_names = ["A", "B"], num_args = 2, group = "pair", hide = true)]
    pub(crate) img: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) options: Table<ImageOptions>,
    /// The output: an image file for one image; a clip (.mp4, .gif, .webp...); else a folder, which gets all images in order
    /// as img0 (A), img1... [default: output]
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,
    /// Replace existing files
    #[arg(short = 'y', long)]
    pub(crate) overwrite: bool,
    #[command(flatten)]
    preset: PresetArgs,
    #[command(flatten)]
    pub(crate) keep: KeepArgs,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
}
