//! Extraction of triplets from video clips: three data sets of consecutive and of farther frames ([`SETS`]), written as PNG
//! files in the layout [`super::Layout::Triplets`] with subsets. The choice depends on the clips' content and the options alone.
//!
//! Times are counted in the distance from a given frame to the truth: the given frames are 0 and 2, the truth is 1; -2 and 4
//! are the frames before and after the pair. All frames from -2 to 4 belong to one shot, without repeated or missing frames.

use std::fs;
use std::path::{Path, PathBuf};

use rife::media::scene::{Miniature, SceneOptions};
use rife::media::sink::write_image;
use rife::media::{CancelToken, ColorTags, Frame, PixelFormat, RgbImage};
use serde::{Deserialize, Serialize};

use super::clip_comparison::Clip;
use super::frame_file::halved;
use super::motion_steps::sequences;
use rife::{Error, Result};

/// Name, distance in frames from a given frame to the truth, and divisor of [`TripletOptions::lines`] of each set.
const SETS: [(&str, usize, u32); 3] = [("neighbour", 1, 1), ("small", 1, 2), ("wide", 2, 1)];
/// Files of a triplet with their times.
const FILES: [(&str, isize); 5] = [
    ("frame09.png", -2),
    ("frame10.png", 0),
    ("frame10i11.png", 1),
    ("frame11.png", 2),
    ("frame12.png", 4),
];
/// Maximum number of frames that are read from a clip.
const MAX_FRAMES: usize = 300;
/// Name of the file with the options in a folder of triplets.
const MANIFEST: &str = "triplets.json";

/// Options of cutting triplets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TripletOptions {
    /// Maximum number of triplets per clip and set.
    pub per_clip: usize,
    /// Frames are halved (2x2 means) until their shorter side has at most this many pixels.
    pub lines: u32,
    /// Whether the frames before and after the pair are written too.
    pub context: bool,
}

/// The content of [`MANIFEST`].
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Manifest {
    #[serde(flatten)]
    options: TripletOptions,
    /// The clips' names, sorted.
    clips: Vec<String>,
}

/// What was cut from one clip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClipTriplets {
    /// The clip's name.
    pub clip: String,
    /// Number of frames read.
    pub frames: usize,
    /// Number of triplets written, of all sets.
    pub triplets: usize,
    /// Why the clip, or its end, was left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// Cuts triplets from the clips at `paths` (clips, folders of images, or folders of these) into the new folder `folder`;
/// `progress` is called for each clip. A folder that an earlier call filled from the same clips with the same options is left
/// as it is.
///
/// # Errors
/// [`Error::Data`] if `folder` exists with other content, if two clips have the same name, or if no triplet is found;
/// those of writing; [`Error::Cancelled`]. Clips that cannot be read are left out and reported to `progress`.
pub fn cut_triplets(
    paths: &[PathBuf],
    folder: &Path,
    options: TripletOptions,
    progress: &mut dyn FnMut(&ClipTriplets),
    cancel: &CancelToken,
) -> Result<()> {
    let mut clips = Vec::new();
    for path in paths {
        clips.extend(sequences(path)?);
    }
    clips.sort();
    if let Some(pair) = clips.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        let name = &pair[0].0;
        return Err(Error::Data(format!(
            "two clips are named {name}; names must differ"
        )));
    }
    let manifest = Manifest {
        options,
        clips: clips.iter().map(|(name, _)| name.clone()).collect(),
    };
    if folder.exists() {
        return check_manifest(folder, &manifest);
    }
    let mut part = folder.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    if part.exists() {
        fs::remove_dir_all(&part).map_err(|error| Error::io("remove", &part, error))?;
    }
    let mut total = 0;
    for (name, path) in &clips {
        let mut found = ClipTriplets {
            clip: name.clone(),
            frames: 0,
            triplets: 0,
            failed: None,
        };
        match cut_clip(path, &part, options, &mut found, cancel) {
            Err(error @ (Error::Cancelled | Error::Io { .. })) => return Err(error),
            Err(error) => found.failed = Some(error.to_string()),
            Ok(()) => {}
        }
        total += found.triplets;
        progress(&found);
    }
    if total == 0 {
        return Err(Error::Data(format!(
            "no triplet found in {} clips: needed are {} consecutive frames in motion, without a cut and without repeated \
             frames",
            clips.len(),
            SETS.iter().map(|set| 6 * set.1 + 1).min().unwrap_or_default()
        )));
    }
    let json = serde_json::to_string(&manifest).expect("names and numbers are JSON");
    let path = part.join(MANIFEST);
    fs::write(&path, json + "\n").map_err(|error| Error::io("write", &path, error))?;
    fs::rename(&part, folder).map_err(|error| Error::io("create", folder, error))
}

/// Checks that `folder` was filled from the clips and with the options of `wanted`.
fn check_manifest(folder: &Path, wanted: &Manifest) -> Result<()> {
    let path = folder.join(MANIFEST);
    let read = fs::read_to_string(&path).map_err(|error| Error::io("read", &path, error));
    let Ok(found) = read.and_then(|text| {
        serde_json::from_str::<Manifest>(&text).map_err(|error| Error::Data(error.to_string()))
    }) else {
        let folder = folder.display();
        return Err(Error::Data(format!(
            "{folder} exists and holds no triplets cut from clips; accepted is a new folder"
        )));
    };
    if found == *wanted {
        return Ok(());
    }
    Err(Error::Data(format!(
        "{} was cut from {} clips with {:?}, but wanted are {} clips with {:?}; accepted is a new folder, or the same clips \
         and options",
        folder.display(),
        found.clips.len(),
        found.options,
        wanted.clips.len(),
        wanted.options
    )))
}

/// The change from a frame to the next.
#[derive(Debug, Clone, Copy)]
struct Change {
    /// Mean absolute difference in 8-bit code values.
    difference: f32,
    /// Whether there is a scene cut between the frames.
    cut: bool,
}

impl Change {
    /// Compares a frame with the next.
    fn new(a: &RgbImage, b: &RgbImage, miniatures: [&Miniature; 2]) -> Self {
        let sum: f32 = a.data.iter().zip(&b.data).map(|(a, b)| (a - b).abs()).sum();
        Self {
            difference: 255.0 * sum / a.data.len().max(1) as f32,
            cut: SceneOptions::default().is_cut(miniatures[0].similarity(miniatures[1])),
        }
    }
}

/// A triplet of a clip.
#[derive(Debug, PartialEq, Eq)]
struct Choice {
    /// Index into [`SETS`].
    set: usize,
    /// The truth's frame number.
    centre: usize,
}

/// Cuts the triplets of one clip into `folder`: one pass over the clip for the choice, one for the frames.
fn cut_clip(
    path: &Path,
    folder: &Path,
    options: TripletOptions,
    found: &mut ClipTriplets,
    cancel: &CancelToken,
) -> Result<()> {
    let changes = changes(path, options.lines, cancel)?;
    found.frames = changes.len() + 1;
    let choices = choose(&changes, options.per_clip);
    let wanted = |choice: &Choice, index: usize| {
        let distance = SETS[choice.set].1 as isize;
        let file = FILES
            .iter()
            .find(|(_, time)| choice.centre as isize + (time - 1) * distance == index as isize);
        file.filter(|(_, time)| options.context || (0..=2).contains(time))
            .map(|(name, _)| *name)
    };
    let mut clip = Clip::open(path, cancel)?;
    let last = choices
        .iter()
        .map(|choice| choice.centre + 3 * SETS[choice.set].1)
        .max();
    for index in 0..=last.unwrap_or_default() {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let Some(frame) = clip.next()? else { break };
        for choice in &choices {
            let Some(file) = wanted(choice, index) else {
                continue;
            };
            let (set, _, divisor) = SETS[choice.set];
            let folder = folder
                .join(set)
                .join(format!("{}_{:04}", found.clip, choice.centre));
            fs::create_dir_all(&folder).map_err(|error| Error::io("create", &folder, error))?;
            let small = reduced(frame.clone(), options.lines / divisor);
            let small = Frame::from_rgb(&small, PixelFormat::RGB8, &ColorTags::SRGB);
            write_image(&folder.join(file), &small, &ColorTags::SRGB, true)?;
        }
    }
    found.triplets = choices.len();
    Ok(())
}

/// Reads a clip, up to [`MAX_FRAMES`], and compares consecutive frames.
fn changes(path: &Path, lines: u32, cancel: &CancelToken) -> Result<Vec<Change>> {
    let mut clip = Clip::open(path, cancel)?;
    let mut changes = Vec::new();
    let mut last: Option<(RgbImage, Miniature)> = None;
    while changes.len() + 1 < MAX_FRAMES {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let Some(frame) = clip.next()? else { break };
        let frame = reduced(frame, lines);
        let miniature = Miniature::new(&frame);
        if let Some((before, small)) = &last {
            changes.push(Change::new(before, &frame, [small, &miniature]));
        }
        last = Some((frame, miniature));
    }
    Ok(changes)
}

/// Chooses up to `per_clip` triplets of each set, evenly spaced among those that are usable.
fn choose(changes: &[Change], per_clip: usize) -> Vec<Choice> {
    let mut choices = Vec::new();
    for (set, (_, distance, _)) in SETS.iter().enumerate() {
        let span = 6 * distance;
        let usable: Vec<usize> = changes
            .windows(span)
            .enumerate()
            .filter(|(_, window)| is_even(window))
            .map(|(first, _)| first + span / 2)
            .collect();
        let count = per_clip.min(usable.len());
        let position = |i: usize| usable[(2 * i + 1) * usable.len() / (2 * count)];
        choices.extend((0..count).map(|i| Choice {
            set,
            centre: position(i),
        }));
    }
    choices
}

/// Reports whether consecutive frames are in even motion: no cut, no repeated and no missing frame.
fn is_even(window: &[Change]) -> bool {
    /// Smallest median difference of frames in motion, in 8-bit code values.
    const MOTION: f32 = 0.8;
    let mut sorted: Vec<f32> = window.iter().map(|change| change.difference).collect();
    sorted.sort_by(f32::total_cmp);
    let typical = sorted[sorted.len() / 2];
    typical > MOTION
        && sorted[0] > 0.3 * typical
        && sorted[sorted.len() - 1] < 3.0 * typical + 1.0
        && !window.iter().any(|change| change.cut)
}

/// Halves an image until its shorter side has at most `lines` pixels.
fn reduced(image: RgbImage, lines: u32) -> RgbImage {
    let mut image = image;
    while image.width.min(image.height) > lines {
        image = halved(&image);
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steady(count: usize) -> Vec<Change> {
        vec![
            Change {
                difference: 5.0,
                cut: false
            };
            count
        ]
    }

    fn centres(changes: &[Change], set: usize, per_clip: usize) -> Vec<usize> {
        let choices = choose(changes, per_clip);
        let of_set = choices.iter().filter(|choice| choice.set == set);
        of_set.map(|choice| choice.centre).collect()
    }

    #[test]
    fn triplets_are_spread_evenly() {
        assert_eq!(centres(&steady(6), 0, 5), [3], "frames 0 to 6");
        assert_eq!(centres(&steady(5), 0, 5), [0; 0]);
        assert_eq!(centres(&steady(25), 0, 2), [8, 18], "usable are 3 to 22");
        assert_eq!(centres(&steady(12), 2, 1), [6], "the wide set needs 13 frames");
    }

    #[test]
    fn triplets_avoid_cuts_repeats_and_stillness() {
        for bad in [
            Change {
                difference: 5.0,
                cut: true,
            },
            Change {
                difference: 0.0,
                cut: false,
            },
            Change {
                difference: 17.0,
                cut: false,
            },
        ] {
            let mut changes = steady(13);
            changes[6] = bad;
            assert_eq!(centres(&changes, 0, 9), [3, 10], "{bad:?}");
        }
        let still = vec![
            Change {
                difference: 0.5,
                cut: false
            };
            13
        ];
        assert!(choose(&still, 9).is_empty());
    }

    #[test]
    fn frames_are_halved_to_the_lines() {
        let size = |lines| {
            let image = reduced(RgbImage::new(50, 41, vec![0.5; 3 * 50 * 41]), lines);
            (image.width, image.height)
        };
        assert_eq!((size(41), size(40), size(10)), ((50, 41), (25, 20), (12, 10)));
    }
}
