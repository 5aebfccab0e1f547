//! `multipart/form-data` (RFC 7578) with a single file, as sent by curl's `-F`, `requests.post(files=…)` and HTML forms.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use multer::{Field, Multipart};

use crate::error::{ApiError, Code, Result};

/// Form of which the first file has been found.
pub(super) struct Form {
    /// The parser, behind that file.
    rest: Multipart<'static>,
    client_timeout: Duration,
    /// The file name in the form.
    pub(super) name: Option<String>,
}

impl Form {
    /// Parses a form up to its first file, skipping other fields; returns the form and a request whose body is the file.
    pub(super) async fn open(request: Request, client_timeout: Duration) -> Result<(Self, Request)> {
        let kind = request.headers().get(CONTENT_TYPE);
        let boundary = kind
            .and_then(|kind| multer::parse_boundary(kind.to_str().ok()?).ok())
            .ok_or_else(|| ApiError::new(Code::BadRequest, "the form's Content-Type has no boundary"))?;
        let rest = Multipart::new(request.into_body().into_data_stream(), boundary);
        let mut form = Self {
            rest,
            client_timeout,
            name: None,
        };
        let file = form
            .next()
            .await?
            .ok_or_else(|| ApiError::new(Code::BadRequest, "the form has no file"))?;
        form.name = file.file_name().map(str::to_owned);
        Ok((form, Request::new(Body::from_stream(file))))
    }

    /// Returns the next file of the form.
    async fn next(&mut self) -> Result<Option<Field<'static>>> {
        loop {
            let Ok(field) = tokio::time::timeout(self.client_timeout, self.rest.next_field()).await else {
                let text = format!("no data was received for {} s", self.client_timeout.as_secs());
                return Err(ApiError::new(Code::Timeout, text));
            };
            let wrong = |error| ApiError::new(Code::BadRequest, format!("the form cannot be read: {error}"));
            match field.map_err(wrong)? {
                Some(field) if field.file_name().is_none() => {}
                other => return Ok(other),
            }
        }
    }

    /// Reads the form to its end; returns an error if it has a second file.
    pub(super) async fn end(mut self) -> Result<()> {
        match self.next().await? {
            None => Ok(()),
            Some(_) => Err(ApiError::new(
                Code::BadRequest,
                "the form has several files; send each in a separate request",
            )),
        }
    }
}
