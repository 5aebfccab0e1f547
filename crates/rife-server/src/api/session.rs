//! Who may call: a token in a header, or, for what a browser asks for by itself, a cookie that stands for it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::api::guard;
use crate::api::http::Json;
use crate::error::{ApiError, Code, Result};
use crate::reason::Reason;
use crate::state::app::App;
use crate::state::connections::Client;
use crate::state::key::{self, COOKIE};

/// How long a wrong token is left waiting.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(300);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    token: String,
}

/// `POST /session`.
pub(crate) async fn open(
    State(app): State<Arc<App>>,
    client: Option<Extension<Client>>,
    headers: HeaderMap,
    Json(credentials): Json<Credentials>,
) -> Result<Response> {
    let Some(key) = &app.key else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let client = guard::caller(client.as_deref(), &headers);
    guard::may_try(&app, client)?;
    if !key.is_token(&credentials.token) {
        app.attempts.wrong(client);
        tokio::time::sleep(PAUSE).await;
        return Err(ApiError::because(Code::Unauthorized, Reason::WrongToken, []));
    }
    let opened = app
        .blocking(|app| app.key.as_ref().map(|key| key.open_session(&app.db)).transpose())
        .await?;
    let cookie = cookie(&opened.unwrap_or_default(), &headers, "");
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// `DELETE /session`: the cookie opens nothing any more.
pub(crate) async fn close(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response> {
    let shown: Vec<String> = key::cookies(&headers).map(str::to_owned).collect();
    app.blocking(move |app| {
        for (key, cookie) in app
            .key
            .iter()
            .flat_map(|key| shown.iter().map(move |cookie| (key, cookie)))
        {
            app.db.close_session(&key.hash(cookie))?;
        }
        Ok(())
    })
    .await?;
    let cookie = cookie("", &headers, "; Max-Age=0");
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

fn cookie(value: &str, headers: &HeaderMap, more: &str) -> String {
    let origin = headers
        .get(header::ORIGIN)
        .and_then(|origin| origin.to_str().ok());
    let secure = if origin.is_some_and(|origin| origin.starts_with("https://")) {
        "; Secure"
    } else {
        ""
    };
    format!("{COOKIE}={value}; HttpOnly; SameSite=Strict; Path=/{secure}{more}")
}
