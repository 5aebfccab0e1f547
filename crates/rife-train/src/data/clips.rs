//! Cutting windows of consecutive frames out of video clips, by the rules of `tools/prepare_corpus.py`: windows
//! without motion, with held frames or across cuts are left out, and those that move more are preferred.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rife_media::{Input, RgbImage, SourceSpec, open_source};

use super::npy::Writer;
use super::{Picture, corpus};
use crate::recipe::DataRecipe;
use crate::rng::Rng;

/// No more frames of a clip are looked at.
const FRAMES: u64 = 300;
/// Short sides that clips are reduced to, where they are larger.
const SHORT_SIDES: [usize; 2] = [540, 360];
/// Candidates for each window that is kept.
const CANDIDATES: f64 = 4.0;
/// Motion beyond this (mean difference of neighbours in code values) makes a window no more welcome.
const LIVELY: f32 = 12.0;

/// What was cut out of one clip.
#[derive(Debug, Clone)]
pub struct Cut {
    /// The clip.
    pub clip: PathBuf,
    /// Windows kept.
    pub windows: usize,
    /// Whether they are for validation.
    pub held_out: bool,
}

/// Windows with how welcome each is.
type Ranked = Vec<(f32, Vec<u8>)>;

/// Cuts the clips of a folder into `windows.npy` and `held_out.npy` in `out`, telling `report` of each clip.
///
/// Errors: a folder without files, a clip that cannot be read, an output that cannot be written.
pub fn prepare(clips: &Path, out: &Path, recipe: &DataRecipe, mut report: impl FnMut(&Cut)) -> Result<()> {
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let entries = std::fs::read_dir(clips).with_context(|| format!("cannot read {}", clips.display()))?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.retain(|path| path.is_file());
    paths.sort();
    ensure!(!paths.is_empty(), "no clips in {}", clips.display());
    let (mut training, mut held_out) = (Spool::create(out, "training")?, Spool::create(out, "held_out")?);
    for (i, path) in paths.iter().enumerate() {
        let windows = cut(path, recipe, &mut Rng::new(recipe.seed, i as u64 + 1))
            .with_context(|| format!("in the clip {}", path.display()))?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let is_held_out = recipe.held_out.iter().any(|name| *name == stem);
        report(&Cut {
            clip: path.clone(),
            windows: windows.len(),
            held_out: is_held_out,
        });
        let spool = if is_held_out { &mut held_out } else { &mut training };
        windows.iter().try_for_each(|window| spool.push(window))?;
    }
    let shape = [recipe.window, recipe.size, recipe.size, 3];
    held_out.finish(&out.join(corpus::HELD_OUT), shape)?;
    training.finish(&out.join(corpus::TRAINING), shape)
}

/// Windows on their way to the file whose header needs their number.
struct Spool {
    path: PathBuf,
    file: std::io::BufWriter<std::fs::File>,
    count: usize,
}

impl Spool {
    fn create(out: &Path, name: &str) -> Result<Self> {
        let path = out.join(format!("{name}.spool"));
        let file =
            std::fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self {
            path,
            file: std::io::BufWriter::new(file),
            count: 0,
        })
    }

    fn push(&mut self, window: &[u8]) -> Result<()> {
        use std::io::Write;
        self.count += 1;
        self.file
            .write_all(window)
            .with_context(|| format!("cannot write {}", self.path.display()))
    }

    fn finish(self, path: &Path, [frames, height, width, channels]: [usize; 4]) -> Result<()> {
        use std::io::Read;
        drop(self.file.into_inner()?);
        let mut spool = std::fs::File::open(&self.path)?;
        let mut writer = Writer::create(path, [self.count, frames, height, width, channels])?;
        let mut window = vec![0; frames * height * width * channels];
        for _ in 0..self.count {
            spool.read_exact(&mut window)?;
            writer.push(&window)?;
        }
        writer.finish()?;
        Ok(std::fs::remove_file(&self.path)?)
    }
}

/// The windows of one clip at all its sizes.
fn cut(path: &Path, recipe: &DataRecipe, rng: &mut Rng) -> Result<Vec<Vec<u8>>> {
    let mut source = open_source(&SourceSpec::new(Input::File(path.to_owned())))?;
    let info = source.info().clone();
    let native = info.width.min(info.height) as usize;
    let mut sides = SHORT_SIDES
        .map(|side| native.min(540) * side / 540)
        .map(|side| side.max(recipe.size))
        .to_vec();
    sides.dedup();
    let positions = info.frames.unwrap_or(FRAMES).clamp(1, FRAMES) as f64;
    let count = (recipe.windows_per_clip / sides.len()).max(1);
    let tries = CANDIDATES * count as f64 / positions;
    let mut cutters: Vec<_> = sides
        .into_iter()
        .map(|side| Cutter::new(side, count, tries, recipe))
        .collect();
    for _ in 0..FRAMES {
        let Some(frame) = source.next_frame()? else { break };
        let image = frame.to_rgb(&info.tags);
        for cutter in &mut cutters {
            cutter.push(&image, rng);
        }
    }
    Ok(cutters
        .into_iter()
        .flat_map(|cutter| cutter.kept.into_iter().map(|(_, window)| window))
        .collect())
}

/// Cuts windows of one size of a clip.
struct Cutter {
    short_side: usize,
    count: usize,
    /// Candidates a position.
    tries: f64,
    window: usize,
    size: usize,
    recent: VecDeque<Picture>,
    kept: Ranked,
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
            kept: Vec::new(),
        }
    }

    fn push(&mut self, image: &RgbImage, rng: &mut Rng) {
        self.recent.push_back(scaled(image, self.short_side));
        if self.recent.len() > self.window {
            self.recent.pop_front();
        }
        if self.recent.len() == self.window {
            let tries = self.tries as usize + usize::from(rng.chance(self.tries.fract()));
            for _ in 0..tries {
                self.try_one(rng);
            }
        }
    }

    fn try_one(&mut self, rng: &mut Rng) {
        let [height, width] = self.recent[0].size();
        let (y, x) = (
            rng.below(height - self.size + 1),
            rng.below(width - self.size + 1),
        );
        let window: Vec<_> = self
            .recent
            .iter()
            .map(|frame| frame.crop(y, x, self.size))
            .collect();
        let differences: Vec<_> = window
            .windows(2)
            .map(|pair| difference(&pair[0], &pair[1]))
            .collect();
        let Some(typical) = usable(&differences) else {
            return;
        };
        let welcome = typical.min(LIVELY) * (rng.unit() as f32).sqrt();
        let at = self.kept.partition_point(|(other, _)| *other > welcome);
        if at < self.count {
            self.kept.insert(
                at,
                (
                    welcome,
                    window.iter().flat_map(Picture::pixels).copied().collect(),
                ),
            );
            self.kept.truncate(self.count);
        }
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

/// The median difference of neighbours, where a window moves, holds no frame and crosses no cut.
fn usable(differences: &[f32]) -> Option<f32> {
    let mut sorted = differences.to_vec();
    sorted.sort_by(f32::total_cmp);
    let middle = sorted.len() / 2;
    let typical = if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        (sorted[middle - 1] + sorted[middle]) / 2.0
    };
    let (least, most) = (sorted[0], sorted[sorted.len() - 1]);
    let moves = typical > 0.8 && typical < 35.0;
    (moves && least > 0.3 * typical && most < 3.0 * typical + 1.0).then_some(typical)
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
        assert_eq!(usable(&[5.0, 6.0, 5.0, 6.0]), Some(5.5));
        assert_eq!(usable(&[0.1, 0.1, 0.1, 0.1]), None, "still");
        assert_eq!(usable(&[5.0, 0.0, 5.0, 6.0]), None, "a held frame");
        assert_eq!(usable(&[5.0, 40.0, 5.0, 6.0]), None, "a cut");
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
