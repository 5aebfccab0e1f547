//! Data sets for frame interpolation (Vimeo90K, UCF101, Middlebury, ATD-12K, SNU-FILM, HD, X4K1000FPS): recognised by the
//! files of a folder, and listed as samples of two input frames and the target frames between them.

mod clips;
mod lists;

use std::fs;
use std::path::{Path, PathBuf};

use num_rational::Ratio;
use rife::media::RgbImage;
use serde::Serialize;

use super::frame_file::{FrameFile, halved};
use super::protocol::Protocol;
use rife::{Error, Result};

/// A data set that is supported, by its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// The UCF101 triplets of the paper's authors.
    Ucf101,
    /// Middlebury's OTHER set.
    Middlebury,
    /// Any triplets with Middlebury's file names.
    Triplets,
    /// Vimeo90K's test triplets.
    Vimeo90k,
    /// The ATD-12K test triplets.
    Atd12k,
    /// SNU-FILM with its four subsets by difficulty.
    #[serde(rename = "snu-film")]
    SnuFilm,
    /// The raw 4:2:0 HD clips of the RIFE paper.
    Hd,
    /// The X4K1000FPS test scenes.
    #[serde(rename = "x-test")]
    XTest,
}

impl Layout {
    /// Name, required files and protocol of each data set, for people.
    pub const TABLE: [(Self, &str, &str, &str); 8] = [
        (
            Self::Ucf101,
            "UCF101",
            "NAME/frame_00.png, frame_01_gt.png, frame_02.png",
            "as they are",
        ),
        (
            Self::Vimeo90k,
            "Vimeo90K",
            "tri_testlist.txt; sequences/NAME/im1.png, im2.png, im3.png (or target/)",
            "as they are; SSIM of unrounded frames",
        ),
        (
            Self::Middlebury,
            "Middlebury",
            "other-data/NAME/frame10.png, frame11.png; other-gt-interp/NAME/frame10i11.png",
            "on a black canvas of 640x480",
        ),
        (
            Self::Triplets,
            "triplets",
            "NAME/frame10.png, frame10i11.png, frame11.png (or SUBSET/NAME/)",
            "as they are",
        ),
        (
            Self::Atd12k,
            "ATD-12K",
            "NAME/frame1.png, frame2.png, frame3.png (or in test_2k_540p/)",
            "2 repeated rows above and below",
        ),
        (
            Self::SnuFilm,
            "SNU-FILM",
            "test-easy.txt, -medium, -hard, -extreme (or in eval_modes/): three pictures a line",
            "edges repeated on all sides up to multiples of 32",
        ),
        (
            Self::Hd,
            "HD",
            "HD544p_GT/*.yuv, HD720p_GT/*.yuv, HD1080p_GT/*.yuv: raw 8-bit 4:2:0",
            "16, 24 or 4 repeated rows above and below (544, 720, 1080); PSNR of luma; mean over clips",
        ),
        (
            Self::XTest,
            "X-TEST",
            "TYPE/SCENE/*.png, 33 frames each (or in test/)",
            "edges repeated on all sides up to multiples of 32; mean over scenes",
        ),
    ];

    /// Returns this data set's name, required files and protocol, all for people, from [`Layout::TABLE`].
    fn row(self) -> (&'static str, &'static str, &'static str) {
        let row = Self::TABLE.iter().find(|row| row.0 == self);
        row.map_or(("", "", ""), |row| (row.1, row.2, row.3))
    }

    /// Returns the data set's name for people.
    pub fn name(self) -> &'static str {
        self.row().0
    }
}

/// A frame to interpolate, with its ground truth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The frame's name in the set, by which the image files of other programs are found.
    pub name: String,
    /// Timestep between the first frame (0) and the second (1).
    pub time: Ratio<i64>,
    /// The ground truth.
    pub truth: FrameFile,
}

/// Two input frames and the frames to interpolate between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The subset that the sample belongs to; empty if the set has no subsets.
    pub group: String,
    /// The name of the sample's clip; empty in sets of triplets.
    pub clip: String,
    /// The first frame.
    pub first: FrameFile,
    /// The second frame.
    pub second: FrameFile,
    /// The frames to interpolate, in order of time.
    pub targets: Vec<Target>,
}

impl Sample {
    /// Makes a sample of three image files, the second of which is the target.
    fn triplet(name: String, [first, truth, second]: [PathBuf; 3]) -> Self {
        Self {
            group: String::new(),
            clip: String::new(),
            first: FrameFile::Image(first),
            second: FrameFile::Image(second),
            targets: vec![Target {
                name,
                time: Ratio::new(1, 2),
                truth: FrameFile::Image(truth),
            }],
        }
    }

    /// Returns the timesteps of the targets.
    pub fn times(&self) -> Vec<Ratio<i64>> {
        self.targets.iter().map(|target| target.time).collect()
    }

    /// Iterates over all frames of the sample, the truths included.
    fn files(&self) -> impl Iterator<Item = &FrameFile> {
        let truths = self.targets.iter().map(|target| &target.truth);
        [&self.first, &self.second].into_iter().chain(truths)
    }
}

/// Options of reading a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DataSetOptions {
    /// Maximum number of samples of each subset, or of each clip; unlimited when absent.
    pub limit: Option<usize>,
    /// Number of intervals into which the time between the input frames is divided: for HD 2 (default) or 4 (HD multi 4x),
    /// for X-TEST 8 (default).
    pub factor: Option<u32>,
    /// Whether X-TEST is evaluated at half its size (2K).
    pub half: bool,
}

/// An opened data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataSet {
    /// The data set that was recognised.
    pub layout: Layout,
    /// The samples, sorted by name.
    pub samples: Vec<Sample>,
    /// Number of intervals into which the time between the input frames is divided.
    pub factor: u32,
    /// Whether frames are reduced to half their size after reading.
    pub half: bool,
}

impl DataSet {
    /// Recognises the data set in `folder` and lists its samples; all files must exist.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Data`] if the folder is no known data set or lacks a file, and [`Error::Usage`] for options
    /// that the data set does not have.
    pub fn open(folder: &Path, choice: DataSetOptions) -> Result<Self> {
        let (layout, samples, factor) = find(folder, choice.factor)?;
        let clips = matches!(layout, Layout::Hd | Layout::XTest);
        if choice.factor.is_some() && !clips {
            let text = format!("{} has triplets: a factor is for HD and X-TEST", layout.name());
            return Err(Error::Usage(text));
        }
        if choice.half && layout != Layout::XTest {
            let text = format!(
                "{} is measured at one size: half size is for X-TEST",
                layout.name()
            );
            return Err(Error::Usage(text));
        }
        let mut set = Self {
            layout,
            samples,
            factor,
            half: choice.half,
        };
        if let Some(limit) = choice.limit {
            set.keep(limit);
        }
        if set.samples.is_empty() {
            return Err(unknown(folder));
        }
        set.check_files()?;
        Ok(set)
    }

    /// Keeps the first `limit` samples of each subset or clip.
    fn keep(&mut self, limit: usize) {
        let mut last = None;
        let mut seen = 0;
        self.samples.retain(|sample| {
            let subset = Some((sample.group.clone(), sample.clip.clone()));
            seen = if subset == last { seen + 1 } else { 1 };
            last = subset;
            seen <= limit
        });
    }

    /// Checks that the files of all samples exist.
    fn check_files(&self) -> Result<()> {
        let mut files = self.samples.iter().flat_map(Sample::files);
        match files.find(|file| !file.path().is_file()) {
            Some(missing) => {
                let path = missing.path().display();
                Err(Error::Data(format!("{path} is missing from the data set")))
            }
            None => Ok(()),
        }
    }

    /// Describes the protocol by which frames are scored, in a line for people.
    pub fn describe(&self) -> String {
        let frames = match self.factor {
            2 => String::new(),
            factor => format!("{} frames between two, ", factor - 1),
        };
        let half = if self.half { "halved to 2K, " } else { "" };
        format!("{frames}{half}{}", self.layout.row().2)
    }

    /// Returns the data set's evaluation protocol.
    pub(super) fn protocol(&self) -> Protocol {
        Protocol::of(self.layout)
    }

    /// Reads the two input frames of a sample.
    pub(super) fn ends(&self, sample: &Sample) -> Result<[RgbImage; 2]> {
        let (first, second) = (self.read(&sample.first)?, self.read(&sample.second)?);
        same_size(sample, &first, &second)?;
        Ok([first, second])
    }

    /// Reads the ground truth of a target, which must have the size of the input frame `input`.
    pub(super) fn truth(&self, sample: &Sample, target: &Target, input: &RgbImage) -> Result<RgbImage> {
        let truth = self.read(&target.truth)?;
        same_size(sample, input, &truth)?;
        Ok(truth)
    }

    /// Reads a frame, reduced to half its size if [`DataSet::half`] is set.
    fn read(&self, file: &FrameFile) -> Result<RgbImage> {
        let image = file.read()?;
        Ok(if self.half { halved(&image) } else { image })
    }
}

/// Checks that two frames of a sample have the same size.
fn same_size(sample: &Sample, a: &RgbImage, b: &RgbImage) -> Result<()> {
    if (a.width, a.height) == (b.width, b.height) {
        return Ok(());
    }
    let name = sample
        .targets
        .first()
        .map(|target| target.name.as_str())
        .unwrap_or_default();
    Err(Error::Data(format!(
        "the pictures of {name} differ in size: {}x{} and {}x{}",
        a.width, a.height, b.width, b.height
    )))
}

/// Makes the error for a folder without a known data set.
fn unknown(folder: &Path) -> Error {
    let accepted: Vec<String> = Layout::TABLE
        .iter()
        .map(|row| format!("{} ({})", row.1, row.2))
        .collect();
    Error::Data(format!(
        "{} holds no data set known; accepted are {}",
        folder.display(),
        accepted.join("; ")
    ))
}

/// Recognises the data set in `folder`; returns its samples and the number of intervals between input frames.
fn find(folder: &Path, factor: Option<u32>) -> Result<(Layout, Vec<Sample>, u32)> {
    let triplets = |layout, samples| Ok((layout, samples, 2));
    if folder.join("tri_testlist.txt").is_file() {
        return triplets(Layout::Vimeo90k, lists::vimeo(folder)?);
    }
    if folder.join("other-data").is_dir() {
        let (data, truth) = (folder.join("other-data"), folder.join("other-gt-interp"));
        return triplets(Layout::Middlebury, by_folder(&data, &truth, MIDDLEBURY_NAMES)?);
    }
    if let Some(samples) = lists::snu_film(folder)? {
        return triplets(Layout::SnuFilm, samples);
    }
    if let Some(samples) = clips::hd(folder, factor.unwrap_or(2))? {
        return Ok((Layout::Hd, samples, factor.unwrap_or(2)));
    }
    if let Some((layout, samples)) = flat(folder)? {
        return triplets(layout, samples);
    }
    let factor = factor.unwrap_or(8);
    Ok((Layout::XTest, clips::x_test(folder, factor)?, factor))
}

/// File names of first frame, truth and second frame in Middlebury's folders.
const MIDDLEBURY_NAMES: [&str; 3] = ["frame10.png", "frame10i11.png", "frame11.png"];

/// Recognises sets that are folders of three files each (UCF101, Triplets also in subsets, ATD-12K) by their file names;
/// `None` for others.
fn flat(folder: &Path) -> Result<Option<(Layout, Vec<Sample>)>> {
    let test = folder.join("test_2k_540p");
    let anime = if test.is_dir() { &test } else { folder };
    let known: [(Layout, &Path, [&str; 3]); 3] = [
        (
            Layout::Ucf101,
            folder,
            ["frame_00.png", "frame_01_gt.png", "frame_02.png"],
        ),
        (Layout::Triplets, folder, MIDDLEBURY_NAMES),
        (Layout::Atd12k, anime, ["frame1.png", "frame2.png", "frame3.png"]),
    ];
    for (layout, folder, names) in known {
        let samples = by_folder(folder, folder, names)?;
        if !samples.is_empty() {
            return Ok(Some((layout, samples)));
        }
    }
    let mut samples = Vec::new();
    for (subset, path) in entries(folder)?.into_iter().filter(|(_, path)| path.is_dir()) {
        for mut sample in by_folder(&path, &path, MIDDLEBURY_NAMES)? {
            sample.targets[0].name = format!("{subset}/{}", sample.targets[0].name);
            sample.group.clone_from(&subset);
            samples.push(sample);
        }
    }
    Ok((!samples.is_empty()).then_some((Layout::Triplets, samples)))
}

/// Makes a sample of each folder in `data` that has the first of three file `names`; the second, the truth, is in the folder
/// of the same name in `truth`.
fn by_folder(data: &Path, truth: &Path, names: [&str; 3]) -> Result<Vec<Sample>> {
    let folders = entries(data)?
        .into_iter()
        .filter(|(_, path)| path.join(names[0]).is_file());
    let triplet = |(name, path): (String, PathBuf)| {
        let truth = truth.join(&name).join(names[1]);
        Sample::triplet(name, [path.join(names[0]), truth, path.join(names[2])])
    };
    Ok(folders.map(triplet).collect())
}

/// Lists names and paths of a folder's entries, sorted.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| Error::io("open", folder, error))? {
        let path = entry.map_err(|error| Error::io("read", folder, error))?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        found.push((name, path));
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let bytes = if file.ends_with(".yuv") {
                vec![0; 9 * 96]
            } else {
                b"00001/0001\n".to_vec()
            };
            fs::write(path, bytes).unwrap();
        }
        folder
    }

    fn open(folder: &Path) -> Result<DataSet> {
        DataSet::open(folder, DataSetOptions::default())
    }

    #[test]
    fn each_layout_is_recognised() {
        let cases: [(&[&str], Layout); 9] = [
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
                    "wide/a/frame10.png",
                    "wide/a/frame10i11.png",
                    "wide/a/frame11.png",
                ],
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
                    "target/00001/0001/im1.png",
                    "target/00001/0001/im2.png",
                    "target/00001/0001/im3.png",
                ],
                Layout::Vimeo90k,
            ),
            (
                &[
                    "Disney_1/frame1.png",
                    "Disney_1/frame2.png",
                    "Disney_1/frame3.png",
                ],
                Layout::Atd12k,
            ),
            (
                &[
                    "test_2k_540p/D/frame1.png",
                    "test_2k_540p/D/frame2.png",
                    "test_2k_540p/D/frame3.png",
                ],
                Layout::Atd12k,
            ),
            (
                &[
                    "sequences/00001/0001/im1.png",
                    "sequences/00001/0001/im2.png",
                    "sequences/00001/0001/im3.png",
                    "tri_testlist.txt",
                ],
                Layout::Vimeo90k,
            ),
            (&["HD544p_GT/tiny_16x6.yuv"], Layout::Hd),
        ];
        for (files, layout) in cases {
            let folder = folder_with(files);
            let set = open(folder.path()).unwrap();
            assert_eq!(set.layout, layout);
            assert!(!set.samples.is_empty());
        }
    }

    #[test]
    fn a_missing_truth_and_an_empty_folder_are_named() {
        let folder = folder_with(&["a/frame10.png", "a/frame11.png"]);
        let missing = open(folder.path()).unwrap_err().to_string();
        assert!(missing.contains("frame10i11.png is missing"), "{missing}");
        let empty = folder_with(&["readme"]);
        let unknown = open(empty.path()).unwrap_err().to_string();
        assert!(
            Layout::TABLE.iter().all(|row| unknown.contains(row.1)),
            "{unknown}"
        );
        assert!(open(Path::new("no/such/folder")).is_err());
    }

    #[test]
    fn limits_are_for_each_part() {
        let sample = |group: &str, name: &str| Sample {
            group: group.into(),
            ..Sample::triplet(name.into(), [PathBuf::new(), PathBuf::new(), PathBuf::new()])
        };
        let samples = vec![
            sample("easy", "1"),
            sample("easy", "2"),
            sample("hard", "1"),
            sample("hard", "2"),
        ];
        let mut set = DataSet {
            layout: Layout::SnuFilm,
            samples,
            factor: 2,
            half: false,
        };
        set.keep(1);
        assert_eq!(
            set.samples.iter().map(|s| s.group.as_str()).collect::<Vec<_>>(),
            ["easy", "hard"]
        );
    }

    #[test]
    fn choices_that_a_layout_has_not_are_refused() {
        let folder = folder_with(&["a/frame10.png", "a/frame10i11.png", "a/frame11.png"]);
        let with = |choice| DataSet::open(folder.path(), choice).unwrap_err().to_string();
        assert!(
            with(DataSetOptions {
                factor: Some(4),
                ..DataSetOptions::default()
            })
            .contains("HD and X-TEST")
        );
        assert!(
            with(DataSetOptions {
                half: true,
                ..DataSetOptions::default()
            })
            .contains("X-TEST")
        );
    }
}
