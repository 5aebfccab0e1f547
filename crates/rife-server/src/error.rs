//! API errors: stable codes, each with an HTTP status, and messages in which paths of this machine are replaced.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rife::media::MediaError;
use rife::{Error, ErrorKind};
use serde_json::{Map, Value, json};

use crate::reason::{self, Params, Reason};

/// Result with an [`ApiError`].
pub(crate) type Result<T> = std::result::Result<T, ApiError>;

/// Defines [`Code`] from lines of variant, name in the API, and HTTP status.
macro_rules! codes {
    ($($name:ident $text:literal $status:literal,)*) => {
        /// Stable error code for programs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Code { $($name,)* }

        impl Code {
            /// All codes.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the name in the API.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Returns the HTTP status.
            pub(crate) fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }
        }
    };
}

codes! {
    BadRequest "bad_request" 400,
    Unauthorized "unauthorized" 401,
    BadOrigin "bad_origin" 403,
    Forbidden "forbidden" 403,
    NotFound "not_found" 404,
    NoPreview "no_preview" 404,
    MethodNotAllowed "method_not_allowed" 405,
    Timeout "timeout" 408,
    UploadOffset "upload_offset" 409,
    UploadIncomplete "upload_incomplete" 409,
    Busy "busy" 409,
    LengthRequired "length_required" 411,
    TooLarge "too_large" 413,
    UnsupportedType "unsupported_type" 415,
    Range "range" 416,
    BadHost "bad_host" 421,
    InvalidOption "invalid_option" 422,
    BadInput "bad_input" 422,
    NoFrame "no_frame" 422,
    QueueFull "queue_full" 429,
    TooMany "too_many" 429,
    Internal "internal" 500,
    NoFfmpeg "no_ffmpeg" 503,
    ShuttingDown "shutting_down" 503,
    Quota "quota" 507,
    // Codes of failed jobs only, never of a response.
    Failed "failed" 500,
    Model "model" 500,
    Interrupted "interrupted" 500,
    BadResult "bad_result" 500,
}

/// Error of a request or a job.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) code: Code,
    /// The message in English.
    message: String,
    /// The message's entry in the catalogue with its parameters, for translation.
    reason: Option<(Reason, Params)>,
    /// Further fields of the error object.
    fields: Map<String, Value>,
    /// Seconds for the header `Retry-After`.
    retry_after: Option<u32>,
}

impl ApiError {
    /// Creates an error with a message that is not in the catalogue.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            reason: None,
            fields: Map::new(),
            retry_after: None,
        }
    }

    /// Creates an error with a message of the catalogue and its parameters.
    pub(crate) fn because<const N: usize>(code: Code, reason: Reason, pairs: [(&str, Value); N]) -> Self {
        let params = reason::params(pairs);
        Self {
            reason: Some((reason, params.clone())),
            ..Self::new(code, reason.fill(&params))
        }
    }

    /// Returns the message in English.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Logs `cause` and returns an error without details.
    pub(crate) fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!("internal error: {cause}");
        Self::new(
            Code::Internal,
            "an internal error occurred; the server's log has more",
        )
    }

    /// Returns the error "no such `what`".
    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("no such {what}"))
    }

    /// Creates the error for a wrong option `field`, which is also added to the parameters.
    pub(crate) fn option<const N: usize>(field: &str, reason: Reason, pairs: [(&str, Value); N]) -> Self {
        let mut params = reason::params(pairs);
        params.insert("field".into(), field.into());
        let error = Self::new(Code::InvalidOption, reason.fill(&params)).with_field("field", field);
        Self {
            reason: Some((reason, params)),
            ..error
        }
    }

    /// Adds a field to the error object.
    pub(crate) fn with_field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.into(), value.into());
        self
    }

    /// Sets the header `Retry-After`, in seconds.
    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Converts an error of the library: its kind becomes a code; its message is kept, with the server's paths replaced by the
    /// client's names of the files.
    pub(crate) fn from_library(error: &Error, names: &PathNames) -> Self {
        let message = names.hide(&error.to_string());
        let code = match (error, error.kind()) {
            (Error::Media(MediaError::FfmpegMissing { .. } | MediaError::FfmpegTooOld { .. }), _) => {
                Code::NoFfmpeg
            }
            (Error::Data(text), _) if text.contains("colours of the result") => Code::BadResult,
            (_, ErrorKind::Usage) => Code::InvalidOption,
            (_, ErrorKind::Input) => Code::BadInput,
            (_, ErrorKind::Model) => Code::Model,
            _ if is_full(error) => Code::Quota,
            _ => Code::Failed,
        };
        Self {
            reason: library_reason(error, names),
            ..Self::new(code, message)
        }
    }

    /// Replaces a code of failed jobs by the corresponding code of a request.
    pub(crate) fn for_request(mut self) -> Self {
        self.code = match self.code {
            Code::Model => Code::InvalidOption,
            Code::Failed | Code::BadResult | Code::Interrupted => Code::BadInput,
            code => code,
        };
        self
    }

    /// Returns the JSON object in the field `error`.
    pub(crate) fn body(&self) -> Value {
        let mut body = json!({"code": self.code.name(), "message": self.message});
        if let Some((reason, params)) = &self.reason {
            body["reason"] = json!(reason.name());
            body["params"] = json!(params);
        }
        for (name, value) in &self.fields {
            body[name] = value.clone();
        }
        body
    }
}

/// Returns the catalogue entry with its parameters for an error of the `rife` crate; `None` if there is none.
fn library_reason(error: &Error, names: &PathNames) -> Option<(Reason, Params)> {
    let name = |path: &std::path::Path| Value::from(names.hide(&path.display().to_string()));
    let text = |text: &str| Value::from(names.hide(text));
    let found = match error {
        Error::Media(error) => match error {
            MediaError::Io { action, path, source } => (
                Reason::Io,
                reason::params([
                    ("action", (*action).into()),
                    ("name", name(path)),
                    ("cause", text(&source.to_string())),
                ]),
            ),
            MediaError::FfmpegMissing { tool, .. } => {
                (Reason::FfmpegMissing, reason::params([("tool", (*tool).into())]))
            }
            MediaError::FfmpegTooOld { found, .. } => {
                (Reason::FfmpegTooOld, reason::params([("found", text(found))]))
            }
            MediaError::Child {
                tool,
                status,
                context,
                tail,
            } => (
                Reason::ChildFailed,
                reason::params([
                    ("tool", (*tool).into()),
                    ("status", text(status)),
                    ("context", text(context)),
                    ("cause", text(tail)),
                ]),
            ),
            MediaError::Stalled { tool, after, .. } => (
                Reason::Stalled,
                reason::params([("tool", (*tool).into()), ("seconds", after.as_secs().into())]),
            ),
            MediaError::Unreadable { path, reason: cause } => (
                Reason::Unreadable,
                reason::params([("name", name(path)), ("cause", text(cause))]),
            ),
            MediaError::NoVideo { path, .. } => (Reason::NoVideo, reason::params([("name", name(path))])),
            MediaError::Interlaced { path, order } => (
                Reason::Interlaced,
                reason::params([("name", name(path)), ("order", text(order))]),
            ),
            MediaError::Limit {
                what,
                value,
                accepted,
            } => (
                Reason::Limit,
                reason::params([
                    ("what", text(what)),
                    ("value", text(value)),
                    ("accepted", text(accepted)),
                ]),
            ),
            MediaError::Frame { frame, reason: cause } => (
                Reason::BadFrame,
                reason::params([("frame", (*frame).into()), ("cause", text(cause))]),
            ),
            MediaError::Incomplete { path, reason: cause } => (
                Reason::Incomplete,
                reason::params([("name", name(path)), ("cause", text(cause))]),
            ),
            MediaError::Unsupported(cause) => (Reason::Unsupported, reason::params([("cause", text(cause))])),
            MediaError::SegmentHeaders => {
                let cause = error.to_string();
                (Reason::Unsupported, reason::params([("cause", text(&cause))]))
            }
            _ => return None,
        },
        Error::Io { action, path, source } => (
            Reason::Io,
            reason::params([
                ("action", (*action).into()),
                ("name", name(path)),
                ("cause", text(&source.to_string())),
            ]),
        ),
        _ => return None,
    };
    Some(found)
}

/// Reports whether the error means that the disk or a quota of the system is full.
fn is_full(error: &Error) -> bool {
    let source = match error {
        Error::Io { source, .. } | Error::Media(MediaError::Io { source, .. }) => source,
        _ => return false,
    };
    matches!(
        source.kind(),
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
    )
}

impl IntoResponse for ApiError {
    /// Returns the error as JSON with its status, `Retry-After`, and `WWW-Authenticate` for 401.
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(json!({"error": self.body()}))).into_response();
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.code == Code::Unauthorized {
            let challenge = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl From<std::io::Error> for ApiError {
    /// Converts an I/O error: a full disk is 507, everything else is logged and 500.
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                Self::new(Code::Quota, "the disk is full")
            }
            _ => Self::internal(error),
        }
    }
}

/// Replacements of paths of this machine by the client's file names.
#[derive(Debug, Default, Clone)]
pub(crate) struct PathNames(Vec<(String, String)>);

impl PathNames {
    /// Replaces `path` by `name`.
    pub(crate) fn add(&mut self, path: &std::path::Path, name: &str) {
        self.0.push((path.display().to_string(), name.to_owned()));
    }

    /// Returns `text` with known paths replaced by the client's file names, other absolute paths by their last component, and
    /// control characters by spaces.
    pub(crate) fn hide(&self, text: &str) -> String {
        let known = self
            .0
            .iter()
            .fold(text.to_owned(), |text, (path, name)| text.replace(path, name));
        let words: Vec<String> = known.split(' ').map(strip_folders).collect();
        words
            .join(" ")
            .chars()
            .map(|c| if c.is_control() && c != '\n' { ' ' } else { c })
            .collect()
    }
}

/// Replaces an absolute path in a word by its last component.
fn strip_folders(word: &str) -> String {
    let Some(start) = word.find('/').filter(|&at| word[at + 1..].contains('/')) else {
        return word.to_owned();
    };
    let before = &word[..start];
    let starts_path = before.is_empty() || before.ends_with(['\'', '"', '(', '[', ':', '=']);
    match word.rfind('/') {
        Some(end) if starts_path => format!("{before}{}", &word[end + 1..]),
        _ => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn messages_keep_names_and_lose_paths() {
        let mut names = PathNames::default();
        names.add(Path::new("/data/jobs/job_1/in/0.mp4"), "my clip.mp4");
        let shown =
            names.hide("/data/jobs/job_1/in/0.mp4: file:/usr/lib/x.so said 30000/1001 \x1b[31m and '/a/b'");
        assert_eq!(shown, "my clip.mp4: file:x.so said 30000/1001  [31m and 'b'");
    }

    #[test]
    fn the_table_of_the_docs_is_this_one() {
        let docs = include_str!("../../../docs/api.md");
        for code in Code::ALL
            .iter()
            .filter(|code| code.status() != 500 || **code == Code::Internal)
        {
            let row = format!("| `{}` | {} |", code.name(), code.status());
            assert!(docs.contains(&row), "{row}");
        }
    }
}
