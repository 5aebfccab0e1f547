//! `rife report`: quality report on a clip, as an HTML page and a JSON file.

use std::path::{Path, PathBuf};

use rife::media::sink::TextFile;
use rife::media::{CancelToken, Input, SourceSpec, counted};
use rife::{Error, Result};
use rife_eval::report::{Quality, Report, ReportJob};
use serde_json::json;

use super::shown;
use crate::args::ReportArgs;
use crate::output;
use crate::progress::Progress;

/// Runs the report and writes page and JSON; prints the means and the files' paths.
pub(crate) fn run(args: ReportArgs, cancel: &CancelToken) -> Result<()> {
    let page = args
        .output
        .clone()
        .map_or_else(|| default_page(&args.input), Ok)?;
    let mut job = ReportJob::new(SourceSpec::new(Input::parse(&args.input)));
    job.interpolator = args.model.0.spec();
    (job.samples, job.worst) = (args.samples, usize::from(args.worst));
    let files = Files::create(&page, args.overwrite, [args.input.as_path()].into_iter())?;
    let report = measure(&job, args.json, cancel)?;
    let names = files.write(&report)?;
    if args.json {
        return output::line(&report.json());
    }
    output::say(&output::plain(&text(&report)));
    names.iter().try_for_each(|path| output::line(&shown(path)))
}

/// Runs the report and shows its progress unless `quiet`.
pub(super) fn measure(job: &ReportJob, quiet: bool, cancel: &CancelToken) -> Result<Report> {
    let mut progress = Progress::frames(None, false, quiet);
    let result = job.run(&mut |done, total| progress.set(done, total, || json!({})), cancel);
    progress.finish();
    result
}

/// The report's output files, opened before the run so that invalid paths are refused early.
pub(super) struct Files {
    /// Paths of page and JSON file.
    names: [PathBuf; 2],
    page: TextFile,
    json: TextFile,
}

impl Files {
    /// Opens the HTML page and, with the same name, the JSON file. With `overwrite` existing files are replaced, but never one
    /// of `inputs`.
    pub(super) fn create<'a>(
        page: &Path,
        overwrite: bool,
        inputs: impl Iterator<Item = &'a Path> + Clone,
    ) -> Result<Self> {
        let json = page.with_extension("json");
        if page == json {
            return Err(Error::Usage(
                "the page needs another name: the figures go beside it as .json".into(),
            ));
        }
        Ok(Self {
            page: TextFile::create(page, overwrite, inputs.clone())?,
            json: TextFile::create(&json, overwrite, inputs)?,
            names: [page.to_owned(), json],
        })
    }

    /// Writes both files; returns their paths.
    pub(super) fn write(self, report: &Report) -> Result<[PathBuf; 2]> {
        self.page.finish(&report.html())?;
        self.json.finish(&report.json())?;
        Ok(self.names)
    }
}

/// Returns the default path of the page: `{stem}_report.html` in the input's folder.
fn default_page(input: &Path) -> Result<PathBuf> {
    let stem = input.file_stem().filter(|_| input != Path::new("-"));
    let stem =
        stem.ok_or_else(|| Error::Usage("this input has no name: name the page with --output".into()))?;
    let mut name = stem.to_owned();
    name.push("_report.html");
    Ok(input.with_file_name(name))
}

/// Formats the mean scores for people.
pub(super) fn text(report: &Report) -> String {
    let means = &report.means;
    let row = |name: &str, quality: Quality| {
        let Quality { psnr, ssim, .. } = quality;
        let perceived = quality
            .ssimulacra2
            .map_or_else(String::new, |value| format!("  SSIMULACRA 2 {value:.2}"));
        format!("{name:8} {psnr:6.2} dB  SSIM {ssim:.4}{perceived}")
    };
    let count = report.frames.len();
    format!(
        "{}: {count} of {} left out and rebuilt ({} beside cuts passed over)\n{}\n{}\n{}\nnearer to the truth than \
         blending in {} of {count}; mean confidence {:.3}{}",
        output::one_line(&report.clip),
        counted(report.frames_read, "frame"),
        report.skipped_at_cuts,
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
