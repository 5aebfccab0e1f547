//! Window extraction: cuts windows (spatio-temporal crops of consecutive frames) out of video clips. Repeated frames are
//! dropped, no window crosses a scene cut, windows without motion or with uneven motion are left out, and windows with more
//! motion are preferred. A summary per clip counts everything left out.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rife_media::scene::{Miniature, SceneOptions};
use rife_media::{Input, RgbImage, Source, SourceSpec, open_source};

use super::npy::Writer;
use super::{Picture, corpus};
use crate::recipe::DataRecipe;
use crate::rng::Rng;

/// Number of candidates per window that is kept.
const CANDIDATES: f64 = 4.0;
/// Maximum motion (mean absolute difference of consecutive frames in code values) that raises a window's score.
const MOTION_CAP: f32 = 12.0;
/// Mean absolute difference from the frame before, in code values, below which a frame is a repetition; film noise is above.
const REPEATED: f32 = 0.25;
/// Maximum difference of two frames with dropped repetitions in between, relative to the window's median difference: a
/// larger one means that the repetition replaced a missing frame, so that time is uneven.
const OVER_REPEATED: f32 = 1.5;

/// Summary of one clip's extraction.
#[derive(Debug, Clone, Default)]
pub struct Cut {
    /// Path of the clip.
    pub clip: PathBuf,
    /// Number of windows kept.
    pub windows: usize,
    /// Whether the windows are for validation.
    pub held_out: bool,
    /// Counts of frames and candidates.
    pub seen: Seen,
    /// Reason why the clip or its end was left out.
    pub failed: Option<String>,
}

/// Counts of a clip's frames and candidate windows.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Frames read.
    pub frames: u64,
    /// Whether the clip has further frames beyond the limit.
    pub more: bool,
    /// Frames dropped as repetitions.
    pub repeated: u64,
    /// Scene cuts.
    pub cuts: u64,
    /// Candidates without motion.
    pub still: u64,
    /// Candidates whose motion is uneven or too large.
    pub uneven: u64,
    /// Usable candidates dropped for candidates with a higher score.
    pub surplus: u64,
    /// Warnings of the decoder.
    pub warnings: Vec<String>,
}

impl fmt::Display for Cut {
    /// Writes the summary in one line: windows, frames and the counts above 0.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.clip.file_name().unwrap_or_default().to_string_lossy();
        let seen = &self.seen;
        let purpose = if self.held_out { " (held out)" } else { "" };
        write!(
            f,
            "{name}: {} windows{purpose} from {} frames",
            self.windows, seen.frames
        )?;
        let counts = [
            (seen.repeated, "repeated frames dropped"),
            (seen.cuts, "cuts not crossed"),
            (seen.still, "still windows left out"),
            (seen.uneven, "uneven or too fast windows left out"),
            (seen.surplus, "usable windows beyond the number wanted"),
        ];
        for (count, what) in counts.iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {what}")?;
        }
        if seen.more {
            write!(f, ", later frames not looked at (data.most_frames)")?;
        }
        for note in seen.warnings.iter().chain(&self.failed) {
            write!(f, "; {note}")?;
        }
        Ok(())
    }
}

/// Scores and pixels of windows.
type Ranked = Vec<(f32, Vec<u8>)>;

/// Extracts windows from all clips in folders into `windows.npy` and `held_out.npy` in `out`, and calls `report` for each
/// clip. Clips that cannot be read are reported and left out.
///
/// Errors: folders without files, no usable window, an output that cannot be written.
pub fn prepare(
    folders: &[PathBuf],
    out: &Path,
    recipe: &DataRecipe,
    mut report: impl FnMut(&Cut),
) -> Result<()> {
    let paths = find(folders)?;
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let (mut training, mut held_out) = (Spool::create(out, "training")?, Spool::create(out, "held_out")?);
    let mut lines = Vec::new();
    for (i, path) in paths.iter().enumerate() {
        let (windows, mut cut) = cut(path, recipe, &mut Rng::new(recipe.seed, i as u64 + 1));
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        cut.held_out = recipe.held_out.iter().any(|name| *name == stem);
        report(&cut);
        lines.push(cut.to_string());
        let spool = if cut.held_out {
            &mut held_out
        } else {
            &mut training
        };
        windows.iter().try_for_each(|window| spool.push(window))?;
    }
    ensure!(
        training.count > 0,
        "no usable window in the {} files of {}",
        paths.len(),
        names(folders)
    );
    let shape = [recipe.window, recipe.size, recipe.size, 3];
    held_out.finish(&out.join(corpus::HELD_OUT), shape)?;
    training.finish(&out.join(corpus::TRAINING), shape)?;
    corpus::Index::write(out, lines)
}

/// Lists the files of folders, folder by folder, sorted by name.
fn find(folders: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for folder in folders {
        let entries = std::fs::read_dir(folder).with_context(|| {
            format!(
                "cannot read {}; a folder of video clips is expected",
                folder.display()
            )
        })?;
        let paths = entries.map(|entry| Ok(entry?.path()));
        let mut paths = paths.collect::<Result<Vec<_>>>()?;
        paths.retain(|path| path.is_file());
        paths.sort();
        all.extend(paths);
    }
    ensure!(
        !all.is_empty(),
        "no clips in {}: expected are video files that ffmpeg reads, directly in the folder",
        names(folders)
    );
    Ok(all)
}

/// Formats folders for messages.
fn names(folders: &[PathBuf]) -> String {
    let names: Vec<_> = folders
        .iter()
        .map(|folder| folder.display().to_string())
        .collect();
    names.join(", ")
}

/// Temporary file of windows, since the `.npy` header needs their number.
struct Spool {
    temporary: rife_files::Temporary,
    file: std::io::BufWriter<std::fs::File>,
    /// Number of windows so far.
    count: usize,
}

impl Spool {
    /// Creates a temporary file in `out`.
    fn create(out: &Path, name: &str) -> Result<Self> {
        let created = rife_files::Temporary::create(|part| out.join(format!("{name}.{part}.spool")));
        let (temporary, file) = created.with_context(|| format!("cannot write into {}", out.display()))?;
        Ok(Self {
            temporary,
            file: std::io::BufWriter::new(file),
            count: 0,
        })
    }

    /// Appends a window.
    fn push(&mut self, window: &[u8]) -> Result<()> {
        use std::io::Write;
        self.count += 1;
        self.file
            .write_all(window)
            .with_context(|| format!("cannot write {}", self.temporary.path().display()))
    }

    /// Copies the windows into a `.npy` file; the shape is that of one window.
    fn finish(self, path: &Path, [frames, height, width, channels]: [usize; 4]) -> Result<()> {
        use std::io::{Read, Seek};
        let mut spool = self.file.into_inner()?;
        spool.rewind()?;
        let mut writer = Writer::create(path, [self.count, frames, height, width, channels])?;
        let mut window = vec![0; frames * height * width * channels];
        for _ in 0..self.count {
            spool.read_exact(&mut window)?;
            writer.push(&window)?;
        }
        writer.finish()
    }
}

/// Extracts the windows of one clip at all of the recipe's sizes.
fn cut(path: &Path, recipe: &DataRecipe, rng: &mut Rng) -> (Vec<Vec<u8>>, Cut) {
    let mut cut = Cut {
        clip: path.to_owned(),
        ..Cut::default()
    };
    let mut kept = Vec::new();
    let source = open_source(&SourceSpec::new(Input::File(path.to_owned())));
    let done = source
        .map_err(anyhow::Error::from)
        .and_then(|mut source| cut_source(source.as_mut(), recipe, rng, &mut cut.seen, &mut kept));
    if let Err(error) = done {
        let what = if cut.seen.frames == 0 {
            "left out"
        } else {
            "its end is left out"
        };
        cut.failed = Some(format!("{what}: {error:#}"));
    }
    cut.windows = kept.len();
    (kept, cut)
}

/// Extracts the windows of an opened clip into `kept`; after an error, windows found before it are kept.
fn cut_source(
    source: &mut dyn Source,
    recipe: &DataRecipe,
    rng: &mut Rng,
    seen: &mut Seen,
    kept: &mut Vec<Vec<u8>>,
) -> Result<()> {
    let info = source.info().clone();
    let native = info.width.min(info.height) as usize;
    let sides = recipe
        .short_sides
        .iter()
        .map(|side| native.min(*side).max(recipe.size));
    let sides: std::collections::BTreeSet<_> = sides.collect();
    let max = recipe.most_frames;
    let positions = info.frames.unwrap_or(max).clamp(1, max) as f64;
    let count = (recipe.windows_per_clip / sides.len()).max(1);
    let tries = CANDIDATES * count as f64 / positions;
    let cutters = sides.into_iter().rev();
    let mut cutters: Vec<_> = cutters
        .map(|side| Cutter::new(side, count, tries, recipe))
        .collect();
    let mut read = || -> Result<()> {
        let mut last: Option<Miniature> = None;
        while let Some(frame) = source.next_frame()? {
            if seen.frames == max {
                seen.more = true;
                break;
            }
            seen.frames += 1;
            let image = frame.to_rgb(&info.tags);
            let miniature = Miniature::new(&image);
            let is_cut = last
                .replace(miniature.clone())
                .is_some_and(|last| is_cut(&last, &miniature));
            seen.cuts += u64::from(is_cut);
            let mut repeats = false;
            for cutter in &mut cutters {
                repeats = cutter.push(&image, is_cut, rng, seen);
            }
            seen.repeated += u64::from(repeats);
        }
        Ok(())
    };
    let done = read();
    seen.warnings = source.warnings();
    kept.extend(cutters.into_iter().flat_map(Cutter::windows));
    done
}

/// Reports whether there is a scene cut between two consecutive frames.
fn is_cut(before: &Miniature, after: &Miniature) -> bool {
    SceneOptions::default().is_cut(before.similarity(after))
}

/// Extractor of the windows of one clip scaled to one size.
struct Cutter {
    /// Shorter side of the scaled frames in pixels.
    short_side: usize,
    /// Maximum number of windows kept.
    count: usize,
    /// Mean number of candidates per frame.
    tries: f64,
    /// Frames of a window.
    window: usize,
    /// Side of a window in pixels.
    size: usize,
    /// The last frames, at most `window`.
    recent: VecDeque<Recent>,
    /// Whether the last frame was dropped.
    repeating: bool,
    /// Windows with the highest scores, descending.
    kept: Ranked,
}

/// A frame that may become part of a window.
struct Recent {
    picture: Picture,
    /// Whether repetitions were dropped right before it.
    after_repeated: bool,
}

impl Cutter {
    /// Starts the extraction; `tries` is the mean number of candidates per frame.
    fn new(short_side: usize, count: usize, tries: f64, recipe: &DataRecipe) -> Self {
        let (window, size) = (recipe.window, recipe.size);
        Self {
            short_side,
            count,
            tries,
            window,
            size,
            recent: VecDeque::new(),
            repeating: false,
            kept: Vec::new(),
        }
    }

    /// Returns the pixels of the kept windows.
    fn windows(self) -> impl Iterator<Item = Vec<u8>> {
        self.kept.into_iter().map(|(_, window)| window)
    }

    /// Adds the next frame and draws candidates; returns whether the frame was dropped as a repetition.
    fn push(&mut self, image: &RgbImage, is_cut: bool, rng: &mut Rng, seen: &mut Seen) -> bool {
        let picture = scaled(image, self.short_side);
        if is_cut {
            self.recent.clear();
            self.repeating = false;
        }
        let mut after_repeated = false;
        if let Some(last) = self.recent.back() {
            if difference(&last.picture, &picture) < REPEATED {
                self.repeating = true;
                return true;
            }
            after_repeated = std::mem::take(&mut self.repeating);
        }
        self.recent.push_back(Recent {
            picture,
            after_repeated,
        });
        if self.recent.len() > self.window {
            self.recent.pop_front();
        }
        if self.recent.len() == self.window {
            let tries = self.tries as usize + usize::from(rng.chance(self.tries.fract()));
            for _ in 0..tries {
                self.try_one(rng, seen);
            }
        }
        false
    }

    /// Draws a candidate at a random position in the last frames and keeps it if it is usable and scores high enough.
    fn try_one(&mut self, rng: &mut Rng, seen: &mut Seen) {
        let [height, width] = self.recent[0].picture.size();
        let (y, x) = (
            rng.below(height - self.size + 1),
            rng.below(width - self.size + 1),
        );
        let crops = self
            .recent
            .iter()
            .map(|frame| frame.picture.crop(y, x, self.size));
        let window: Vec<_> = crops.collect();
        let over_repeated = self.recent.iter().skip(1).map(|frame| frame.after_repeated);
        let differences: Vec<_> = window
            .windows(2)
            .map(|pair| difference(&pair[0], &pair[1]))
            .zip(over_repeated)
            .collect();
        match judge(&differences) {
            Verdict::Still => seen.still += 1,
            Verdict::Uneven => seen.uneven += 1,
            Verdict::Usable(typical) => {
                let score = typical.min(MOTION_CAP) * (rng.unit() as f32).sqrt();
                let pixels = window.iter().flat_map(Picture::pixels).copied().collect();
                seen.surplus += u64::from(!self.keep(score, pixels));
            }
        }
    }

    /// Inserts a window if its score is among the highest; returns false if a window had to be dropped.
    fn keep(&mut self, score: f32, pixels: Vec<u8>) -> bool {
        let at = self.kept.partition_point(|(other, _)| *other > score);
        self.kept.insert(at, (score, pixels));
        let is_room = self.kept.len() <= self.count;
        self.kept.truncate(self.count);
        is_room
    }
}

/// Computes the mean absolute difference of two images in code values, at every fourth row and column.
fn difference(a: &Picture, b: &Picture) -> f32 {
    let [height, width] = a.size();
    let positions = (0..height)
        .step_by(4)
        .flat_map(|y| (0..width).step_by(4).map(move |x| (y, x)));
    let (sum, count) = positions.fold((0u64, 0u64), |(sum, count), (y, x)| {
        let difference: u64 = a
            .at(y, x)
            .iter()
            .zip(b.at(y, x))
            .map(|(a, b)| u64::from(a.abs_diff(b)))
            .sum();
        (sum + difference, count + 3)
    });
    sum as f32 / count.max(1) as f32
}

/// Classification of a candidate window.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Verdict {
    /// Even motion, with this median difference of consecutive frames in code values.
    Usable(f32),
    /// No motion.
    Still,
    /// A repeated or missing frame, a cut, or motion too large.
    Uneven,
}

/// Classifies a window by the differences of consecutive frames, each with whether repetitions were dropped in between.
fn judge(differences: &[(f32, bool)]) -> Verdict {
    let mut sorted: Vec<_> = differences.iter().map(|(difference, _)| *difference).collect();
    sorted.sort_by(f32::total_cmp);
    let middle = sorted.len() / 2;
    let typical = if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        (sorted[middle - 1] + sorted[middle]) / 2.0
    };
    let (min, max) = (sorted[0], sorted[sorted.len() - 1]);
    let jumps = |(difference, over): &(f32, bool)| *over && *difference > OVER_REPEATED * typical;
    if typical <= 0.8 {
        Verdict::Still
    } else if typical >= 35.0
        || min <= 0.3 * typical
        || max >= 3.0 * typical + 1.0
        || differences.iter().any(jumps)
    {
        Verdict::Uneven
    } else {
        Verdict::Usable(typical)
    }
}

/// Scales an image to the shorter side `short_side`: area average when downscaling, bilinear when upscaling.
fn scaled(image: &RgbImage, short_side: usize) -> Picture {
    let (width, height) = (image.width as usize, image.height as usize);
    let side = |n: usize| {
        ((n * short_side) as f64 / width.min(height) as f64)
            .round()
            .max(1.0) as usize
    };
    let (columns, rows) = (filters(width, side(width)), filters(height, side(height)));
    let planes = image.channels().map(|plane| {
        let narrow: Vec<f32> = plane
            .chunks_exact(width)
            .flat_map(|row| columns.iter().map(|filter| filter.apply(row, 1)))
            .collect();
        let wide = columns.len();
        rows.iter()
            .flat_map(|filter| {
                (0..wide)
                    .map(|x| filter.apply(&narrow[x..], wide))
                    .collect::<Vec<_>>()
            })
            .collect::<Vec<f32>>()
    });
    let code = |value: f32| (value.clamp(0.0, 1.0) * 255.0).round() as u8;
    let wide = columns.len();
    Picture::from_fn([rows.len(), wide], |y, x| {
        [0, 1, 2].map(|c| code(planes[c][y * wide + x]))
    })
}

/// Weights of the input samples of one output sample, from index `first` on.
struct Filter {
    /// Index of the first input sample.
    first: usize,
    /// Weights of consecutive input samples.
    weights: Vec<f32>,
}

impl Filter {
    /// Computes the output sample from values at multiples of `stride`.
    fn apply(&self, values: &[f32], stride: usize) -> f32 {
        self.weights
            .iter()
            .enumerate()
            .map(|(k, weight)| weight * values[(self.first + k) * stride])
            .sum()
    }
}

/// Computes the filters that resample `from` samples to `to`: box of an output sample's area when downsampling, box of one
/// input sample around the output's centre when upsampling.
fn filters(from: usize, to: usize) -> Vec<Filter> {
    let scale = from as f64 / to as f64;
    let filter = |i: usize| {
        let (low, high) = (i as f64 * scale, (i + 1) as f64 * scale);
        let middle = (low + high) / 2.0;
        let (low, high) = if scale < 1.0 {
            (middle - 0.5, middle + 0.5)
        } else {
            (low, high)
        };
        let first = low.floor().max(0.0) as usize;
        let last = (high.ceil() as usize).min(from);
        let overlap = |k: usize| ((k + 1) as f64).min(high) - (k as f64).max(low);
        let weights: Vec<_> = (first..last.max(first + 1))
            .map(|k| overlap(k).max(0.0))
            .collect();
        let sum: f64 = weights.iter().sum();
        Filter {
            first,
            weights: weights.iter().map(|weight| (weight / sum) as f32).collect(),
        }
    };
    (0..to).map(filter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn still_held_and_cut_windows_are_left_out() {
        let judge = |differences: [f32; 4]| super::judge(&differences.map(|difference| (difference, false)));
        assert_eq!(judge([5.0, 6.0, 5.0, 6.0]), Verdict::Usable(5.5));
        assert_eq!(judge([0.1, 0.1, 0.1, 0.1]), Verdict::Still);
        assert_eq!(judge([5.0, 0.0, 5.0, 6.0]), Verdict::Uneven, "a held frame");
        assert_eq!(judge([5.0, 40.0, 5.0, 6.0]), Verdict::Uneven, "a cut");
        let over = [(5.0, false), (9.0, true), (5.0, false), (6.0, false)];
        assert_eq!(super::judge(&over), Verdict::Uneven, "a frame is missing");
        assert_eq!(super::judge(&over.map(|(d, _)| (d, false))), Verdict::Usable(5.5));
    }

    fn recipe() -> DataRecipe {
        DataRecipe {
            window: 5,
            size: 32,
            windows_per_clip: 8,
            most_frames: 100,
            short_sides: vec![32],
            held_out: Vec::new(),
            seed: 1,
        }
    }

    /// Extracts windows from a clip given as (scene, step) for each frame; returns the counts and the steps of the kept windows.
    fn film(frames: &[(usize, usize)]) -> (Seen, Vec<Vec<u8>>) {
        let (recipe, mut seen) = (recipe(), Seen::default());
        let mut cutter = Cutter::new(32, 64, 1.0, &recipe);
        let mut rng = Rng::new(1, 1);
        let image = |(scene, step): (usize, usize)| {
            let value = |i: usize| {
                let (c, y, x) = (i / (32 * 64), i / 64 % 32, i % 64);
                let at = (x + 64 - 2 * step) as f32 * 0.3 + (y * (1 + scene)) as f32 * 0.2;
                0.5 + 0.3 * (at + (c + 7 * scene) as f32).sin() * if scene == 0 { 1.0 } else { -1.0 }
            };
            RgbImage::new(64, 32, (0..3 * 32 * 64).map(value).collect())
        };
        let mut last: Option<Miniature> = None;
        for at in frames {
            let image = image(*at);
            let miniature = Miniature::new(&image);
            let cut = last.as_ref().is_some_and(|last| is_cut(last, &miniature));
            seen.cuts += u64::from(cut);
            seen.repeated += u64::from(cutter.push(&image, cut, &mut rng, &mut seen));
            last = Some(miniature);
        }
        (seen, cutter.windows().collect())
    }

    #[test]
    fn repeated_frames_are_dropped_and_even_motion_is_found_again() {
        let smooth: Vec<_> = (0..10).map(|i| (0, i)).collect();
        let (seen, windows) = film(&smooth);
        assert_eq!((seen.repeated, seen.cuts, windows.len()), (0, 0, 6));
        let doubled: Vec<_> = (0..20).map(|i| (0, i / 2)).collect();
        let (seen, windows) = film(&doubled);
        assert_eq!(
            (seen.repeated, windows.len()),
            (10, 6),
            "each frame twice, without a loss"
        );
        let missing: Vec<_> = [0, 1, 2, 3, 3, 5, 6, 7, 8].map(|i| (0, i)).to_vec();
        let (seen, windows) = film(&missing);
        assert_eq!(
            (seen.repeated, seen.uneven, windows.len()),
            (1, 4, 0),
            "frame 4 is missing"
        );
    }

    #[test]
    fn no_window_crosses_a_cut() {
        let frames: Vec<_> = (0..12).map(|i| (usize::from(i >= 6), i)).collect();
        let (seen, windows) = film(&frames);
        assert_eq!((seen.cuts, windows.len()), (1, 4), "two windows on each side");
    }

    #[test]
    fn windows_that_move_more_are_preferred() {
        let mut cutter = Cutter::new(32, 3, 1.0, &recipe());
        for score in [1.0, 5.0, 2.0, 4.0, 3.0] {
            cutter.keep(score, vec![score as u8]);
        }
        assert_eq!(cutter.windows().collect::<Vec<_>>(), [[5], [4], [3]]);
    }

    #[test]
    fn scaling_keeps_means_and_sizes() {
        let ramp: Vec<f32> = (0..3 * 40 * 30).map(|i| (i % 40) as f32 / 39.0).collect();
        let image = RgbImage::new(40, 30, ramp);
        for side in [10, 15, 30, 45] {
            let picture = scaled(&image, side);
            assert_eq!(picture.size(), [side, side * 4 / 3]);
            let mean =
                picture.pixels().iter().map(|x| f64::from(*x)).sum::<f64>() / picture.pixels().len() as f64;
            assert!((mean - 127.5).abs() < 1.0, "{side}: {mean}");
        }
    }
}
