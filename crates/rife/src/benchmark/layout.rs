//! The folders that hold triplets, recognised by what is in them.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::{Error, Result};

/// How a data set lies on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// `NAME/frame_00.png`, `frame_01_gt.png`, `frame_02.png`.
    Ucf101,
    /// `other-data/NAME/frame10.png`, `frame11.png` and `other-gt-interp/NAME/frame10i11.png`.
    Middlebury,
    /// `NAME/frame10.png`, `frame10i11.png`, `frame11.png`.
    Triplets,
    /// `tri_testlist.txt` and `sequences/NAME/im1.png`, `im2.png`, `im3.png` (or `target/` for `sequences/`).
    Vimeo90k,
}

/// Two frames and the one between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Triplet {
    /// Its name in the set.
    pub name: String,
    /// The first frame.
    pub first: PathBuf,
    /// The frame between.
    pub truth: PathBuf,
    /// The second frame.
    pub second: PathBuf,
}

/// A data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataSet {
    /// How it lies.
    pub layout: Layout,
    /// Its triplets, by name.
    pub triplets: Vec<Triplet>,
}

/// What is accepted, for an error's text.
const ACCEPTED: &str = "UCF101 (NAME/frame_00.png, frame_01_gt.png, frame_02.png), Middlebury (other-data and \
                        other-gt-interp), Vimeo90K (tri_testlist.txt and sequences) and triplets (NAME/frame10.png, \
                        frame10i11.png, frame11.png)";

impl DataSet {
    /// Finds the triplets in `folder`.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Data`] where the folder is no data set known, or a triplet lacks a file.
    pub fn open(folder: &Path) -> Result<Self> {
        let set = if folder.join("tri_testlist.txt").is_file() {
            vimeo(folder)?
        } else if folder.join("other-data").is_dir() {
            let (data, truth) = (folder.join("other-data"), folder.join("other-gt-interp"));
            by_folder(
                Layout::Middlebury,
                &data,
                &truth,
                ["frame10.png", "frame10i11.png", "frame11.png"],
            )?
        } else {
            flat(folder)?
        };
        if set.triplets.is_empty() {
            return Err(Error::Data(format!(
                "{} holds no triplets; accepted are {ACCEPTED}",
                folder.display()
            )));
        }
        let files = set.triplets.iter().flat_map(|t| [&t.first, &t.truth, &t.second]);
        if let Some(missing) = files.into_iter().find(|path| !path.is_file()) {
            return Err(Error::Data(format!(
                "{} is missing from the data set",
                missing.display()
            )));
        }
        Ok(set)
    }
}

/// Folders of three files each, by whichever names the first of them has.
fn flat(folder: &Path) -> Result<DataSet> {
    let ucf = by_folder(
        Layout::Ucf101,
        folder,
        folder,
        ["frame_00.png", "frame_01_gt.png", "frame_02.png"],
    )?;
    if !ucf.triplets.is_empty() {
        return Ok(ucf);
    }
    by_folder(
        Layout::Triplets,
        folder,
        folder,
        ["frame10.png", "frame10i11.png", "frame11.png"],
    )
}

/// One triplet for each folder in `data` that has its first file; the truth is in the folder of the same name in
/// `truth`.
fn by_folder(layout: Layout, data: &Path, truth: &Path, names: [&str; 3]) -> Result<DataSet> {
    let mut triplets = Vec::new();
    for entry in fs::read_dir(data).map_err(|error| Error::io("open", data, error))? {
        let path = entry.map_err(|error| Error::io("read", data, error))?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.join(names[0]).is_file() {
            let truth = truth.join(&name).join(names[1]);
            triplets.push(Triplet {
                name,
                first: path.join(names[0]),
                truth,
                second: path.join(names[2]),
            });
        }
    }
    triplets.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(DataSet { layout, triplets })
}

fn vimeo(folder: &Path) -> Result<DataSet> {
    let list = folder.join("tri_testlist.txt");
    let text = fs::read_to_string(&list).map_err(|error| Error::io("read", &list, error))?;
    let frames = ["sequences", "target"].map(|name| folder.join(name));
    let frames = frames.iter().find(|frames| frames.is_dir()).ok_or_else(|| {
        Error::Data(format!(
            "{} has a list of triplets but no folder `sequences` or `target`",
            folder.display()
        ))
    })?;
    let triplet = |line: &str| {
        let inside = line.split('/').all(|part| !part.is_empty() && part != "..");
        let path = frames.join(line);
        let [first, truth, second] = ["im1.png", "im2.png", "im3.png"].map(|name| path.join(name));
        let found = Triplet {
            name: line.to_owned(),
            first,
            truth,
            second,
        };
        if inside {
            Ok(found)
        } else {
            Err(Error::Data(format!(
                "{}: {line:?} leads out of the set",
                list.display()
            )))
        }
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(DataSet {
        layout: Layout::Vimeo90k,
        triplets: lines.map(triplet).collect::<Result<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "00001/0001\n").unwrap();
        }
        folder
    }

    #[test]
    fn each_layout_is_recognised() {
        let cases: [(&[&str], Layout); 4] = [
            (
                &["1/frame_00.png", "1/frame_01_gt.png", "1/frame_02.png"],
                Layout::Ucf101,
            ),
            (
                &["a/frame10.png", "a/frame10i11.png", "a/frame11.png"],
                Layout::Triplets,
            ),
            (
                &[
                    "other-data/V/frame10.png",
                    "other-data/V/frame11.png",
                    "other-gt-interp/V/frame10i11.png",
                ],
                Layout::Middlebury,
            ),
            (
                &[
                    "tri_testlist.txt",
                    "sequences/00001/0001/im1.png",
                    "sequences/00001/0001/im2.png",
                    "sequences/00001/0001/im3.png",
                ],
                Layout::Vimeo90k,
            ),
        ];
        for (files, layout) in cases {
            let folder = folder_with(files);
            let set = DataSet::open(folder.path()).unwrap();
            assert_eq!((set.layout, set.triplets.len()), (layout, 1));
        }
    }

    #[test]
    fn a_missing_truth_and_an_empty_folder_are_named() {
        let folder = folder_with(&["a/frame10.png", "a/frame11.png"]);
        assert!(
            DataSet::open(folder.path())
                .unwrap_err()
                .to_string()
                .contains("frame10i11.png is missing")
        );
        let empty = folder_with(&["readme"]);
        assert!(
            DataSet::open(empty.path())
                .unwrap_err()
                .to_string()
                .contains("UCF101")
        );
        assert!(DataSet::open(Path::new("no/such/folder")).is_err());
    }

    #[test]
    fn a_list_cannot_lead_out_of_its_set() {
        let folder = folder_with(&["tri_testlist.txt", "sequences/x"]);
        fs::write(folder.path().join("tri_testlist.txt"), "../../etc\n").unwrap();
        assert!(
            DataSet::open(folder.path())
                .unwrap_err()
                .to_string()
                .contains("leads out")
        );
    }
}
