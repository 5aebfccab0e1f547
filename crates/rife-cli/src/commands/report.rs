//! `rife report`: what interpolation does to a clip, as a page and as figures.

use std::path::{Path, PathBuf};

use rife::media::sink::TextFile;
use rife::media::{CancelToken, Input, SourceSpec, counted};
use rife::report::{Likeness, Report, ReportJob};
use rife::{Error, Result};
use serde_json::json;

use super::shown;
use crate::args::ReportArgs;
use crate::output;
use crate::progress::Progress;

pub(crate) fn run(args: ReportArgs, cancel: &CancelToken) -> Result<()> {
    let page = args
        .output
        .clone()
        .map_or_else(|| default_page(&args.input), Ok)?;
    let mut job = ReportJob::new(SourceSpec::new(Input::parse(&args.input)));
    job.interpolator = args.model.spec();
    (job.samples, job.worst) = (args.samples, usize::from(args.worst));
    let files = Files::create(&page, args.overwrite, [args.input.as_path()].into_iter())?;
    let report = measure(&job, args.json, cancel)?;
    let names = files.write(&report)?;
    if args.json {
        return output::line(&report.json());
    }
    output::note(&output::plain(&text(&report)));
    names.iter().try_for_each(|path| output::line(&shown(path)))
}

/// Runs the report and tells how far it is.
pub(super) fn measure(job: &ReportJob, quiet: bool, cancel: &CancelToken) -> Result<Report> {
    let mut progress = Progress::frames(None, false, quiet);
    let result = job.run(&mut |done, total| progress.set(done, total, || json!({})), cancel);
    progress.finish();
    result
}

/// The page and the figures beside it, refused before the work where they cannot be written.
pub(super) struct Files {
    names: [PathBuf; 2],
    page: TextFile,
    figures: TextFile,
}

impl Files {
    /// Makes sure that both can be written: with `overwrite` they replace what is there, but never one of `inputs`.
    pub(super) fn create<'a>(
        page: &Path,
        overwrite: bool,
        inputs: impl Iterator<Item = &'a Path> + Clone,
    ) -> Result<Self> {
        let figures = page.with_extension("json");
        if page == figures {
            return Err(Error::Usage(
                "the page needs another name: the figures go beside it as .json".into(),
            ));
        }
        Ok(Self {
            page: TextFile::create(page, overwrite, inputs.clone())?,
            figures: TextFile::create(&figures, overwrite, inputs)?,
            names: [page.to_owned(), figures],
        })
    }

    /// Writes both; returns their names.
    pub(super) fn write(self, report: &Report) -> Result<[PathBuf; 2]> {
        self.page.finish(&report.html())?;
        self.figures.finish(&report.json())?;
        Ok(self.names)
    }
}

fn default_page(input: &Path) -> Result<PathBuf> {
    let stem = input.file_stem().filter(|_| input != Path::new("-"));
    let stem =
        stem.ok_or_else(|| Error::Usage("this input has no name: name the page with --output".into()))?;
    let mut name = stem.to_owned();
    name.push("_report.html");
    Ok(input.with_file_name(name))
}

/// The means, for people.
pub(super) fn text(report: &Report) -> String {
    let means = &report.means;
    let row =
        |name: &str, Likeness { psnr, ssim }: Likeness| format!("{name:8} {psnr:6.2} dB  SSIM {ssim:.4}");
    let count = report.frames.len();
    format!(
        "{}: {count} of {} left out and rebuilt ({} beside cuts passed over)\n{}\n{}\n{}\nnearer to the truth than \
         blending in {} of {count}; mean confidence {:.3}{}",
        output::one_line(&report.clip),
        counted(report.frames_read, "frame"),
        report.beside_cuts,
        row("network", means.network),
        row("blend", means.blend),
        row("hold", means.hold),
        report.better_than_blend,
        means.confidence,
        report
            .confidence_rank_correlation
            .map_or(String::new(), |rank| format!(
                ", which ranks PSNR with a correlation of {rank:.2}"
            ))
    )
}
