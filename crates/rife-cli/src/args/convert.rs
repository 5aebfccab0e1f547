//! The options of `rife convert`.

use std::path::PathBuf;

use clap::Args;
use rife::nets::{Scale, Version};

use crate::parse;

/// Formats and examples at the end of the help.
const EXAMPLES: &str = "\
Format by the end of OUT's name:
  .safetensors  for rife and other programs; f32, or f16 with --f16
  .pkl, .pth    a state_dict for PyTorch: torch.load(OUT, weights_only=True); f32
  a folder/     flownet.pkl inside, where RIFE's own code looks (2.x networks: three files)
  .onnx         a model for ONNX Runtime and others (opset 16), for frames of one --size, any size:
                img0, img1 [1,3,H,W] in 0..1 and timestep [1,1,1,1] to merged [1,3,H,W]

Examples:
  rife convert flownet.pkl flownet.safetensors --f16
  rife convert default default.pkl
  rife convert default train_log/
  rife convert default default.onnx --size 1280x720";

/// The options of `rife convert`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ConvertArgs {
    /// The network: `default`, `fast`, a weights file or folder, or the name of a pulled model
    #[arg(value_name = "default|PATH|NAME")]
    pub(crate) input: String,
    /// The output: a name that ends in .safetensors, .pkl, .pth, .onnx or /
    #[arg(value_name = "OUT")]
    pub(crate) output: PathBuf,
    /// The network's version, where the file's tensors fit several (see `rife models list`)
    #[arg(long, value_name = "VERSION")]
    pub(crate) model_version: Option<Version>,
    /// Store half precision (f16), half the size (.safetensors, .onnx)
    #[arg(long)]
    pub(crate) f16: bool,
    /// Leave out the prefix `module.` of keys, which the published files have (.pkl, .pth, folders)
    #[arg(long)]
    pub(crate) plain_keys: bool,
    /// Replace existing files
    #[arg(short = 'y', long)]
    pub(crate) overwrite: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) onnx: OnnxArgs,
}

/// The options of ONNX models.
#[derive(Debug, Args)]
#[command(next_help_heading = "ONNX")]
pub(crate) struct OnnxArgs {
    /// The size of the frames; the model pads them to the network's multiple
    #[arg(long, value_name = "WxH", value_parser = parse::size)]
    pub(crate) size: Option<[u32; 2]>,
    /// Resolution at which motion is estimated, as a factor: 0.25, 0.5 (for 4K), 1, 2 or 4 [default: 1]
    #[arg(long, value_name = "F")]
    pub(crate) scale: Option<Scale>,
    /// Add the outputs flow [1,4,H,W] (pixels, to the first frame and to the second) and mask [1,1,H,W]
    #[arg(long)]
    pub(crate) with_flow: bool,
    /// Average both directions in every block, in network versions with an ensemble; about twice the time
    #[arg(long)]
    pub(crate) ensemble: bool,
    /// Test-time augmentation: average with the result of both frames rotated by 180 degrees; twice the time
    #[arg(long)]
    pub(crate) tta: bool,
}

impl OnnxArgs {
    /// Returns the name of the first of these options that was given.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let given = [
            ("--size", self.size.is_some()),
            ("--scale", self.scale.is_some()),
            ("--with-flow", self.with_flow),
            ("--ensemble", self.ensemble),
            ("--tta", self.tta),
        ];
        given.iter().find(|(_, given)| *given).map(|(name, _)| *name)
    }
}
