//! Cutting windows of consecutive frames out of video clips. Frames that repeat the one before are dropped, no
//! window crosses a cut, windows without motion or with uneven motion are left out, and those that move more are
//! preferred. What was left out of each clip is counted and told.

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

/// Candidates for each window that is kept.
const CANDIDATES: f64 = 4.0;
/// Motion beyond this (mean difference of neighbours in code values) makes a window no more welcome.
const LIVELY: f32 = 12.0;
/// Frames that differ less than this from the one before repeat it; noise of any film is above.
const REPEATED: f32 = 0.25;
/// Over a dropped frame, neighbours may differ by so many times the window's typical difference: more means that the
/// repeated frame stood for one that is missing, and time is uneven there.
const OVER_REPEATED: f32 = 1.5;

/// What was cut out of one clip, and what was not.
#[derive(Debug, Clone, Default)]
pub struct Cut {
    /// The clip.
    pub clip: PathBuf,
    /// Windows kept.
    pub windows: usize,
    /// Whether they are for validation.
    pub held_out: bool,
    /// What was seen on the way.
    pub seen: Seen,
    /// Why the clip was left out, or its end.
    pub failed: Option<String>,
}

/// Frames and candidate windows of a clip.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Frames looked at.
    pub frames: u64,
    /// Whether there were more.
    pub more: bool,
    /// Frames dropped because they repeat the one before.
    pub repeated: u64,
    /// Cuts.
    pub cuts: u64,
    /// Candidates without motion.
    pub still: u64,
    /// Candidates whose motion is uneven or too large.
    pub uneven: u64,
    /// Usable candidates that others, which move more, were preferred to.
    pub surplus: u64,
    /// What the decoder had to say.
    pub warnings: Vec<String>,
}

impl fmt::Display for Cut {
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

/// Windows with how welcome each is.
type Ranked = Vec<(f32, Vec<u8>)>;

/// Cuts the clips of folders into `windows.npy` and `held_out.npy` in `out`, telling `report` of each clip. Clips that
/// cannot be read are told of and left out.
///
/// Errors: a folder without files, no clip that can be read, an output that cannot be written.
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

/// The files of folders, folder by folder, in the order of their names.
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

fn names(folders: &[PathBuf]) -> String {
    let names: Vec<_> = folders
        .iter()
        .map(|folder| folder.display().to_string())
        .collect();
    names.join(", ")
}

/// Windows on their way to the file whose header needs their number.
struct Spool {
    place: rife_files::Temporary,
    file: std::io::BufWriter<std::fs::File>,
    count: usize,
}

impl Spool {
    fn create(out: &Path, name: &str) -> Result<Self> {
        let created = rife_files::Temporary::create(|part| out.join(format!("{name}.{part}.spool")));
        let (place, file) = created.with_context(|| format!("cannot write into {}", out.display()))?;
        Ok(Self {
            place,
            file: std::io::BufWriter::new(file),
            count: 0,
        })
    }

    fn push(&mut self, window: &[u8]) -> Result<()> {
        use std::io::Write;
        self.count += 1;
        self.file
            .write_all(window)
            .with_context(|| format!("cannot write {}", self.place.path().display()))
    }

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

/// The windows of one clip at all its sizes.
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

/// Adds a source's windows to `kept`; those before an error stay.
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
    let most = recipe.most_frames;
    let positions = info.frames.unwrap_or(most).clamp(1, most) as f64;
    let count = (recipe.windows_per_clip / sides.len()).max(1);
    let tries = CANDIDATES * count as f64 / positions;
    let cutters = sides.into_iter().rev();
    let mut cutters: Vec<_> = cutters
        .map(|side| Cutter::new(side, count, tries, recipe))
        .collect();
    let mut read = || -> Result<()> {
        let mut last: Option<Miniature> = None;
        while let Some(frame) = source.next_frame()? {
            if seen.frames == most {
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

fn is_cut(before: &Miniature, after: &Miniature) -> bool {
    SceneOptions::default().is_cut(before.similarity(after))
}

/// Cuts windows of one size of a clip.
struct Cutter {
    short_side: usize,
    count: usize,
    /// Candidates a position.
    tries: f64,
    window: usize,
    size: usize,
    recent: VecDeque<Recent>,
    /// The last frame was dropped.
    repeating: bool,
    kept: Ranked,
}

/// A frame that may become part of a window.
struct Recent {
    picture: Picture,
    /// Frames that repeated the one before were dropped right before it.
    after_repeated: bool,
}

impl Cutter {
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

    fn windows(self) -> impl Iterator<Item = Vec<u8>> {
        self.kept.into_iter().map(|(_, window)| window)
    }

    /// Takes the next frame. Returns whether it repeats the one before and was dropped.
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
                let welcome = typical.min(LIVELY) * (rng.unit() as f32).sqrt();
                let pixels = window.iter().flat_map(Picture::pixels).copied().collect();
                seen.surplus += u64::from(!self.keep(welcome, pixels));
            }
        }
    }

    /// Keeps a window if it is among the most welcome. Returns whether none was turned away for it, nor it itself.
    fn keep(&mut self, welcome: f32, pixels: Vec<u8>) -> bool {
        let at = self.kept.partition_point(|(other, _)| *other > welcome);
        self.kept.insert(at, (welcome, pixels));
        let is_room = self.kept.len() <= self.count;
        self.kept.truncate(self.count);
        is_room
    }
}

/// Mean difference of two pictures at every fourth pixel, in code values.
fn difference(a: &Picture, b: &Picture) -> f32 {
    let [height, width] = a.size();
    let places = (0..height)
        .step_by(4)
        .flat_map(|y| (0..width).step_by(4).map(move |x| (y, x)));
    let (sum, count) = places.fold((0u64, 0u64), |(sum, count), (y, x)| {
        let off: u64 = a
            .at(y, x)
            .iter()
            .zip(b.at(y, x))
            .map(|(a, b)| u64::from(a.abs_diff(b)))
            .sum();
        (sum + off, count + 3)
    });
    sum as f32 / count.max(1) as f32
}

/// What a candidate window is worth.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Verdict {
    /// It moves evenly, with this median difference of neighbours.
    Usable(f32),
    /// It does not move.
    Still,
    /// It holds a frame, crosses a cut, or moves more than can be followed.
    Uneven,
}

/// Judges a window by the differences of neighbours, each with whether repeated frames were dropped in between.
fn judge(differences: &[(f32, bool)]) -> Verdict {
    let mut sorted: Vec<_> = differences.iter().map(|(difference, _)| *difference).collect();
    sorted.sort_by(f32::total_cmp);
    let middle = sorted.len() / 2;
    let typical = if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        (sorted[middle - 1] + sorted[middle]) / 2.0
    };
    let (least, most) = (sorted[0], sorted[sorted.len() - 1]);
    let jumps = |(difference, over): &(f32, bool)| *over && *difference > OVER_REPEATED * typical;
    if typical <= 0.8 {
        Verdict::Still
    } else if typical >= 35.0
        || least <= 0.3 * typical
        || most >= 3.0 * typical + 1.0
        || differences.iter().any(jumps)
    {
        Verdict::Uneven
    } else {
        Verdict::Usable(typical)
    }
}

/// A picture whose shorter side is `short_side`: the mean of what each pixel covers, or bilinear where it grows.
fn scaled(image: &RgbImage, short_side: usize) -> Picture {
    let (width, height) = (image.width as usize, image.height as usize);
    let side = |n: usize| {
        ((n * short_side) as f64 / width.min(height) as f64)
            .round()
            .max(1.0) as usize
    };
    let (columns, rows) = (shares(width, side(width)), shares(height, side(height)));
    let planes = image.channels().map(|plane| {
        let narrow: Vec<f32> = plane
            .chunks_exact(width)
            .flat_map(|row| columns.iter().map(|s| s.of(row, 1)))
            .collect();
        let wide = columns.len();
        rows.iter()
            .flat_map(|s| (0..wide).map(|x| s.of(&narrow[x..], wide)).collect::<Vec<_>>())
            .collect::<Vec<f32>>()
    });
    let code = |value: f32| (value.clamp(0.0, 1.0) * 255.0).round() as u8;
    let wide = columns.len();
    Picture::from_fn([rows.len(), wide], |y, x| {
        [0, 1, 2].map(|c| code(planes[c][y * wide + x]))
    })
}

/// The samples that one output sample is a mean of.
struct Share {
    first: usize,
    weights: Vec<f32>,
}

impl Share {
    fn of(&self, values: &[f32], stride: usize) -> f32 {
        self.weights
            .iter()
            .enumerate()
            .map(|(k, weight)| weight * values[(self.first + k) * stride])
            .sum()
    }
}

fn shares(from: usize, to: usize) -> Vec<Share> {
    let scale = from as f64 / to as f64;
    // A kernel at least one sample wide on each side is bilinear where pictures grow, a box where they shrink.
    let share = |i: usize| {
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
        Share {
            first,
            weights: weights.iter().map(|weight| (weight / sum) as f32).collect(),
        }
    };
    (0..to).map(share).collect()
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

    /// What the cutter makes of a film given as (scene, step) for each frame, and the steps of the kept windows.
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
        for welcome in [1.0, 5.0, 2.0, 4.0, 3.0] {
            cutter.keep(welcome, vec![welcome as u8]);
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
