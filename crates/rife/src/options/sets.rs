//! Option structs and tables: the options of the model and of each kind of job, and their conversion to a job.

use std::path::{Path, PathBuf};

use num_rational::Ratio;
use rife_media::scene::{CutList, CutRule};
use rife_media::source::{Excerpt, Position};
use rife_media::{Codec, Fit};
use rife_nets::{Scale, Version};

use super::choice::{ChoiceName, Duplicate, FallbackFill, NamedChoice, StaticMask};
use super::kind::{FromValue, Kind, Refusal, Value};
use super::{Opt, OptionSet, initial, options};
use crate::chain::{AudioMode, ChainJob, MAX_PASSES};
use crate::image::{ImageJob, MAX_EXP, Storage, Timesteps};
use crate::reencode::{Profile, ReencodeJob};
use crate::video::{CutFill, Fallback, Motion, Rate, VideoJob};
use crate::{Bisection, Device, Error, InterpolatorSpec, ModelChoice, Precision, Result, TimestepMethod};

/// The encoders' quality setting (CRF): 0 (best) to 63.
const CRF: Kind = Kind::Whole(0, 63);

/// Extensions of results in HTTP; the last two are for image jobs only.
const EXTENSIONS: &[ChoiceName] = &[
    ext("mp4"),
    ext("mov"),
    ext("mkv"),
    ext("webm"),
    ext("gif"),
    ext("webp"),
    ext("png"),
];
/// The extensions of videos.
const VIDEO: Kind = Kind::Choice(EXTENSIONS.split_at(5).0);

/// Makes the name of an extension, without help text.
const fn ext(name: &'static str) -> ChoiceName {
    ChoiceName { name, help: "" }
}

options! {
    /// The options of model and network.
    "Model"
    pub struct ModelOptions {
        /// The network: `default`, `fast`, the name of a downloaded model, or weights (.safetensors, .pkl, ncnn)
        pub model: String => Opt::new(Kind::Text).metavar("default|PATH|NAME").default("default")
            .http().http_help("The network: `default`, `fast` (about half the time) or the name of a model that was pulled (see Models)").page(),
        /// The network's version, where the file's tensors fit several (see `rife models list`)
        pub model_version: Option<Version> => Opt::new(Kind::Text).metavar("VERSION"),
        /// Use deterministic random weights, to measure speed: the frames are noise
        pub random_weights: bool => Opt::flag().conflicts(&["model"]),
        /// Resolution at which motion is estimated, as a factor: 0.25, 0.5 (for 4K), 1, 2 or 4 (for small frames)
        pub scale: Scale => Opt::new(Kind::Scale).metavar("F").default("1").http().page(),
        /// For frames of 4K and more: `scale` 0.5, unless a scale is given
        pub uhd: bool => Opt::flag(),
        /// Number of threads [default: one per processor]
        pub threads: Option<u32> => Opt::new(Kind::Whole(1, 1024)).metavar("N").not_in_fingerprint(),
        /// Device: cpu, gpu, gpu:NAME, gpu:INDEX (`rife devices` lists GPUs), all (GPUs of one kind, in turn), or auto: a GPU
        /// that passes its self-test, else the processor
        pub device: Device => Opt::new(Kind::Text).metavar("DEVICE").default("cpu")
            .http().http_help("The device: one of the devices that Models lists").page(),
        /// Number format of convolutions: on the processor int8 is up to a fifth faster and hardly less exact, and needs AVX-512
        /// VNNI; on GPUs f16 takes half the memory and is hardly less exact; auto is int8 or f16 if available, else f32
        pub precision: Precision => Opt::choice::<Precision>("WHAT").default("f32")
            .http().http_help("Number format of wide convolutions: one of the precisions that Models lists").page(),
        /// Test-time augmentation: average with the result of both frames rotated by 180 degrees; twice the time
        pub tta: bool => Opt::flag().http().page(),
        /// Average both directions in every block, in network versions with an ensemble; about twice the time
        pub ensemble: bool => Opt::flag().http().page(),
        /// How frames at timesteps other than 1/2 are computed
        pub timestep_method: TimestepMethod => Opt::choice::<TimestepMethod>("HOW").default("auto").http().page(),
        /// Recursive: twice the accepted difference from the wanted timestep
        pub rthreshold: f64 => Opt::new(Kind::Number(0.0, 1.0)).metavar("F").default("0.02"),
        /// Recursive: maximum number of halvings
        pub rmaxcycles: u32 => Opt::new(Kind::Whole(1, 16)).metavar("N").default("8"),
        /// Maximum memory of rife itself (without ffmpeg), such as 2G or 700M: larger frames are computed in tiles, which
        /// takes longer
        pub memory_limit: Option<u64> => Opt::new(Kind::Bytes).metavar("SIZE"),
        /// On GPUs the same as `precision` f16, as in the original scripts; ignored on the processor
        pub fp16: bool => Opt::flag().not_in_fingerprint(),
    }
}

/// Name of the weights file in the folders that the original scripts' `--model` accepts.
const CHECKPOINT: &str = "flownet.pkl";

impl ModelOptions {
    /// Converts the options to an interpolator's specification.
    pub fn spec(&self) -> InterpolatorSpec {
        let model = match self.model.as_str() {
            _ if self.random_weights => ModelChoice::Random(self.model_version.unwrap_or(Version::DEFAULT)),
            name => match ModelChoice::parse(name) {
                ModelChoice::Named(name) => ModelChoice::Named(checkpoint_in(&name)),
                built_in => built_in,
            },
        };
        let scale = match self.scale {
            Scale::One if self.uhd => Scale::Half,
            scale => scale,
        };
        InterpolatorSpec {
            model,
            version: self.model_version,
            scale,
            tta: self.tta,
            ensemble: self.ensemble,
            threads: self.threads.map(|threads| threads as usize),
            device: self.device.clone(),
            precision: self.precision(),
            method: self.timestep_method,
            bisection: Bisection {
                threshold: self.rthreshold,
                max_cycles: self.rmaxcycles,
            },
            memory_limit: self.memory_limit,
            ..InterpolatorSpec::default()
        }
    }
}

impl ModelOptions {
    /// Returns the number format, of which `fp16` is another name.
    fn precision(&self) -> Precision {
        match (self.fp16, self.precision) {
            (true, Precision::F32) if self.device != Device::Cpu => Precision::F16,
            (_, precision) => precision,
        }
    }
}

/// Returns the path of `flownet.pkl` if `name` is a folder with this weights file only (such as `train_log`), else `name`.
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
    /// The options of a video's frame rate, playback speed and part.
    "Time"
    pub struct RateOptions {
        /// Output frames per source frame, 1 to 256, such as 2, 2.5 or 7/3 [default: 2]
        pub factor: Option<Ratio<i64>> => Opt::new(Kind::Factor).metavar("N").conflicts(&["exp"]).http().page(),
        /// The factor as a power of two: 1 to 4 for 2x to 16x
        pub exp: Option<u32> => Opt::new(Kind::Whole(0, 4)).alias("passes").metavar("N").http_as("passes", Kind::Whole(1, 4)).page(),
        /// Target rate, such as 60, 59.94 or 60000/1001; with `slow_motion` the rate at which the result plays
        pub fps: Option<Ratio<i64>> => Opt::new(Kind::Rate).metavar("X").http().page(),
        /// Keep the rate and stretch time by the factor; audio is dropped
        pub slow_motion: bool => Opt::flag().http().page(),
        /// With `slow_motion`: keep audio, stretched with its pitch kept
        pub stretch_audio: bool => Opt::flag().requires("slow_motion").http().page().not_in_fingerprint(),
        /// Start of the part to convert: seconds (62.5), a timecode (00:01:02.500) or a frame's number from 0 (120f)
        pub start: Option<Position> => Opt::new(Kind::Position).metavar("WHEN").http().page(),
        /// End of the part: the first frame that is left out, written like `start`
        pub end: Option<Position> => Opt::new(Kind::Position).metavar("WHEN").http().page(),
        /// Frame rate of a folder of images [default: 25]
        pub input_fps: Option<Ratio<i64>> => Opt::new(Kind::Rate).metavar("X"),
    }
}

impl RateOptions {
    /// Returns the part of the input to convert.
    pub fn excerpt(&self) -> Excerpt {
        Excerpt {
            start: self.start,
            end: self.end,
        }
    }

    /// Converts the options to a job's rate and motion.
    ///
    /// # Errors
    /// [`Error::RateAndFactor`] for a target rate together with a factor, except in slow motion.
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
    /// The options of cuts, repeated frames, overlays, fallback and interlacing.
    "Cuts and repeated frames"
    pub struct SceneOptions {
        /// Similarity (SSIM of 32x32 thumbnails) below which two frames, if less similar than their neighbours, have a cut
        /// between them; 0 detects none
        pub cut_threshold: f32 => Opt::new(Kind::Number(0.0, 1.0)).metavar("S").default("0.4").http().page(),
        /// A list of cuts instead of detection: per line the number (120) or time (5.005) of the first frame of a shot
        pub cuts: Option<PathBuf> => Opt::new(Kind::Path).metavar("FILE").conflicts(&["cut_threshold"]),
        /// A list of cuts instead of detection: the numbers (120) or times (5.005) of the first frames of shots, separated by commas
        pub cut_list: Option<String> => Opt::new(Kind::Text).not_on_command_line().conflicts(&["cut_threshold"]).http().page(),
        /// Write the detected cuts as such a list
        pub cuts_out: Option<PathBuf> => Opt::new(Kind::Path).metavar("FILE").not_in_fingerprint(),
        /// Frames that are shown between the two frames of a cut, which are never interpolated
        pub cut_fill: CutFill => Opt::choice::<CutFill>("HOW").default("repeat").http().page(),
        /// Handling of repeated frames, as in animation on twos
        pub duplicates: Duplicate => Opt::choice::<Duplicate>("HOW").default("smooth").http_as("", DUPLICATES).page(),
        /// Copy static overlays on moving frames (logos, subtitles, black bars) from the source
        pub mask_static: StaticMask => Opt::choice::<StaticMask>("HOW").default("auto").http().page(),
        /// Replace computed frames with a low confidence; see `rife report` for the effect on a clip
        pub fallback: Option<FallbackFill> => Opt::choice::<FallbackFill>("HOW").http().page(),
        /// Minimum confidence, 0 to 1, of frames that are not replaced (see `rife report`)
        pub fallback_below: f64 => Opt::new(Kind::Number(0.0, 1.0)).metavar("X").default("0.3").requires("fallback").http().page(),
        /// De-interlace an interlaced video first
        pub deinterlace: bool => Opt::flag().http().page(),
        /// Inverse telecine: restore film at 23.976 or 24 frames per second from video at 29.97 or 30
        pub inverse_telecine: bool => Opt::flag().conflicts(&["deinterlace"]).http().page(),
        /// Treat an interlaced video as progressive
        pub allow_interlaced: bool => Opt::flag().conflicts(&["deinterlace", "inverse_telecine"]).http(),
        /// Write the confidence of each computed frame to a second file, as JSON: time in seconds, confidence, whether the
        /// frame was replaced
        pub confidence: bool => Opt::flag().not_on_command_line().http().page().not_in_fingerprint(),
    }
}

/// Values of `duplicates` in HTTP: all but the report.
const DUPLICATES: Kind = Kind::Choice(Duplicate::NAMES.split_at(2).0);

impl SceneOptions {
    /// Sets the options in a job; reads the list of cuts.
    fn apply(&self, job: &mut VideoJob) -> Result<()> {
        (job.source.deinterlace, job.source.allow_interlaced) = (self.deinterlace, self.allow_interlaced);
        job.source.inverse_telecine = self.inverse_telecine;
        job.cuts = match (&self.cuts, &self.cut_list) {
            (Some(path), _) => CutRule::Listed(read_cuts(path)?),
            (None, Some(list)) => CutRule::Listed(parse_cuts("cut_list", &list.replace(',', "\n"))?),
            (None, None) => CutRule::Detect(self.cut_threshold),
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

/// Reads a list of cuts of up to 16 MiB.
fn read_cuts(path: &Path) -> Result<CutList> {
    /// Maximum size of the file in bytes.
    const MAX_BYTES: u64 = 16 << 20;
    let io = |error| Error::io("read", path, error);
    let text = rife_files::read_regular(path, MAX_BYTES).map_err(io)?;
    parse_cuts(&path.display().to_string(), &String::from_utf8_lossy(&text))
}

/// Parses a list of cuts; an error begins with `name`.
fn parse_cuts(name: &str, text: &str) -> Result<CutList> {
    CutList::parse(text).map_err(|error| Error::Usage(format!("{name}: {error}")))
}

options! {
    /// The options of decoding and encoding a video.
    "Encoding"
    pub struct EncodeOptions {
        /// Video codec [default: the container's default, H.264 for MP4]
        pub codec: Option<Codec> => Opt::choice::<Codec>("CODEC").http().page(),
        /// Quality (CRF), lower is better [default: the codec's, 18 for H.264]
        pub crf: Option<u32> => Opt::new(CRF).metavar("N").http().page(),
        /// The encoder's preset, such as slow or veryfast [default: medium]
        pub preset: Option<String> => Opt::new(Kind::Text).metavar("NAME").http_as("", Kind::Word),
        /// An ffmpeg encoder by name, such as h264_nvenc; or auto, nvenc, qsv, vaapi, amf or videotoolbox: hardware if a test
        /// frame can be encoded with it, else software
        pub encoder: Option<String> => Opt::new(Kind::Text).metavar("NAME"),
        /// Extension of the default output name [default: the input's if its container can hold the result, else mp4 or mkv]
        pub ext: Option<String> => Opt::new(Kind::Extension).metavar("EXT").http_as("", VIDEO).page().not_in_fingerprint(),
        /// Hardware decoding: auto, or a method that `ffmpeg -hwaccels` lists; software if it does not work
        pub hwaccel: String => Opt::new(Kind::Text).metavar("NAME").default("none"),
        /// Write images instead of a video, into OUT or vid_out/
        pub png: bool => Opt::flag().not_in_fingerprint(),
        /// Leave out audio, subtitles, chapters and metadata
        pub video_only: bool => Opt::flag().http().page().not_in_fingerprint(),
        /// Show the middle half of the source's frame on the left and of the result's on the right
        pub montage: bool => Opt::flag().http().page(),
    }
}

impl EncodeOptions {
    /// Sets the options in a job.
    fn apply(&self, job: &mut VideoJob) {
        (job.sink.codec, job.sink.crf) = (self.codec, self.crf);
        (job.sink.preset, job.sink.encoder) = (self.preset.clone(), self.encoder.clone());
        job.source.hwaccel = (self.hwaccel != "none").then(|| self.hwaccel.clone());
        (job.video_only, job.montage) = (self.video_only, self.montage);
    }
}

/// All options of a video job except its input and output.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct VideoOptions {
    /// Frame rate and playback speed.
    pub rate: RateOptions,
    /// Cuts, repeated frames, overlays, fallback, interlacing.
    pub scene: SceneOptions,
    /// Decoding and encoding.
    pub encode: EncodeOptions,
    /// Model and network.
    pub model: ModelOptions,
}

impl VideoOptions {
    /// Iterates over the options of all tables.
    pub fn table() -> impl Iterator<Item = &'static Opt> {
        let tables = [
            RateOptions::TABLE,
            SceneOptions::TABLE,
            EncodeOptions::TABLE,
            ModelOptions::TABLE,
        ];
        tables.into_iter().flatten()
    }

    /// Sets the options in `job`, except [`EncodeOptions::ext`] and [`EncodeOptions::png`], by which the caller names the
    /// output.
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
        job.source.excerpt = rate.excerpt();
        scene.apply(job)?;
        encode.apply(job);
        job.interpolator = model.spec();
        Ok(())
    }
}

options! {
    /// The options of an [`ImageJob`] except its model.
    ""
    pub struct ImageOptions {
        /// One image at this time: 0 is A, 1 is B
        pub timestep: Option<Ratio<i64>> => Opt::new(Kind::Time).metavar("T").conflicts(&["exp", "ratio"]).http(),
        /// 2^N - 1 images between each two, evenly spaced, 1 to 6 [default: 4]
        pub exp: Option<u32> => Opt::new(Kind::Whole(1, MAX_EXP as u64)).alias("passes").metavar("N").conflicts(&["ratio"])
            .http_as("passes", Kind::Whole(1, MAX_EXP as u64)).http_default("2").page(),
        /// One image at about this time, by recursive bisection
        pub ratio: Option<Ratio<i64>> => Opt::new(Kind::Time).metavar("R"),
        /// After the last image go back to the first, which is not written again: a clip repeats without a double frame
        pub looped: bool => Opt::flag().alias("loop").http_as("loop", Kind::Flag).page(),
        /// Frame rate of a clip
        pub fps: Ratio<i64> => Opt::new(Kind::Rate).metavar("X").default("25").http().page(),
        /// The output's size, such as 1280x720 [default: A's]
        pub size: Option<[u32; 2]> => Opt::new(Kind::Size).metavar("WxH").http().page(),
        /// How images of another aspect ratio are fitted to the output
        pub fit: Fit => Opt::choice::<Fit>("HOW").default("pad").http().page(),
        /// Where frames are kept until they are written; the result is the same
        pub memory: Storage => Opt::choice::<Storage>("WHERE").default("memory").http().http_default("disk").page(),
        /// Video codec of a clip [default: the container's default, H.264 for MP4]
        pub codec: Option<Codec> => Opt::choice::<Codec>("CODEC").http().page(),
        /// Quality (CRF) of a clip, lower is better [default: the codec's, 18 for H.264]
        pub crf: Option<u32> => Opt::new(CRF).metavar("N").http().page(),
        /// Extension of the result; png writes a file per image
        pub ext: Option<String> => Opt::new(Kind::Choice(EXTENSIONS)).default("mp4").not_on_command_line().http().page(),
    }
}

impl ImageOptions {
    /// Default number of passes, as in the original script.
    const EXP: u32 = 4;

    /// Returns the times of the computed images between each two.
    pub fn timesteps(&self) -> Timesteps {
        match (self.timestep, self.ratio) {
            (Some(at), _) => Timesteps::Timestep(at),
            (None, Some(ratio)) => Timesteps::Ratio(ratio),
            (None, None) => Timesteps::Exp(self.exp.unwrap_or(Self::EXP)),
        }
    }

    /// Sets the options in `job`, except [`ImageOptions::ext`], by which the caller names the output.
    pub fn apply(&self, job: &mut ImageJob) {
        (job.timesteps, job.looped) = (self.timesteps(), self.looped);
        (job.fps, job.size, job.fit, job.storage) = (self.fps, self.size, self.fit, self.memory);
        (job.codec, job.crf) = (self.codec, self.crf);
    }
}

options! {
    /// The options of a [`ChainJob`] except its model.
    ""
    pub struct ChainOptions {
        /// 2^N - 1 interpolated frames per transition, 1 to 6
        pub passes: u32 => Opt::new(Kind::Whole(1, MAX_PASSES as u64)).metavar("N").default("2").http().page(),
        /// The output's frame rate [default: the first clip's]
        pub fps: Option<Ratio<i64>> => Opt::new(Kind::Rate).metavar("X").http().page(),
        /// The output's size [default: the first clip's]
        pub size: Option<[u32; 2]> => Opt::new(Kind::Size).metavar("WxH").http().page(),
        /// How clips of another aspect ratio are fitted to the output
        pub fit: Fit => Opt::choice::<Fit>("HOW").default("pad").http().page(),
        /// The output's audio
        pub sound: AudioMode => Opt::choice::<AudioMode>("HOW").default("crossfade").http().page(),
        /// Video codec [default: the container's default, H.264 for MP4]
        pub codec: Option<Codec> => Opt::choice::<Codec>("CODEC").http().page(),
        /// Quality (CRF), lower is better [default: the codec's, 18 for H.264]
        pub crf: Option<u32> => Opt::new(CRF).metavar("N").http().page(),
        /// The encoder's preset, such as slow or veryfast [default: medium]
        pub preset: Option<String> => Opt::new(Kind::Text).metavar("NAME").http_as("", Kind::Word),
        /// Extension of the result
        pub ext: Option<String> => Opt::new(VIDEO).default("mp4").not_on_command_line().http().page(),
        /// De-interlace interlaced clips first
        pub deinterlace: bool => Opt::flag().http().page(),
    }
}

impl ChainOptions {
    /// Sets the options in `job`, except [`ChainOptions::ext`], by which the caller names the output.
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
        /// The target format, by its use
        pub preset_profile: Profile => Opt::choice::<Profile>("PROFILE").default("web").http_as("profile", PROFILE).page(),
        /// Re-encode a source that has the target format already
        pub force: bool => Opt::flag().http().page(),
        /// Minimum PSNR of a colour channel that the check accepts, in dB
        pub min_psnr: f64 => Opt::new(Kind::Number(0.0, 100.0)).metavar("DB").default("25").http(),
        /// Maximum difference of a channel's mean that the check accepts, in codes of 255
        pub max_bias: f64 => Opt::new(Kind::Number(0.0, 255.0)).metavar("CODES").default("1").http(),
        /// Maximum difference of the means of 16x16 blocks (root mean square) that the check accepts, in codes of 255
        pub max_shift: f64 => Opt::new(Kind::Number(0.0, 255.0)).metavar("CODES").default("2").http(),
        /// Quality (CRF), lower is better [default: 18]
        pub crf: Option<u32> => Opt::new(Kind::Whole(0, 51)).metavar("N").http().page(),
        /// The encoder's preset, such as slow or veryfast [default: medium]
        pub preset: Option<String> => Opt::new(Kind::Text).metavar("NAME").http_as("", Kind::Word),
        /// De-interlace an interlaced video first
        pub deinterlace: bool => Opt::flag().http().page(),
    }
}

/// The names of all profiles.
const PROFILE: Kind = Kind::Choice(Profile::NAMES);

impl ReencodeOptions {
    /// Returns the limits of the check that compares decoded colours before and after re-encoding, per channel: minimum PSNR in dB,
    /// maximum difference of means and of block means (root mean square) in codes.
    pub fn limits(&self) -> crate::reencode::ColorLimits {
        let mut limits = crate::reencode::ColorLimits::default();
        (limits.psnr, limits.bias, limits.shift) = (self.min_psnr, self.max_bias, self.max_shift);
        limits
    }

    /// Sets the options in `job`.
    pub fn apply(&self, job: &mut ReencodeJob) {
        (job.profile, job.force, job.limits) = (self.preset_profile, self.force, self.limits());
        (job.crf, job.preset) = (self.crf, self.preset.clone());
        job.source.deinterlace = self.deinterlace;
    }
}
