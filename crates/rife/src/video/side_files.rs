//! Files that a video job writes next to its result: the list of cuts and the confidences.

use std::path::{Path, PathBuf};

use rife_media::scene::{CutList, DetectedCut};
use rife_media::sink::{TextFile, same_file};

use super::{Confidence, VideoJob};
use crate::{Error, Result};

/// Text files, opened before the run so that invalid paths are refused early, and written completely at its end or not at
/// all.
pub(super) struct SideFiles {
    cuts: Option<TextFile>,
    confidence: Option<TextFile>,
}

impl SideFiles {
    /// Opens the files that the job names; refuses the paths of its inputs and of its result.
    pub(super) fn open(job: &VideoJob) -> Result<Self> {
        let (inputs, output) = (&job.sink.inputs, job.output_file());
        let open = |path: &Path| {
            if output.is_some_and(|output| output == path || same_file(output, path)) {
                let path = path.display();
                return Err(Error::Usage(format!(
                    "{path} is the result: what is said of it needs a name of its own"
                )));
            }
            let taken = inputs.iter().map(PathBuf::as_path);
            Ok(TextFile::create(path, job.sink.overwrite, taken)?)
        };
        Ok(Self {
            cuts: job.cuts_out.as_deref().map(open).transpose()?,
            confidence: job.confidence_out.as_deref().map(open).transpose()?,
        })
    }

    /// Writes the files.
    pub(super) fn finish(self, cuts: &[DetectedCut], confidences: &[Confidence]) -> Result<()> {
        if let Some(file) = self.cuts {
            file.finish(&CutList::write(cuts))?;
        }
        if let Some(file) = self.confidence {
            let text = serde_json::to_string(confidences).map_err(|error| Error::Data(error.to_string()))?;
            file.finish(&text)?;
        }
        Ok(())
    }
}
