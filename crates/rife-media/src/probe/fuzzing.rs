//! Entry points of fuzz targets for the parsers of this module; see [`crate::fuzzing`].

use std::path::Path;

use super::{encrypted, length, report};

/// Containers whose headers are read, by ffprobe's names.
pub(crate) const CONTAINERS: [&str; 6] = [
    "mov,mp4,m4a,3gp,3g2,mj2",
    "matroska,webm",
    "mpegts",
    "avi",
    "flv",
    "asf",
];

/// Parses ffprobe's report, and what is derived from it.
pub(crate) fn report(data: &[u8]) -> bool {
    let path = Path::new("x");
    let _ = report::contents(path, data);
    report::parse(path, data).is_ok_and(|info| {
        let _ = info.main_video();
        true
    })
}

/// Reads the headers of the file `path` as of this container; true where they say that it is encrypted or cut off.
pub(crate) fn headers(path: &Path, container: &str) -> bool {
    let video =
        r#"{"index":0,"codec_name":"h264","codec_type":"video","width":64,"height":48,"time_base":"1/25"}"#;
    let json = format!(r#"{{"streams":[{video}],"format":{{"format_name":"{container}"}}}}"#);
    let mut info = report::parse(path, json.as_bytes()).unwrap();
    let _ = encrypted::detect(path, &mut info);
    info.streams[0].encrypted || length::cut_off(&info).is_some()
}
