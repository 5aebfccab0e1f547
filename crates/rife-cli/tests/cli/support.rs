//! Test support: a temporary folder, the binary run in it, and small clips and images.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rife::media::sink::write_image;
use rife::media::{ColorTags, Frame, PixelFormat};
use tempfile::TempDir;

/// Options of a network with random weights that is fast on the tests' small frames; its frames are noise.
pub(crate) const RANDOM: [&str; 3] = ["--random-weights", "--model-version", "4.17.lite"];

/// Output and exit status of a run of the binary.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// What it printed, when all went well.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self.out
    }

    /// What it said of an error with this code.
    #[track_caller]
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self.err
    }

    /// The JSON objects it printed, a line each.
    #[track_caller]
    pub(crate) fn json(self) -> Vec<serde_json::Value> {
        self.ok()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let code = output.status.code().unwrap_or(-1);
        Self {
            code,
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

/// A temporary folder of one test.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The binary, to be run in this folder.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rife"));
        command.args(args).current_dir(self.0.path()).stdin(Stdio::null());
        command.env("RIFE_MODELS_DIR", self.path("models"));
        command.env("RIFE_CONFIG", "");
        // Not the user's; not in this folder, whose files tests list.
        command.env("RIFE_CACHE_DIR", env!("CARGO_TARGET_TMPDIR"));
        command
    }

    pub(crate) fn rife(&self, args: &[&str]) -> Ran {
        self.command(args).output().unwrap().into()
    }

    /// Names in the folder, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        names(self.0.path())
    }

    /// Writes a small clip with audio: `frames` frames of moving patterns at 25 frames per second.
    pub(crate) fn clip(&self, name: &str, frames: u32) -> PathBuf {
        let path = self.path(name);
        let (video, sound) = (
            "testsrc2=size=96x64:rate=25",
            "sine=frequency=300:sample_rate=48000",
        );
        let status = Command::new("ffmpeg")
            .args([
                "-v", "error", "-f", "lavfi", "-i", video, "-f", "lavfi", "-i", sound,
            ])
            .args([
                "-frames:v",
                &frames.to_string(),
                "-t",
                &(f64::from(frames) / 25.0).to_string(),
            ])
            .args(["-pix_fmt", "yuv420p", "-c:a", "aac"])
            .arg(&path)
            .status();
        assert!(status.unwrap().success());
        path
    }

    /// A picture of soft waves, moved by `shift` pixels.
    pub(crate) fn picture(&self, name: &str, shift: f32) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_image(&path, &waves(64, 48, shift), &ColorTags::SRGB, true).unwrap();
        path
    }

    /// A clip of `frames` frames as Y4M, which needs no ffmpeg.
    pub(crate) fn y4m(&self, name: &str, frames: u32) -> PathBuf {
        let mut bytes = b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C444\n".to_vec();
        for index in 0..frames {
            bytes.extend(b"FRAME\n");
            let wave = |i: u32| ((i % 64 + 2 * index) as f32 * 0.2 + (i / 64) as f32 * 0.1).sin();
            bytes.extend((0..3 * 64 * 48).map(|i| (128.0 + 90.0 * wave(i % (64 * 48))) as u8));
        }
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

/// Returns time in seconds and MD5 of each decoded frame of a video.
pub(crate) fn frame_hashes(path: &Path) -> Vec<(f64, String)> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-copyts", "-i"])
        .arg(path)
        .args([
            "-map",
            "0:v",
            "-fps_mode",
            "passthrough",
            "-enc_time_base",
            "1:100000",
            "-f",
            "framemd5",
            "-",
        ])
        .output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let columns: Vec<_> = line.split(',').map(str::trim).collect();
            (columns[2].parse::<f64>().unwrap() / 1e5, columns[5].to_owned())
        })
        .collect()
}

fn waves(width: u32, height: u32, shift: f32) -> Frame {
    let wave = |channel: u32, x: u32, y: u32| {
        0.5 + 0.4 * ((x as f32 - shift) * 0.2 + y as f32 * 0.1 + channel as f32).sin()
    };
    let data = (0..3).flat_map(|c| (0..height).flat_map(move |y| (0..width).map(move |x| wave(c, x, y))));
    let image = rife::media::RgbImage::new(width, height, data.collect());
    Frame::from_rgb(&image, PixelFormat::RGB8, &ColorTags::SRGB)
}

pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Reports whether ffmpeg is installed; prints a message if the test is skipped.
pub(crate) fn ffmpeg() -> bool {
    rife_testing::ffmpeg()
}

/// Returns the number of video frames, the duration in seconds and the number of audio streams by ffprobe.
pub(crate) fn probe(path: &Path) -> (u64, f64, usize) {
    let ask = |args: &[&str]| {
        let output = Command::new("ffprobe")
            .args(["-v", "error", "-of", "csv=p=0"])
            .args(args)
            .arg(path)
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let number = |text: String| text.trim().trim_end_matches(',').to_owned();
    let frames = ask(&[
        "-count_frames",
        "-select_streams",
        "v:0",
        "-show_entries",
        "stream=nb_read_frames",
    ]);
    let duration = ask(&["-show_entries", "format=duration"]);
    let sound = ask(&["-select_streams", "a", "-show_entries", "stream=index"]);
    (
        number(frames).parse().unwrap(),
        number(duration).parse().unwrap(),
        sound.lines().count(),
    )
}

/// Reports whether the default network is built in.
pub(crate) fn has_default_network() -> bool {
    rife::nets::default_weights().is_some()
}
