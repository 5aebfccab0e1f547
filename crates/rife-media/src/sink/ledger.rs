//! The ledger of an output of pictures that is being written: the SHA-256 and size of each picture, noted before the
//! picture gets its name. By it the next run knows which pictures are there and whole, and goes on after them.
//!
//! It is a text with a line for each picture: its number, then hash, bytes, the end of its display as numerator and
//! denominator of seconds, and how many pictures of the input had been read; of one number the last line counts. A line
//! of a number alone is a picture that is ours and may be replaced. Beside it are the journal with the job's facts, and
//! a lock. All go with the last picture.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::journal::{self, Journal, Resume};
use super::part;
use super::pictures::Pictures;
use crate::time::from_fraction;
use crate::{MediaError, Result, Time};

/// The ledger's file in the folder of an unfinished job.
pub(super) const FILE: &str = "pictures";
/// The file that is locked for as long as the job runs.
pub(super) const LOCK: &str = "lock";
/// The largest ledger that is read: more than a million pictures.
const MAX_LEDGER: u64 = 256 << 20;
/// The most pictures of an output.
const MAX_PICTURES: u64 = 1 << 32;

/// A picture that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    sha256: String,
    pub(super) bytes: u64,
    /// The end of its display.
    pub(super) end: Time,
    /// Pictures of the input that it depends on, at most.
    pictures: u64,
}

/// An open ledger. Dropped without a picture in it, its folder goes.
#[derive(Debug)]
pub(super) struct Ledger {
    journal: Journal,
    /// Nothing until the first picture.
    file: Option<File>,
    /// Pictures of an earlier run that are whole, from the first one on.
    kept: Vec<Kept>,
    /// Pictures below this number are ours, whether they are whole or not.
    listed: u64,
    pictures: Option<Pictures>,
    /// A lock dies with its process.
    _lock: File,
}

impl Ledger {
    /// Takes up what is in `folder`, or begins; `name` gives the file of each picture of `target`.
    ///
    /// # Errors
    /// [`MediaError::Busy`] where another process fills it, [`MediaError::Changed`] where another job is there; those
    /// of the file system.
    pub(super) fn open(
        folder: PathBuf,
        target: &Path,
        resume: &Resume,
        name: impl Fn(u64) -> PathBuf,
    ) -> Result<Self> {
        journal::is_folder(&folder)?;
        fs::create_dir_all(&folder).map_err(|e| MediaError::io("create", &folder, e))?;
        let lock = part::open_locked(&folder.join(LOCK), target)?;
        let path = folder.join(FILE);
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
            let found = journal::sha256(&name(index as u64)).ok()?;
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

    /// The pictures that are there, from the first one on.
    pub(super) fn kept(&self) -> &[Kept] {
        &self.kept
    }

    /// Pictures below this number are of this job, whether they are whole or not.
    pub(super) fn listed(&self) -> u64 {
        self.listed
    }

    /// Notes a picture that is about to get its name.
    pub(super) fn push(&mut self, index: u64, bytes: &[u8], end: Time) -> Result<()> {
        let picture = Kept {
            sha256: journal::sha256_of(bytes),
            bytes: bytes.len() as u64,
            end,
            pictures: self.pictures.as_ref().map_or(0, Pictures::read),
        };
        let path = self.journal.folder().join(FILE);
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
        journal::wrote();
        Ok(())
    }

    /// Removes it: the last picture is there.
    pub(super) fn remove(self) -> Result<()> {
        self.journal.remove()
    }
}

/// The pictures in the file, by their numbers; none where there is no file.
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
        // The last line may be torn, and a torn line's picture has not got its name.
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

/// Writes the file anew; none where there is no picture.
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

/// A picture's number, and what is known of it.
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
        assert!(said.contains("--crf was 18 and is 20"), "{said}");
        fs::write(place.join("3.png"), "picture 4").unwrap();
        let mut ledger = open(place, "18", false).unwrap();
        assert_eq!((ledger.kept().len(), ledger.listed()), (3, 6));
        fill(&mut ledger, place, 3..4);
        drop(ledger);
        let text = place.join(".rife-part").join(FILE);
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
