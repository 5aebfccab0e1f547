//! The tables: the options of the model, of each kind of job, and what they do to a job.

use std::path::{Path, PathBuf};

use num_rational::Ratio;
use rife_media::scene::{CutList, CutRule};
use rife_media::{Codec, Fit};
use rife_nets::{Scale, Version};

use super::choice::{ChoiceName, Duplicate, FallbackFill, NamedChoice, StaticMask};
use super::kind::{FromValue, Kind, Refusal, Value};
use super::{Opt, OptionSet, initial, options};
use crate::chain::{AudioMode, ChainJob, MAX_PASSES};
use crate::image::{ImageJob, MAX_EXP, Storage, Timesteps};
use crate::reencode::{Profile, ReencodeJob};
use crate::video::{CutFill, Fallback, Motion, Rate, VideoJob};
use crate::{Device, Error, InterpolatorSpec, ModelChoice, Precision, Result, TimestepMethod};

/// The largest quality (CRF) that an encoder takes.
const MAX_CRF: Kind = Kind::Whole(0, 63);

/// Extensions of results in HTTP, the last two for pictures only.
const EXTENSIONS: &[ChoiceName] = &[
    ext("mp4"),
    ext("mov"),
    ext("mkv"),
    ext("webm"),
    ext("gif"),
    ext("webp"),
    ext("png"),
];
/// Those of videos.
const VIDEO: Kind = Kind::Choice(EXTENSIONS.split_at(5).0);

const fn ext(name: &'static str) -> ChoiceName {
    ChoiceName { name, help: "" }
}

options! {
    /// What to interpolate with.
    "Model"
    pub struct ModelOptions {
        /// The network: `default`, a weights file or folder (.safetensors, .pkl, ncnn), or the name of a pulled model
        pub model: String => Opt::new(Kind::Text).metavar("default|PATH|NAME").default("default")
            .http().http_help("The network: `default` or the name of a model that was pulled (see Models)").page(),
        /// The network's version, where the file's tensors fit several (see `rife models list`)
        pub model_version: Option<Version> => Opt::new(Kind::Text).metavar("VERSION"),
        /// Weights made by a rule, to measure time: what such a network shows is noise
        pub random_weights: bool => Opt::flag().conflicts(&["model"]),
        /// At which size motion is estimated: 0.25, 0.5 (for 4K), 1, 2 or 4 (for small pictures)
        pub scale: Scale => Opt::new(Kind::Scale).metavar("F").default("1").http().page(),
        /// For pictures of 4K and more: `scale` 0.5, unless a scale is given
        pub uhd: bool => Opt::flag(),
        /// Threads to compute with [default: all processors]
        pub threads: Option<u32> => Opt::new(Kind::Whole(1, 1024)).metavar("N").not_in_fingerprint(),
        /// What computes: cpu
        pub device: Device => Opt::new(Kind::Text).metavar("DEVICE").default("cpu"),
        /// What wide convolutions multiply: int8 is up to a fifth faster and hardly less exact, and needs a processor with
        /// AVX-512 VNNI; auto is int8 where that is there, f32 elsewhere
        pub precision: Precision => Opt::choice::<Precision>("WHAT").default("f32")
            .http().http_help("What wide convolutions multiply: one of the precisions that Models lists").page(),
        /// Test-time augmentation: also for the pictures turned by 180 degrees; twice the time
        pub tta: bool => Opt::flag().http().page(),
        /// Look both ways in every block, in the versions that know it; about twice the time
        pub ensemble: bool => Opt::flag().http().page(),
        /// How frames at other times than the middle are made
        pub timestep_method: TimestepMethod => Opt::choice::<TimestepMethod>("HOW").default("auto").http().page(),
        /// Recursion: a time is met when nearer than half of this
        pub rthreshold: f64 => Opt::new(Kind::Number(0.0, 1.0)).metavar("F").default("0.02"),
        /// Recursion: most halvings
        pub rmaxcycles: u32 => Opt::new(Kind::Whole(1, 16)).metavar("N").default("8"),
        /// The most memory that rife itself may take, such as 2G or 700M: large pictures are then made in tiles, which
        /// takes longer (ffmpeg's own memory comes on top)
        pub memory_limit: Option<u64> => Opt::new(Kind::Bytes).metavar("SIZE"),
        /// Accepted for the original's sake: half precision is for GPUs, and ignored on the CPU
        pub fp16: bool => Opt::flag().not_in_fingerprint(),
    }
}

/// The file in the folders that the original's `--model` takes.
const CHECKPOINT: &str = "flownet.pkl";

impl ModelOptions {
    /// What to interpolate with.
    pub fn spec(&self) -> InterpolatorSpec {
        let mut spec = InterpolatorSpec::default();
        spec.model = match self.model.as_str() {
            _ if self.random_weights => ModelChoice::Random(self.model_version.unwrap_or(Version::DEFAULT)),
            "default" => ModelChoice::Default,
            name => ModelChoice::Named(checkpoint_in(name)),
        };
        spec.version = self.model_version;
        spec.scale = if self.uhd && self.scale == Scale::One {
            Scale::Half
        } else {
            self.scale
        };
        (spec.tta, spec.ensemble) = (self.tta, self.ensemble);
        spec.threads = self.threads.map(|threads| threads as usize);
        (spec.device, spec.precision) = (self.device, self.precision);
        spec.method = self.timestep_method;
        spec.bisection.threshold = self.rthreshold;
        spec.bisection.max_cycles = self.rmaxcycles;
        spec.memory_limit = self.memory_limit;
        spec
    }
}

/// A folder with one network in one file (`train_log`) stands for that file.
fn checkpoint_in(name: &str) -> String {
    let file: PathBuf = Path::new(name).join(CHECKPOINT);
    let others = ["contextnet.pkl", "unet.pkl"]
        .iter()
        .any(|other| Path::new(name).join(other).exists());
    match file.to_str() {
        Some(file) if Path::new(file).is_file() && !others => file.to_owned(),
        _ => name.to_owned(),
    }
}

options! {
    /// How many frames a video gets, and at which pace.
    "Time"
    pub struct RateOptions {
        /// Frames for each one of the source, 1 to 256, such as 2, 2.5 or 7/3 [default: 2]
        pub factor: Option<Ratio<i64>> => Opt::new(Kind::Factor).metavar("N").conflicts(&["exp"]).http().page(),
        /// The factor as a power of two: 1 to 4 for 2x to 16x
        pub exp: Option<u32> => Opt::new(Kind::Whole(0, 4)).alias("passes").metavar("N").http_as("passes", Kind::Whole(1, 4)).page(),
        /// A target rate, such as 60, 59.94 or 60000/1001; with `slow_motion` the rate at which it is played
        pub fps: Option<Ratio<i64>> => Opt::new(Kind::Rate).metavar("X").http().page(),
        /// Keep the rate and stretch time by the factor; sound is dropped
        pub slow_motion: bool => Opt::flag().http().page(),
        /// With `slow_motion`: keep sound, stretched with its pitch kept
        pub stretch_audio: bool => Opt::flag().requires("slow_motion").http().page().not_in_fingerprint(),
        /// The rate of a folder of pictures [default: 25]
        pub input_fps: Option<Ratio<i64>> => Opt::new(Kind::Rate).metavar("X"),
    }
}

impl RateOptions {
    /// The job's rate and motion.
    ///
    /// # Errors
    /// [`Error::Usage`] for a target rate together with a factor, where time keeps its pace.
    pub fn timing(&self) -> Result<(Rate, Motion)> {
        let factor = self.factor.or(self.exp.map(|exp| Ratio::from(1 << exp)));
        let rate = Rate::times(factor.unwrap_or(Ratio::from(2)));
        if self.slow_motion {
            let motion = Motion::Slow {
                fps: self.fps,
                stretch_audio: self.stretch_audio,
            };
            return Ok((rate, motion));
        }
        match self.fps {
            Some(_) if factor.is_some() => Err(Error::RateAndFactor),
            Some(fps) => Ok((Rate::Fps(fps), Motion::Normal)),
            None => Ok((rate, Motion::Normal)),
        }
    }
}

options! {
    /// What is looked for in a video's frames, and what is done about it.
    "Cuts and repeated frames"
    pub struct SceneOptions {
        /// Frames less alike than this (SSIM of 32x32 miniatures), and less alike than those on both sides, are parted by a
        /// cut; 0 finds none
        pub cut_threshold: f32 => Opt::new(Kind::Number(0.0, 1.0)).metavar("S").default("0.4").http().page(),
        /// A list of cuts instead of detection: a frame number (120) or time (5.005) a line, the first frame of the new scene
        pub cuts: Option<PathBuf> => Opt::new(Kind::Path).metavar("FILE").conflicts(&["cut_threshold"]),
        /// Write the cuts as such a list
        pub cuts_out: Option<PathBuf> => Opt::new(Kind::Path).metavar("FILE").not_in_fingerprint(),
        /// What is shown between the two frames of a cut; they are never morphed
        pub cut_fill: CutFill => Opt::choice::<CutFill>("HOW").default("repeat").http().page(),
        /// What becomes of frames that only repeat the one before while motion goes on
        pub duplicates: Duplicate => Opt::choice::<Duplicate>("HOW").default("smooth").http_as("", DUPLICATES).page(),
        /// Take overlays that stay still while all around them moves (logos, subtitles, black bars) from the source
        pub mask_static: StaticMask => Opt::choice::<StaticMask>("HOW").default("auto").http().page(),
        /// What is shown instead of made frames that are trusted too little; `rife report` says what that does to a clip
        pub fallback: Option<FallbackFill> => Opt::choice::<FallbackFill>("HOW"),
        /// How much confidence a made frame needs, 0 to 1 (see `rife report`)
        pub fallback_below: f64 => Opt::new(Kind::Number(0.0, 1.0)).metavar("X").default("0.3").requires("fallback"),
        /// De-interlace an interlaced video first
        pub deinterlace: bool => Opt::flag().http().page(),
        /// Take the film out of a video of 29.97 or 30 frames a second that it was telecined to; it has 23.976 or 24 again
        pub inverse_telecine: bool => Opt::flag().conflicts(&["deinterlace"]).http().page(),
        /// Take an interlaced video as if it were progressive
        pub allow_interlaced: bool => Opt::flag().conflicts(&["deinterlace", "inverse_telecine"]).http(),
        /// Write how far each made frame is to be trusted into a second file, as JSON: time in seconds, confidence, whether it
        /// was replaced
        pub confidence: bool => Opt::flag().not_on_command_line().http().page().not_in_fingerprint(),
    }
}

/// What HTTP takes for repeated frames: all but the report.
const DUPLICATES: Kind = Kind::Choice(Duplicate::NAMES.split_at(2).0);

impl SceneOptions {
    fn apply(&self, job: &mut VideoJob) -> Result<()> {
        (job.source.deinterlace, job.source.allow_interlaced) = (self.deinterlace, self.allow_interlaced);
        job.source.inverse_telecine = self.inverse_telecine;
        job.cuts = match &self.cuts {
            Some(path) => CutRule::Listed(read_cuts(path)?),
            None => CutRule::Detect(self.cut_threshold),
        };
        job.cuts_out = self.cuts_out.clone();
        (job.cut_fill, job.duplicates) = (self.cut_fill, self.duplicates.rule());
        job.mask_static = self.mask_static == StaticMask::Auto;
        job.fallback = self.fallback.map(|how| Fallback {
            below: self.fallback_below,
            fill: how.fill(),
        });
        job.confidence = self.confidence;
        Ok(())
    }
}

/// Reads a list of cuts; longer files are none.
fn read_cuts(path: &Path) -> Result<CutList> {
    const MAX_BYTES: u64 = 16 << 20;
    let io = |error| Error::io("read", path, error);
    let text = rife_files::read_regular(path, MAX_BYTES).map_err(io)?;
    let list = CutList::parse(&String::from_utf8_lossy(&text));
    list.map_err(|error| Error::Usage(format!("{}: {error}", path.display())))
}

options! {
    /// How a video is read and written.
    "Encoding"
    pub struct EncodeOptions {
        /// The video codec [default: the container's usual one, H.264 for MP4]
        pub codec: Option<Codec> => Opt::choice::<Codec>("CODEC").http().page(),
        /// Quality, lower is better [default: the codec's, 18 for H.264]
        pub crf: Option<u32> => Opt::new(MAX_CRF).metavar("N").http().page(),
        /// The encoder's preset, such as slow or veryfast [default: medium]
        pub preset: Option<String> => Opt::new(Kind::Text).metavar("NAME").http_as("", Kind::Word),
        /// An ffmpeg encoder by name, such as h264_nvenc; or auto, nvenc, qsv, vaapi, amf or videotoolbox: hardware where one
        /// frame can be encoded with it, else software
        pub encoder: Option<String> => Opt::new(Kind::Text).metavar("NAME"),
        /// The container of the default output name [default: the input's, where it holds what comes out, else mp4 or mkv]
        pub ext: Option<String> => Opt::new(Kind::Extension).metavar("EXT").http_as("", VIDEO).page().not_in_fingerprint(),
        /// Decode with hardware: auto, or the name of one that `ffmpeg -hwaccels` lists; software where it does not work
        pub hwaccel: String => Opt::new(Kind::Text).metavar("NAME").default("none"),
        /// Write pictures instead of a video, into OUT or vid_out/
        pub png: bool => Opt::flag().not_in_fingerprint(),
        /// Leave out sound, subtitles, chapters and tags
        pub video_only: bool => Opt::flag().http().page().not_in_fingerprint(),
        /// Show the source's middle half on the left and the result's on the right
        pub montage: bool => Opt::flag().http().page(),
    }
}

impl EncodeOptions {
    fn apply(&self, job: &mut VideoJob) {
        (job.sink.codec, job.sink.crf) = (self.codec, self.crf);
        (job.sink.preset, job.sink.encoder) = (self.preset.clone(), self.encoder.clone());
        job.source.hwaccel = (self.hwaccel != "none").then(|| self.hwaccel.clone());
        (job.video_only, job.montage) = (self.video_only, self.montage);
    }
}

/// Everything that decides what a video job does, its input and output aside.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct VideoOptions {
    /// How many frames, at which pace.
    pub rate: RateOptions,
    /// Cuts, repeated frames, overlays, interlacing.
    pub scene: SceneOptions,
    /// How it is read and written.
    pub encode: EncodeOptions,
    /// What to interpolate with.
    pub model: ModelOptions,
}

impl VideoOptions {
    /// The rows of all tables.
    pub fn table() -> impl Iterator<Item = &'static Opt> {
        let tables = [
            RateOptions::TABLE,
            SceneOptions::TABLE,
            EncodeOptions::TABLE,
            ModelOptions::TABLE,
        ];
        tables.into_iter().flatten()
    }

    /// Sets what they decide in `job`. What names the output ([`EncodeOptions::ext`], [`EncodeOptions::png`]) is the
    /// caller's.
    ///
    /// # Errors
    /// Those of [`RateOptions::timing`] and of reading [`SceneOptions::cuts`].
    pub fn apply(&self, job: &mut VideoJob) -> Result<()> {
        let Self {
            rate,
            scene,
            encode,
            model,
        } = self;
        (job.rate, job.motion) = rate.timing()?;
        job.source.frame_rate = rate.input_fps;
        scene.apply(job)?;
        encode.apply(job);
        job.interpolator = model.spec();
        Ok(())
    }
}

options! {
    /// The options of an [`ImageJob`], its model aside.
    ""
    pub struct ImageOptions {
        /// One picture at this time: 0 is A, 1 is B
        pub timestep: Option<Ratio<i64>> => Opt::new(Kind::Time).metavar("T").conflicts(&["exp", "ratio"]).http(),
        /// 2^N - 1 pictures between each two, evenly spaced, 1 to 6 [default: 4]
        pub exp: Option<u32> => Opt::new(Kind::Whole(1, MAX_EXP as u64)).alias("passes").metavar("N").conflicts(&["ratio"])
            .http_as("passes", Kind::Whole(1, MAX_EXP as u64)).http_default("2").page(),
        /// One picture near this time, by middles of middles
        pub ratio: Option<Ratio<i64>> => Opt::new(Kind::Time).metavar("R"),
        /// The rate of a clip
        pub fps: Ratio<i64> => Opt::new(Kind::Rate).metavar("X").default("25").http().page(),
        /// The output's size, such as 1280x720 [default: A's]
        pub size: Option<[u32; 2]> => Opt::new(Kind::Size).metavar("WxH").http().page(),
        /// What becomes of pictures of another shape
        pub fit: Fit => Opt::choice::<Fit>("HOW").default("pad").http().page(),
        /// Where frames wait for their turn; the frames are the same
        pub memory: Storage => Opt::choice::<Storage>("WHERE").default("memory").http().http_default("disk").page(),
        /// The codec of a clip [default: the container's usual one, H.264 for MP4]
        pub codec: Option<Codec> => Opt::choice::<Codec>("CODEC").http().page(),
        /// The quality of a clip, lower is better [default: the codec's, 18 for H.264]
        pub crf: Option<u32> => Opt::new(MAX_CRF).metavar("N").http().page(),
        /// The result's container; png is a file for each picture
        pub ext: Option<String> => Opt::new(Kind::Choice(EXTENSIONS)).default("mp4").not_on_command_line().http().page(),
    }
}

impl ImageOptions {
    /// The passes where neither they nor a time are given, as in the original.
    const EXP: u32 = 4;

    /// Which pictures between each two.
    pub fn timesteps(&self) -> Timesteps {
        match (self.timestep, self.ratio) {
            (Some(at), _) => Timesteps::Timestep(at),
            (None, Some(ratio)) => Timesteps::Ratio(ratio),
            (None, None) => Timesteps::Exp(self.exp.unwrap_or(Self::EXP)),
        }
    }

    /// Sets what they decide in `job`, but for [`ImageOptions::ext`], which is the caller's.
    pub fn apply(&self, job: &mut ImageJob) {
        job.timesteps = self.timesteps();
        (job.fps, job.size, job.fit, job.storage) = (self.fps, self.size, self.fit, self.memory);
        (job.codec, job.crf) = (self.codec, self.crf);
    }
}

options! {
    /// The options of a [`ChainJob`], its model aside.
    ""
    pub struct ChainOptions {
        /// Transitions of 2^N - 1 new frames, 1 to 6
        pub passes: u32 => Opt::new(Kind::Whole(1, MAX_PASSES as u64)).metavar("N").default("2").http().page(),
        /// The output's rate [default: the first clip's]
        pub fps: Option<Ratio<i64>> => Opt::new(Kind::Rate).metavar("X").http().page(),
        /// The output's size [default: the first clip's]
        pub size: Option<[u32; 2]> => Opt::new(Kind::Size).metavar("WxH").http().page(),
        /// What becomes of clips of another shape
        pub fit: Fit => Opt::choice::<Fit>("HOW").default("pad").http().page(),
        /// What is heard
        pub sound: AudioMode => Opt::choice::<AudioMode>("HOW").default("crossfade").http().page(),
        /// The video codec [default: the container's usual one, H.264 for MP4]
        pub codec: Option<Codec> => Opt::choice::<Codec>("CODEC").http().page(),
        /// Quality, lower is better [default: the codec's, 18 for H.264]
        pub crf: Option<u32> => Opt::new(MAX_CRF).metavar("N").http().page(),
        /// The encoder's preset, such as slow or veryfast [default: medium]
        pub preset: Option<String> => Opt::new(Kind::Text).metavar("NAME").http_as("", Kind::Word),
        /// The result's container
        pub ext: Option<String> => Opt::new(VIDEO).default("mp4").not_on_command_line().http().page(),
        /// De-interlace interlaced clips first
        pub deinterlace: bool => Opt::flag().http().page(),
    }
}

impl ChainOptions {
    /// Sets what they decide in `job`, but for [`ChainOptions::ext`], which is the caller's.
    pub fn apply(&self, job: &mut ChainJob) {
        (job.passes, job.fps, job.size) = (self.passes, self.fps, self.size);
        (job.fit, job.audio) = (self.fit, self.sound);
        (job.sink.codec, job.sink.crf) = (self.codec, self.crf);
        job.sink.preset = self.preset.clone();
        job.source.deinterlace = self.deinterlace;
    }
}

options! {
    /// The options of a [`ReencodeJob`].
    ""
    pub struct ReencodeOptions {
        /// What the result is for
        pub preset_profile: Profile => Opt::choice::<Profile>("PROFILE").default("web").http_as("profile", PROFILE).page(),
        /// Write it even where the source is in that form already
        pub force: bool => Opt::flag().http().page(),
        /// The least PSNR of a colour channel that the check accepts, in dB
        pub min_psnr: f64 => Opt::new(Kind::Number(0.0, 100.0)).metavar("DB").default("25").http(),
        /// The most that a channel's mean may be off, in codes of 255
        pub max_bias: f64 => Opt::new(Kind::Number(0.0, 255.0)).metavar("CODES").default("1").http(),
        /// The most that the means of 16x16 blocks may be off (root mean square), in codes of 255
        pub max_shift: f64 => Opt::new(Kind::Number(0.0, 255.0)).metavar("CODES").default("2").http(),
        /// Quality, lower is better [default: 18]
        pub crf: Option<u32> => Opt::new(Kind::Whole(0, 51)).metavar("N").http().page(),
        /// The encoder's preset, such as slow or veryfast [default: medium]
        pub preset: Option<String> => Opt::new(Kind::Text).metavar("NAME").http_as("", Kind::Word),
        /// De-interlace an interlaced video first
        pub deinterlace: bool => Opt::flag().http().page(),
    }
}

/// The profiles.
const PROFILE: Kind = Kind::Choice(Profile::NAMES);

impl ReencodeOptions {
    /// What the colour check accepts.
    pub fn limits(&self) -> crate::reencode::ColorLimits {
        let mut limits = crate::reencode::ColorLimits::default();
        (limits.psnr, limits.bias, limits.shift) = (self.min_psnr, self.max_bias, self.max_shift);
        limits
    }

    /// Sets what they decide in `job`.
    pub fn apply(&self, job: &mut ReencodeJob) {
        (job.profile, job.force, job.limits) = (self.preset_profile, self.force, self.limits());
        (job.crf, job.preset) = (self.crf, self.preset.clone());
        job.source.deinterlace = self.deinterlace;
    }
}
