//! Entry points of fuzz targets (`fuzz/`) for what clients send: compiled with the feature `fuzzing`, which tests and
//! the targets enable. Each returns whether it accepted the data.

use crate::api::files::{FrameRequest, disposition};
use crate::api::http::parse;
use crate::api::jobs::JobRequest;
use crate::api::session::Credentials;
use crate::state::store;

/// Parses a JSON body as that of every route; a job's options are checked as by `POST /jobs`.
#[must_use]
pub fn body(data: &[u8]) -> bool {
    let job = parse::<JobRequest>(data).and_then(|job| job.check_options());
    let others = [
        parse::<FrameRequest>(data).is_ok(),
        parse::<Credentials>(data).is_ok(),
    ];
    job.is_ok() || others.contains(&true)
}

/// Converts the file name of an upload to a label and a header for its download; true where the label keeps the name.
///
/// # Panics
/// Where the label could leave its folder or is too long, or the header is invalid.
#[must_use]
pub fn file_name(data: &[u8]) -> bool {
    let Ok(name) = std::str::from_utf8(data) else {
        return false;
    };
    let label = store::label(name);
    assert!(
        !label.contains(['/', '\\', '\0']) && label.chars().count() <= 120,
        "{label:?}"
    );
    let header = disposition("inline", &label);
    assert!(axum::http::HeaderValue::from_str(&header).is_ok(), "{header:?}");
    label == name
}
