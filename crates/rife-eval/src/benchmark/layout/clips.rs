//! Data sets of clips: the RIFE paper's raw HD clips, and the scenes of X4K1000FPS (X-TEST).

use std::fs;
use std::path::{Path, PathBuf};

use num_rational::Ratio;

use super::{FrameFile, Sample, Target, entries};
use crate::benchmark::frame_file::yuv_bytes;
use rife::{Error, Result};

/// Folders of HD clips, and width and height of their clips unless a clip's name contains another size.
const HD_FOLDERS: [(&str, [u32; 2]); 3] = [
    ("HD544p_GT", [1280, 544]),
    ("HD720p_GT", [1280, 720]),
    ("HD1080p_GT", [1920, 1080]),
];
/// Maximum width and height of a clip.
const MAX_SIDE: u32 = 16384;
/// Number of leading frames of an HD clip that can be the first frame of a pair.
const HD_FRAMES: u64 = 100;
/// Distance of the input frames of X-TEST in frames.
const X_TEST_STEP: usize = 32;

/// Lists the pairs of frames at a distance of `factor` in the HD clips; `None` if the folder has no such clips.
pub(super) fn hd(folder: &Path, factor: u32) -> Result<Option<Vec<Sample>>> {
    let roots = [folder.to_owned(), folder.join("HD_dataset")];
    let mut samples = None;
    for (name, size) in HD_FOLDERS {
        let Some(clips) = roots
            .iter()
            .map(|root| root.join(name))
            .find(|clips| clips.is_dir())
        else {
            continue;
        };
        let samples = samples.get_or_insert_with(Vec::new);
        for (file, path) in entries(&clips)? {
            if let Some(clip) = file.strip_suffix(".yuv") {
                samples.extend(pairs(clip, &path, size_in(clip).unwrap_or(size), factor)?);
            }
        }
    }
    match samples {
        Some(_) if !(2..=16).contains(&factor) => Err(Error::Usage(format!(
            "factor {factor} of HD clips is not between 2 and 16"
        ))),
        samples => Ok(samples),
    }
}

/// Lists the pairs of one HD clip.
fn pairs(clip: &str, path: &Path, size: [u32; 2], factor: u32) -> Result<Vec<Sample>> {
    let bytes = fs::metadata(path)
        .map_err(|error| Error::io("open", path, error))?
        .len();
    let [width, height] = size;
    let possible = size
        .iter()
        .all(|side| (2..=MAX_SIDE).contains(side) && side % 2 == 0);
    if !possible || bytes == 0 || bytes % yuv_bytes(size) != 0 {
        return Err(Error::Data(format!(
            "{} has {bytes} bytes, which are no whole frames of raw {width}x{height} 4:2:0; its size is taken from \
             WIDTHxHEIGHT in its name, else from its folder",
            path.display()
        )));
    }
    let (frames, step) = (bytes / yuv_bytes(size), u64::from(factor.max(1)));
    let frame = |index| FrameFile::Yuv {
        path: path.to_owned(),
        index,
        size,
    };
    let sample = |start: u64| Sample {
        group: format!("{height}p"),
        clip: clip.to_owned(),
        first: frame(start),
        second: frame(start + step),
        targets: between(factor, |index| {
            let number = start + u64::from(index);
            (format!("{clip}/{number:04}"), frame(number))
        }),
    };
    let starts = (0..HD_FRAMES)
        .step_by(step as usize)
        .filter(|start| start + step < frames);
    Ok(starts.map(sample).collect())
}

/// Parses `WIDTHxHEIGHT` in a clip's name, between underscores.
fn size_in(name: &str) -> Option<[u32; 2]> {
    name.split('_').find_map(|field| {
        let (width, height) = field.split_once('x')?;
        Some([width.parse().ok()?, height.parse().ok()?])
    })
}

/// Lists the samples of X-TEST: input frames at a distance of 32, with `factor - 1` evenly spaced targets between them.
pub(super) fn x_test(folder: &Path, factor: u32) -> Result<Vec<Sample>> {
    let test = folder.join("test");
    let root = if test.is_dir() { &test } else { folder };
    let mut samples = Vec::new();
    for (kind, path) in folders(root)? {
        for (scene, path) in folders(&path)? {
            let is_png = |(_, path): &(String, PathBuf)| path.extension().is_some_and(|kind| kind == "png");
            let frames: Vec<_> = entries(&path)?.into_iter().filter(is_png).collect();
            samples.extend(scene_samples(&kind, &scene, &frames, factor));
        }
    }
    let divides = factor > 1 && X_TEST_STEP.is_multiple_of(factor as usize);
    if !samples.is_empty() && !divides {
        let text =
            format!("factor {factor} does not divide X-TEST's 32 frames; accepted are 2, 4, 8, 16 and 32");
        return Err(Error::Usage(text));
    }
    Ok(samples)
}

/// Lists the samples of one scene; `frames` are the names and paths of its files.
fn scene_samples(kind: &str, scene: &str, frames: &[(String, PathBuf)], factor: u32) -> Vec<Sample> {
    let clip = format!("{kind}/{scene}");
    let frame = |index: usize| FrameFile::Image(frames[index].1.clone());
    let step = X_TEST_STEP / factor.max(1) as usize;
    let sample = |start: usize| Sample {
        group: kind.to_owned(),
        clip: clip.clone(),
        first: frame(start),
        second: frame(start + X_TEST_STEP),
        targets: between(factor, |index| {
            let number = start + step * index as usize;
            let name = frames[number].0.trim_end_matches(".png");
            (format!("{clip}/{name}"), frame(number))
        }),
    };
    let last = frames.len().saturating_sub(X_TEST_STEP);
    (0..last).step_by(X_TEST_STEP).map(sample).collect()
}

/// Makes the targets at 1/factor, 2/factor... of the time; `frame` returns name and file for the numerator.
fn between(factor: u32, frame: impl Fn(u32) -> (String, FrameFile)) -> Vec<Target> {
    let target = |index: u32| {
        let (name, truth) = frame(index);
        Target {
            name,
            time: Ratio::new(index.into(), factor.into()),
            truth,
        }
    };
    (1..factor).map(target).collect()
}

/// Lists names and paths of a folder's subfolders.
fn folders(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    Ok(entries(folder)?
        .into_iter()
        .filter(|(_, path)| path.is_dir())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hd_set(name: &str, bytes: usize) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("HD_dataset/HD720p_GT");
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join(name), vec![0; bytes]).unwrap();
        folder
    }

    #[test]
    fn hd_pairs_are_those_of_the_scripts() {
        let long = hd_set("park_16x4_50.yuv", 110 * 96);
        let samples = hd(long.path(), 2).unwrap().unwrap();
        assert_eq!(
            (samples.len(), samples[0].group.as_str(), samples[0].clip.as_str()),
            (50, "4p", "park_16x4_50")
        );
        assert_eq!(samples[49].targets[0].name, "park_16x4_50/0099");
        let quarters = hd(long.path(), 4).unwrap().unwrap();
        let times: Vec<_> = quarters[24].times();
        assert_eq!(
            (quarters.len(), times),
            (25, vec![Ratio::new(1, 4), Ratio::new(1, 2), Ratio::new(3, 4)])
        );
        let short = hd_set("park_16x4_50.yuv", 7 * 96);
        assert_eq!(hd(short.path(), 2).unwrap().unwrap().len(), 3);
        assert!(hd(short.path(), 1).is_err());
    }

    #[test]
    fn clips_of_another_size_are_refused() {
        let odd = hd_set("park_1280x720_50.yuv", 1000);
        let error = hd(odd.path(), 2).unwrap_err().to_string();
        assert!(
            error.contains("1280x720") && error.contains("1000 bytes"),
            "{error}"
        );
    }

    #[test]
    fn x_test_has_seven_frames_between_every_32nd() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("test/Type1/TEST01");
        fs::create_dir_all(&place).unwrap();
        for index in 0..33 {
            fs::write(place.join(format!("{index:04}.png")), "").unwrap();
        }
        let samples = x_test(folder.path(), 8).unwrap();
        assert_eq!((samples.len(), samples[0].targets.len()), (1, 7));
        assert_eq!(samples[0].targets[0].name, "Type1/TEST01/0004");
        assert_eq!(samples[0].second.path(), place.join("0032.png"));
        assert_eq!(
            x_test(folder.path(), 4).unwrap()[0].targets[2].name,
            "Type1/TEST01/0024"
        );
        assert!(
            x_test(folder.path(), 5)
                .unwrap_err()
                .to_string()
                .contains("accepted are 2, 4")
        );
    }
}
