//! `rife report`: what interpolation does to a clip, as a page and as figures.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use rife::media::{CancelToken, Input, MediaError, SourceSpec};
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
    let figures = page.with_extension("json");
    for path in [&page, &figures] {
        if path.symlink_metadata().is_ok() && !args.overwrite {
            return Err(MediaError::Exists(path.clone()).into());
        }
    }
    if page == figures {
        return Err(Error::Usage(
            "the page needs another name: the figures go beside it as .json".into(),
        ));
    }
    let job = ReportJob {
        interpolator: args.model.spec(),
        samples: args.samples,
        worst: usize::from(args.worst),
        ..ReportJob::new(SourceSpec::new(Input::parse(&args.input)))
    };
    let mut progress = Progress::frames(None, false, args.json);
    let result = job.run(&mut |done, total| progress.set(done, total, || json!({})), cancel);
    progress.finish();
    let report = result?;
    write(&page, &report.html(), args.overwrite)?;
    write(&figures, &report.json(), args.overwrite)?;
    if args.json {
        return output::line(&report.json());
    }
    output::note(&output::plain(&text(&report)));
    [page, figures]
        .iter()
        .try_for_each(|path| output::line(&shown(path)))
}

fn default_page(input: &Path) -> Result<PathBuf> {
    let stem = input.file_stem().filter(|_| input != Path::new("-"));
    let stem =
        stem.ok_or_else(|| Error::Usage("this input has no name: name the page with --output".into()))?;
    let mut name = stem.to_owned();
    name.push("_report.html");
    Ok(input.with_file_name(name))
}

/// Writes a file that is not there; with `overwrite` replaces one, without following a link.
fn write(path: &Path, text: &str, overwrite: bool) -> Result<()> {
    if overwrite && path.symlink_metadata().is_ok() {
        std::fs::remove_file(path).map_err(|error| Error::io("remove", path, error))?;
    }
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| Error::io("write", path, error))
}

fn text(report: &Report) -> String {
    let means = &report.means;
    let row =
        |name: &str, Likeness { psnr, ssim }: Likeness| format!("{name:8} {psnr:6.2} dB  SSIM {ssim:.4}");
    let count = report.frames.len();
    format!(
        "{}: {count} of {} frames left out and rebuilt ({} beside cuts passed over)\n{}\n{}\n{}\nnearer to the truth than \
         blending in {} of {count}; mean confidence {:.3}{}",
        report.clip,
        report.frames_read,
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
