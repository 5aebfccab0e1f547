//! Log of the complete images of an unfinished image sequence: SHA-256 and size of each image, written before the image is
//! renamed to its final name. The next run verifies the images with it and continues after the last complete one.
//!
//! The text file has a line per image: number, hash, bytes, end of its display as numerator and denominator in seconds, and
//! the number of input images that had been read; of several lines with one number the last counts. A line with only a number
//! is an image of this job that may be replaced. The folder also holds the journal with the job fingerprint and a lock file;
//! it is removed after the last image.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::folder::{self, IMAGE_LOG, LOCK};
use super::journal::{Journal, Resume};
use super::part;
use super::pictures::Pictures;
use crate::time::from_fraction;
use crate::{MediaError, Result, Time};

/// Maximum size of the log in bytes: more than a million images.
const MAX_LEDGER: u64 = 256 << 20;
/// Maximum number of images of an output.
const MAX_PICTURES: u64 = 1 << 32;

/// A written image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    sha256: String,
    pub(crate) bytes: u64,
    /// End of its display in seconds.
    pub(crate) end: Time,
    /// Number of input images that had been read before it was made.
    pictures: u64,
}

/// An open log. Its folder is removed on drop where it lists no image.
#[derive(Debug)]
pub(crate) struct Ledger {
    journal: Journal,
    /// The log file; `None` until the first image.
    file: Option<File>,
    /// Complete images of an earlier run, from number 0 on.
    kept: Vec<Kept>,
    /// Images below this number belong to this job, complete or not.
    listed: u64,
    pictures: Option<Pictures>,
    /// The locked file; the operating system releases the lock when the process ends.
    _lock: File,
}

impl Ledger {
    /// Opens the log in `folder` and verifies its images, or creates one; `name` returns the path of each image of the output
    /// `target`.
    ///
    /// # Errors
    /// [`MediaError::Busy`] where another process writes the output, [`MediaError::Changed`] where the folder holds a job with
    /// another fingerprint; those of the file system.
    pub(crate) fn open(
        folder: PathBuf,
        target: &Path,
        resume: &Resume,
        name: impl Fn(u64) -> PathBuf,
    ) -> Result<Self> {
        folder::is_folder(&folder)?;
        fs::create_dir_all(&folder).map_err(|e| MediaError::io("create", &folder, e))?;
        let lock = part::open_locked(&folder.join(LOCK), target)?;
        let path = folder.join(IMAGE_LOG);
        let mut listed = read(&path)?;
        if resume.restart {
            listed.iter_mut().for_each(|picture| *picture = None);
            write(&path, &listed)?;
        }
        let journal = Journal::open_in(folder, resume)?;
        let whole = |(index, picture): (usize, &Option<Kept>)| {
            let picture = picture
                .as_ref()
                .filter(|picture| journal.holds(picture.pictures))?;
            let found = folder::sha256(&name(index as u64)).ok()?;
            (found == (picture.sha256.clone(), picture.bytes)).then(|| picture.clone())
        };
        let kept: Vec<Kept> = listed.iter().enumerate().map_while(whole).collect();
        listed[kept.len()..]
            .iter_mut()
            .for_each(|picture| *picture = None);
        write(&path, &listed)?;
        Ok(Self {
            journal,
            file: None,
            kept,
            listed: listed.len() as u64,
            pictures: resume.pictures.clone(),
            _lock: lock,
        })
    }

    /// Returns the complete images of an earlier run, from number 0 on.
    pub(crate) fn kept(&self) -> &[Kept] {
        &self.kept
    }

    /// Returns the number below which images belong to this job, complete or not.
    pub(crate) fn listed(&self) -> u64 {
        self.listed
    }

    /// Logs image `index` with its file content and the end of its display, before it is renamed to its final name.
    pub(crate) fn push(&mut self, index: u64, bytes: &[u8], end: Time) -> Result<()> {
        let picture = Kept {
            sha256: folder::sha256_of(bytes),
            bytes: bytes.len() as u64,
            end,
            pictures: self.pictures.as_ref().map_or(0, Pictures::read),
        };
        let path = self.journal.folder().join(IMAGE_LOG);
        let io = |e| MediaError::io("write", &path, e);
        if self.file.is_none() {
            let mut file = rife_files::open_own(&path).map_err(io)?;
            file.seek(SeekFrom::End(0)).map_err(io)?;
            self.file = Some(file);
        }
        if let Some(file) = &mut self.file {
            file.write_all(line(index, Some(&picture)).as_bytes())
                .map_err(io)?;
        }
        folder::wrote();
        Ok(())
    }

    /// Removes the log and its folder, after the last image.
    pub(crate) fn remove(self) -> Result<()> {
        self.journal.remove()
    }
}

/// Reads the logged images by number (`None`: may be replaced); empty where there is no file.
fn read(path: &Path) -> Result<Vec<Option<Kept>>> {
    if path.symlink_metadata().is_err() {
        return Ok(Vec::new());
    }
    let io = |e| MediaError::io("read", path, e);
    let mut text = Vec::new();
    let file = rife_files::open_own(path).map_err(io)?;
    file.take(MAX_LEDGER).read_to_end(&mut text).map_err(io)?;
    let mut pictures: Vec<Option<Kept>> = Vec::new();
    for line in String::from_utf8_lossy(&text).split_inclusive('\n') {
        // The last line may be incomplete; its image has not been renamed to its final name.
        let Some((index, picture)) = line.strip_suffix('\n').and_then(parse) else {
            continue;
        };
        if index > pictures.len() as u64 {
            // Pictures are written in order.
            break;
        }
        match pictures.get_mut(index as usize) {
            Some(place) => *place = picture,
            None => pictures.push(picture),
        }
    }
    Ok(pictures)
}

/// Replaces the log file, or removes it where there are no images.
fn write(path: &Path, pictures: &[Option<Kept>]) -> Result<()> {
    let io = |e| MediaError::io("write", path, e);
    if pictures.is_empty() {
        return match fs::remove_file(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io(e)),
            _ => Ok(()),
        };
    }
    let lines = pictures.iter().enumerate();
    let text: String = lines
        .map(|(index, picture)| line(index as u64, picture.as_ref()))
        .collect();
    rife_files::replace(path, text.as_bytes()).map_err(io)
}

/// Formats the line of image `index`; `None` for an image that may be replaced.
fn line(index: u64, picture: Option<&Kept>) -> String {
    let Some(picture) = picture else {
        return format!("{index}\n");
    };
    let Kept {
        sha256,
        bytes,
        end,
        pictures,
    } = picture;
    format!(
        "{index} {sha256} {bytes} {} {} {pictures}\n",
        end.numer(),
        end.denom()
    )
}

/// Parses a line to an image's number and properties (`None`: may be replaced); `None` for an invalid line.
fn parse(line: &str) -> Option<(u64, Option<Kept>)> {
    let words: Vec<&str> = line.split(' ').collect();
    let index = words
        .first()?
        .parse()
        .ok()
        .filter(|index| *index < MAX_PICTURES)?;
    let [_, sha256, bytes, numer, denom, pictures] = words[..] else {
        return (words.len() == 1).then_some((index, None));
    };
    let picture = Kept {
        sha256: sha256.to_owned(),
        bytes: bytes.parse().ok()?,
        end: from_fraction([numer.parse().ok()?, denom.parse().ok()?])?,
        pictures: pictures.parse().ok()?,
    };
    Some((index, Some(picture)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(place: &Path, crf: &str, restart: bool) -> Result<Ledger> {
        let resume = Resume {
            restart,
            ..Resume::new(vec![("--crf".into(), crf.into())])
        };
        Ledger::open(place.join(".rife-part"), place, &resume, |index| {
            place.join(format!("{index}.png"))
        })
    }

    fn fill(ledger: &mut Ledger, place: &Path, numbers: std::ops::Range<u64>) {
        for index in numbers {
            let bytes = format!("picture {index}");
            ledger
                .push(index, bytes.as_bytes(), Time::new(index as i64 + 1, 25))
                .unwrap();
            fs::write(place.join(format!("{index}.png")), bytes).unwrap();
        }
    }

    #[test]
    fn pictures_are_kept_up_to_the_first_that_is_not_whole() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path();
        let mut ledger = open(place, "18", false).unwrap();
        assert!(matches!(open(place, "18", false), Err(MediaError::Busy { .. })));
        fill(&mut ledger, place, 0..5);
        ledger
            .push(5, b"killed before it had its name", Time::from(1))
            .unwrap();
        drop(ledger);
        let ledger = open(place, "18", false).unwrap();
        assert_eq!((ledger.kept().len(), ledger.listed()), (5, 6));
        assert_eq!(ledger.kept()[4].end, Time::new(5, 25));
        drop(ledger);
        let said = open(place, "20", false).unwrap_err().to_string();
        assert!(said.contains("crf was 18 and is 20"), "{said}");
        fs::write(place.join("3.png"), "picture 4").unwrap();
        let mut ledger = open(place, "18", false).unwrap();
        assert_eq!((ledger.kept().len(), ledger.listed()), (3, 6));
        fill(&mut ledger, place, 3..4);
        drop(ledger);
        let text = place.join(".rife-part").join(IMAGE_LOG);
        let mut torn = fs::read(&text).unwrap();
        torn.extend(b"4 abcdef");
        fs::write(&text, torn).unwrap();
        let mut ledger = open(place, "18", false).unwrap();
        assert_eq!((ledger.kept().len(), ledger.listed()), (4, 6));
        fill(&mut ledger, place, 4..6);
        drop(ledger);
        assert_eq!(open(place, "18", false).unwrap().kept().len(), 6);
        let ledger = open(place, "20", true).unwrap();
        assert_eq!((ledger.kept().len(), ledger.listed()), (0, 6), "they are ours");
        ledger.remove().unwrap();
        assert!(!place.join(".rife-part").exists());
    }

    #[test]
    fn a_ledger_without_a_picture_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        drop(open(folder.path(), "18", false).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let mut ledger = open(folder.path(), "18", false).unwrap();
        fill(&mut ledger, folder.path(), 0..1);
        drop(ledger);
        assert!(folder.path().join(".rife-part").exists());
    }
}
