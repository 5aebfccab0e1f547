//! Image folder datasets: each folder holds one sequence of consecutive frames. Vimeo90K triplets and septuplets (with their
//! lists), X4K1000FPS, Adobe240, and any other folder of folders of images.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use rife_media::natural_order;
use sha2::{Digest, Sha256};

use super::Picture;

/// Maximum depth of folders searched.
const MAX_DEPTH: usize = 4;
/// Extensions of images, in lower case.
const EXTENSIONS: [&str; 6] = ["png", "jpg", "jpeg", "webp", "tif", "tiff"];
/// File names of Vimeo90K's lists of sequences, for training and for test.
const LISTS: [(&str, &str); 2] = [
    ("tri_trainlist.txt", "tri_testlist.txt"),
    ("sep_trainlist.txt", "sep_testlist.txt"),
];
/// Maximum size of a list in bytes.
const MAX_LIST_BYTES: u64 = 64 << 20;
/// Minimum frames of a sequence.
const MIN_FRAMES: usize = 3;
/// Percentage of sequences of frames used for training; the last sequences, by name or by Vimeo90K's lists, are for validation.
const TRAINING_PERCENT: usize = 95;
/// Accepted layouts, for error messages.
const ACCEPTED: &str = "accepted are Vimeo90K (sequences/*/* beside tri_trainlist.txt or sep_trainlist.txt) and any \
                        folder whose folders hold three or more pictures each (.png, .jpg, .webp, .tif), in the order \
                        of their names";

/// Runs of frames below one root folder.
#[derive(Debug, Clone)]
pub struct Folders {
    root: PathBuf,
    /// Paths of the frames of each sequence.
    sequences: Vec<Vec<PathBuf>>,
}

/// Runs found below a root folder.
#[derive(Debug)]
pub struct Found {
    /// Runs for training.
    pub training: Folders,
    /// Runs for validation.
    pub held_out: Folders,
    /// Messages about folders left out, one per reason.
    pub left_out: Vec<String>,
}

impl Folders {
    /// Finds the sequences below `root`: those of Vimeo90K's training list if there is one, else all folders of three or more images
    /// except those of a test list. The last 5 percent are held out. Runs with a side below `min_side` pixels are left out.
    ///
    /// Errors: a folder that cannot be read or has another layout; a list none of whose folders exists.
    pub fn find(root: &Path, min_side: usize) -> Result<Found> {
        let mut left_out = Vec::new();
        let mut sequences = match listed(root, &mut left_out)? {
            Some(sequences) => sequences,
            None => unlisted(root, &mut left_out)?,
        };
        let all = sequences.len();
        let sizes = sequences
            .iter()
            .map(|sequence| side(&sequence[0]))
            .collect::<Result<Vec<_>>>()?;
        let mut sizes = sizes.into_iter();
        sequences.retain(|_| sizes.next().is_some_and(|side| side >= min_side));
        let small = all - sequences.len();
        ensure!(
            !sequences.is_empty(),
            "none of the {all} folders of pictures in {} has pictures of {min_side} pixels a side, the recipe's largest \
             crop",
            root.display()
        );
        if small > 0 {
            left_out.push(format!(
                "{small} folders with pictures smaller than the crop, {min_side}"
            ));
        }
        let held_out = sequences.split_off((sequences.len() * TRAINING_PERCENT / 100).max(1));
        let folders = |sequences| Self {
            root: root.to_owned(),
            sequences,
        };
        Ok(Found {
            training: folders(sequences),
            held_out: folders(held_out),
            left_out,
        })
    }

    /// Returns the number of sequences of frames.
    pub fn len(&self) -> usize {
        self.sequences.len()
    }

    /// Reports whether there are no sequences.
    pub fn is_empty(&self) -> bool {
        self.sequences.is_empty()
    }

    /// Returns the paths of a sequence's frames, in order.
    pub fn sequence(&self, index: usize) -> &[PathBuf] {
        &self.sequences[index]
    }

    /// Reads the frames with indices `picks` of sequence `index`.
    ///
    /// Errors: an image that cannot be read, or images of different sizes.
    pub fn frames(&self, index: usize, picks: &[usize]) -> Result<Vec<Picture>> {
        let paths = &self.sequences[index];
        let pictures = picks.iter().map(|at| read(&paths[*at]));
        let pictures = pictures.collect::<Result<Vec<_>>>()?;
        for (at, picture) in picks.iter().zip(&pictures) {
            let ([height, width], [rows, columns]) = (picture.size(), pictures[0].size());
            ensure!(
                [height, width] == [rows, columns],
                "{} is {width}x{height}, {} is {columns}x{rows}: a folder's pictures must be of one size",
                paths[*at].display(),
                paths[picks[0]].display()
            );
        }
        Ok(pictures)
    }

    /// Hashes names and file sizes of all frames; their content is not read.
    ///
    /// Errors: a missing file.
    pub fn hash(&self, into: &mut Sha256) -> Result<()> {
        for path in self.sequences.iter().flatten() {
            let bytes = std::fs::metadata(path)
                .with_context(|| format!("cannot read {}", path.display()))?
                .len();
            let name = path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy();
            into.update(format!("{name} {bytes}\n"));
        }
        Ok(())
    }
}

/// Reads the sequences of Vimeo90K's training list; `None` if there is no list.
fn listed(root: &Path, left_out: &mut Vec<String>) -> Result<Option<Vec<Vec<PathBuf>>>> {
    let present: Vec<_> = LISTS
        .map(|(training, _)| root.join(training))
        .into_iter()
        .filter(|path| path.is_file())
        .collect();
    let list = match present.as_slice() {
        [] => return Ok(None),
        [list] => list,
        _ => bail!(
            "{} has the lists of triplets and of septuplets: give each a folder of its own",
            root.display()
        ),
    };
    let text = rife_files::read_regular(list, MAX_LIST_BYTES);
    let text = text.with_context(|| format!("cannot read {}", list.display()))?;
    let text = String::from_utf8_lossy(&text);
    let names: Vec<_> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let mut missing = Vec::new();
    let mut sequences = Vec::new();
    for name in &names {
        ensure!(
            is_plain(name),
            "{}: the line `{name}` is no folder under sequences/",
            list.display()
        );
        let folder = root.join("sequences").join(name);
        let pictures = if folder.is_dir() {
            pictures(&folder)?
        } else {
            Vec::new()
        };
        if pictures.len() >= MIN_FRAMES {
            sequences.push(pictures);
        } else {
            missing.push(*name);
        }
    }
    ensure!(
        !sequences.is_empty(),
        "{} names {} folders, none of which is in {} with three pictures or more",
        list.display(),
        names.len(),
        root.join("sequences").display()
    );
    if let Some(first) = missing.first() {
        left_out.push(format!(
            "{} of the {} folders that {} names, which are missing or hold fewer than three pictures: {first}{}",
            missing.len(),
            names.len(),
            list.display(),
            if missing.len() > 1 { " and others" } else { "" }
        ));
    }
    Ok(Some(sequences))
}

/// Reports whether a list's line is a plain relative path, without `..`.
fn is_plain(name: &str) -> bool {
    Path::new(name)
        .components()
        .all(|component| matches!(component, std::path::Component::Normal(_)))
}

/// Finds all folders with enough images that no test list names.
fn unlisted(root: &Path, left_out: &mut Vec<String>) -> Result<Vec<Vec<PathBuf>>> {
    let mut sequences = Vec::new();
    let mut short = Vec::new();
    find_in(root, MAX_DEPTH, &mut |folder, pictures| {
        if pictures.len() >= MIN_FRAMES {
            sequences.push(pictures);
        } else if !pictures.is_empty() {
            short.push(folder.to_owned());
        }
    })?;
    let test: HashSet<PathBuf> = LISTS
        .iter()
        .flat_map(|(_, list)| rife_files::read_regular(&root.join(list), MAX_LIST_BYTES).ok())
        .flat_map(|text| {
            let text = String::from_utf8_lossy(&text);
            let folder = |line: &str| root.join("sequences").join(line.trim());
            text.lines().map(folder).collect::<Vec<_>>()
        })
        .collect();
    let before = sequences.len();
    sequences
        .retain(|sequence: &Vec<PathBuf>| !sequence[0].parent().is_some_and(|folder| test.contains(folder)));
    if sequences.len() < before {
        left_out.push(format!("{} folders of the test list", before - sequences.len()));
    }
    if let Some(first) = short.first() {
        left_out.push(format!(
            "{} folders of one or two pictures: {}{}",
            short.len(),
            first.display(),
            if short.len() > 1 { " and others" } else { "" }
        ));
    }
    ensure!(
        !sequences.is_empty(),
        "no folder of three pictures or more in {}; {ACCEPTED}",
        root.display()
    );
    Ok(sequences)
}

/// Calls `found` with the images of a folder and of its subfolders, `depth` levels deep, sorted by name.
fn find_in(folder: &Path, depth: usize, found: &mut impl FnMut(&Path, Vec<PathBuf>)) -> Result<()> {
    found(folder, pictures(folder)?);
    let mut inner: Vec<_> = entries(folder)?
        .into_iter()
        .filter(|path| path.is_dir())
        .collect();
    inner.sort();
    for folder in inner.iter().filter(|_| depth > 0) {
        find_in(folder, depth - 1, found)?;
    }
    Ok(())
}

/// Lists a folder's images in the natural order of their names.
fn pictures(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = entries(folder)?;
    paths.retain(|path| {
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        extension.is_some_and(|e| EXTENSIONS.contains(&e.as_str()))
    });
    let name = |path: &PathBuf| {
        path.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    paths.sort_by(|a, b| natural_order(&name(a), &name(b)));
    Ok(paths)
}

/// Lists the entries of a folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("cannot read the folder {}; {ACCEPTED}", folder.display()))?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

/// Reads an image's shorter side in pixels from its header.
fn side(path: &Path) -> Result<usize> {
    let size = image::image_dimensions(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(size.0.min(size.1) as usize)
}

/// Reads an image, converted to 8-bit RGB.
fn read(path: &Path) -> Result<Picture> {
    let image = image::open(path)
        .with_context(|| format!("cannot read {}", path.display()))?
        .into_rgb8();
    let size = [image.height() as usize, image.width() as usize];
    Ok(Picture::new(size, image.into_raw()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes images of 8x4 pixels with grey levels from `first` up.
    fn sequence(folder: &Path, names: &[&str], first: u8) {
        std::fs::create_dir_all(folder).unwrap();
        for (i, name) in names.iter().enumerate() {
            let image = image::RgbImage::from_pixel(8, 4, image::Rgb([first + i as u8; 3]));
            image.save(folder.join(name)).unwrap();
        }
    }

    fn greys(folders: &Folders, index: usize) -> Vec<u8> {
        let picks: Vec<_> = (0..folders.sequence(index).len()).collect();
        let frames = folders.frames(index, &picks).unwrap();
        frames.iter().map(|frame| frame.at(0, 0)[0]).collect()
    }

    const THREE: [&str; 3] = ["im1.png", "im2.png", "im3.png"];

    #[test]
    fn vimeo_triplets_follow_their_list_and_its_last_twentieth_is_held_out() {
        let folder = tempfile::tempdir().unwrap();
        let mut list = String::new();
        for i in 0..20u8 {
            sequence(
                &folder.path().join(format!("sequences/00001/{i:04}")),
                &THREE,
                10 * i,
            );
            list += &format!("00001/{i:04}\n");
        }
        sequence(&folder.path().join("sequences/00002/0001"), &THREE, 250);
        std::fs::write(folder.path().join("tri_trainlist.txt"), list + "00001/0999\n\n").unwrap();
        let found = Folders::find(folder.path(), 4).unwrap();
        assert_eq!((found.training.len(), found.held_out.len()), (19, 1));
        assert_eq!(greys(&found.training, 2), [20, 21, 22]);
        assert_eq!(greys(&found.held_out, 0), [190, 191, 192], "the list's last");
        assert!(
            found.left_out.len() == 1 && found.left_out[0].contains("00001/0999"),
            "{:?}",
            found.left_out
        );
    }

    #[test]
    fn septuplets_and_frame_folders_are_runs_in_natural_order() {
        let folder = tempfile::tempdir().unwrap();
        let seven: Vec<_> = (1..=7).map(|i| format!("im{i}.png")).collect();
        let seven: Vec<_> = seven.iter().map(String::as_str).collect();
        sequence(&folder.path().join("vimeo/sequences/00001/0001"), &seven, 100);
        std::fs::write(folder.path().join("vimeo/sep_trainlist.txt"), "00001/0001\n").unwrap();
        let found = Folders::find(&folder.path().join("vimeo"), 4).unwrap();
        assert_eq!(greys(&found.training, 0), [100, 101, 102, 103, 104, 105, 106]);

        let many: Vec<_> = (0..12).map(|i| format!("{i}.PNG")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        sequence(&folder.path().join("x4k/002/occ008.320"), &many, 0);
        sequence(&folder.path().join("x4k/003/short"), &many[..2], 0);
        let found = Folders::find(&folder.path().join("x4k"), 4).unwrap();
        assert_eq!(greys(&found.training, 0), (0..12).collect::<Vec<u8>>());
        assert!(found.left_out[0].contains("short"), "{:?}", found.left_out);
    }

    #[test]
    fn test_lists_are_never_trained_on() {
        let folder = tempfile::tempdir().unwrap();
        sequence(&folder.path().join("sequences/00001/0001"), &THREE, 10);
        sequence(&folder.path().join("sequences/00001/0002"), &THREE, 20);
        std::fs::write(folder.path().join("tri_testlist.txt"), "00001/0002\n").unwrap();
        let found = Folders::find(folder.path(), 4).unwrap();
        assert_eq!((found.training.len(), found.held_out.len()), (1, 0));
        assert_eq!(greys(&found.training, 0), [10, 11, 12]);
        assert!(found.left_out[0].contains("test list"), "{:?}", found.left_out);
    }

    #[test]
    fn wrong_folders_are_refused_with_what_is_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let error = |path: &Path, least| format!("{:#}", Folders::find(path, least).unwrap_err());
        assert!(
            error(folder.path(), 4).contains("accepted are"),
            "an empty folder"
        );
        assert!(
            error(&folder.path().join("none"), 4).contains("none"),
            "no folder"
        );
        sequence(&folder.path().join("a"), &THREE, 10);
        assert!(error(folder.path(), 5).contains("5 pixels"), "too small");
        for line in ["/etc", "../a", "b"] {
            std::fs::write(folder.path().join("sep_trainlist.txt"), line).unwrap();
            let text = error(folder.path(), 4);
            assert!(text.contains("sep_trainlist.txt"), "{line}: {text}");
        }
        std::fs::write(folder.path().join("tri_trainlist.txt"), "a").unwrap();
        assert!(error(folder.path(), 4).contains("of its own"), "two lists");
        std::fs::remove_file(folder.path().join("tri_trainlist.txt")).unwrap();
        std::fs::remove_file(folder.path().join("sep_trainlist.txt")).unwrap();
        image::RgbImage::new(9, 9)
            .save(folder.path().join("a/im2.png"))
            .unwrap();
        let found = Folders::find(folder.path(), 4).unwrap();
        let text = format!("{:#}", found.training.frames(0, &[0, 1, 2]).unwrap_err());
        assert!(text.contains("im2.png") && text.contains("9x9"), "{text}");
    }
}
