//! Who else makes the frames of a set: averaging, ffmpeg's minterpolate, and other programs whose pictures lie in
//! folders.

use std::path::{Path, PathBuf};

use rife_media::{CancelToken, Ffmpeg, RgbImage, minterpolate};

use super::{Picture, Sample, Target};
use crate::interpolator::to_f32;
use crate::{Error, Result};

/// Names that stand for something else.
const TAKEN: [&str; 3] = ["rife", AVERAGING, MINTERPOLATE];
const AVERAGING: &str = "averaging";
const MINTERPOLATE: &str = "minterpolate";
/// What other programs' pictures may be named as.
const EXTENSIONS: [&str; 5] = ["png", "tif", "tiff", "webp", "jpg"];

/// Makes the frame of the target of this index.
pub(super) type Maker<'a> = Box<dyn Fn(usize) -> Result<RgbImage> + 'a>;

/// Another way of making the frames of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rival {
    /// The mean of both frames, weighted by time.
    Averaging,
    /// ffmpeg's motion-compensated minterpolate with its best settings.
    Minterpolate(Ffmpeg),
    /// Pictures that another program made: `FOLDER/NAME.png`, NAME being that of the frame in the set.
    Folder {
        /// The program's name.
        name: String,
        /// Where its pictures are.
        folder: PathBuf,
    },
}

impl Rival {
    /// Pictures of another program.
    ///
    /// # Errors
    /// [`Error::Usage`] for a name that stands for something else, [`Error::Data`] where the folder is none.
    pub fn folder(name: &str, folder: &Path) -> Result<Self> {
        if name.is_empty() || TAKEN.contains(&name) {
            return Err(Error::Usage(format!(
                "{name:?} cannot name another program's pictures: it is taken"
            )));
        }
        if !folder.is_dir() {
            return Err(Error::Data(format!(
                "{} of {name} is no folder",
                folder.display()
            )));
        }
        Ok(Self::Folder {
            name: name.to_owned(),
            folder: folder.to_owned(),
        })
    }

    /// Its name in tables.
    pub fn name(&self) -> &str {
        match self {
            Self::Averaging => AVERAGING,
            Self::Minterpolate(_) => MINTERPOLATE,
            Self::Folder { name, .. } => name,
        }
    }

    /// What makes its frame of each target of a sample.
    pub(super) fn maker<'a>(
        &'a self,
        sample: &'a Sample,
        [first, second]: [&'a RgbImage; 2],
        cancel: &CancelToken,
    ) -> Result<Maker<'a>> {
        Ok(match self {
            Self::Averaging => {
                Box::new(move |index| Ok(first.blend(second, to_f32(sample.targets[index].time))))
            }
            Self::Minterpolate(ffmpeg) => {
                // The targets of a sample are the evenly spaced frames between its two.
                let factor = sample.targets.len() as u32 + 1;
                let made = minterpolate(ffmpeg, [first, second], factor, cancel)?;
                Box::new(move |index| Ok(made[index].clone()))
            }
            Self::Folder { name, folder } => {
                Box::new(move |index| picture(name, folder, &sample.targets[index], first))
            }
        })
    }
}

fn picture(program: &str, folder: &Path, target: &Target, like: &RgbImage) -> Result<RgbImage> {
    let place = |extension: &&str| folder.join(format!("{}.{extension}", target.name));
    let Some(path) = EXTENSIONS.iter().map(place).find(|path| path.is_file()) else {
        let wanted = place(&"png");
        let text = format!(
            "{program} has no picture of {}: {} is missing",
            target.name,
            wanted.display()
        );
        return Err(Error::Data(text));
    };
    let picture = Picture::File(path.clone()).read()?;
    if (picture.width, picture.height) != (like.width, like.height) {
        return Err(Error::Data(format!(
            "{} is {}x{}, but the set's frame is {}x{}",
            path.display(),
            picture.width,
            picture.height,
            like.width,
            like.height
        )));
    }
    Ok(picture)
}
