//! `multipart/form-data` (RFC 7578): the file of a form, as curl's `-F`, `requests.post(files=…)` and HTML forms send it.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use multer::{Field, Multipart};

use crate::error::{ApiError, Code, Result};

/// A form whose file has been found, and is read as a request's body of its own.
pub(super) struct Form {
    rest: Multipart<'static>,
    patience: Duration,
    /// What the client calls the file.
    pub(super) name: Option<String>,
}

impl Form {
    /// Reads up to the first file. Other fields are passed over.
    pub(super) async fn open(request: Request, patience: Duration) -> Result<(Self, Request)> {
        let kind = request.headers().get(CONTENT_TYPE);
        let boundary = kind
            .and_then(|kind| multer::parse_boundary(kind.to_str().ok()?).ok())
            .ok_or_else(|| ApiError::new(Code::BadRequest, "the form's Content-Type has no boundary"))?;
        let rest = Multipart::new(request.into_body().into_data_stream(), boundary);
        let mut form = Self {
            rest,
            patience,
            name: None,
        };
        let file = form
            .next()
            .await?
            .ok_or_else(|| ApiError::new(Code::BadRequest, "the form has no file"))?;
        form.name = file.file_name().map(str::to_owned);
        Ok((form, Request::new(Body::from_stream(file))))
    }

    /// The next file.
    async fn next(&mut self) -> Result<Option<Field<'static>>> {
        loop {
            let Ok(field) = tokio::time::timeout(self.patience, self.rest.next_field()).await else {
                let text = format!("nothing came for {} s", self.patience.as_secs());
                return Err(ApiError::new(Code::Timeout, text));
            };
            let wrong = |error| ApiError::new(Code::BadRequest, format!("the form cannot be read: {error}"));
            match field.map_err(wrong)? {
                Some(field) if field.file_name().is_none() => {}
                other => return Ok(other),
            }
        }
    }

    /// Refuses a second file, which would otherwise be lost without a word.
    pub(super) async fn end(mut self) -> Result<()> {
        match self.next().await? {
            None => Ok(()),
            Some(_) => Err(ApiError::new(
                Code::BadRequest,
                "the form has several files; send each in a call of its own",
            )),
        }
    }
}
