//! Handlers of `/session`: exchange of the token for a session cookie, since a browser's `<img>`, `<video>` and `EventSource`
//! cannot send an `Authorization` header.

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

/// Delay of the response to a wrong token.
const WRONG_TOKEN_DELAY: std::time::Duration = std::time::Duration::from_millis(300);

/// Body of `POST /session`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    token: String,
}

/// Handles `POST /session`: sets a session cookie if the token is right.
pub(crate) async fn open(
    State(app): State<Arc<App>>,
    client: Option<Extension<Client>>,
    headers: HeaderMap,
    Json(credentials): Json<Credentials>,
) -> Result<Response> {
    let Some(key) = &app.key else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let client = guard::client_of(client.as_deref(), &headers);
    guard::check_login_rate(&app, client)?;
    if !key.is_token(&credentials.token) {
        app.failed_logins.record(client);
        tokio::time::sleep(WRONG_TOKEN_DELAY).await;
        return Err(ApiError::because(Code::Unauthorized, Reason::WrongToken, []));
    }
    let opened = app
        .blocking(|app| app.key.as_ref().map(|key| key.open_session(&app.db)).transpose())
        .await?;
    let cookie = cookie(&opened.unwrap_or_default(), &headers, "");
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// Handles `DELETE /session`: revokes the session of the request's cookie.
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

/// Returns a `Set-Cookie` value with the attributes of the session cookie and `more`; `Secure` if the page uses HTTPS.
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
