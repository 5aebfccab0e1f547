//! What stands before every route: whose name the request calls us by, where it comes from, whether it may.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::config::Config;
use crate::error::{ApiError, Code, Result};
use crate::state::app::App;
use crate::state::connections::Client;
use crate::state::key;

/// Headers of every answer: nothing from elsewhere is loaded, nothing is guessed, nobody frames the page.
const HEADERS: [(&str, &str); 5] = [
    (
        "content-security-policy",
        "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; \
         form-action 'self'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("x-frame-options", "DENY"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// Checks every request, and marks every answer.
pub(crate) async fn check(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    app.counters.requests.add(1);
    let mut response = match admit(&app, &request) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    if response.status().is_client_error() || response.status().is_server_error() {
        app.counters.errors.add(1);
    }
    response
}

fn admit(app: &App, request: &Request) -> Result<()> {
    let host = host(&app.config, request.headers(), request.uri())?;
    origin(request, host)?;
    if !needs_key(request.uri().path()) {
        return Ok(());
    }
    shows_key(app, request.extensions().get::<Client>(), request.headers())
}

/// Refuses a request without the token or the cookie of a session. A client that has shown many wrong tokens waits.
pub(crate) fn shows_key(app: &App, client: Option<&Client>, headers: &HeaderMap) -> Result<()> {
    let Some(key) = &app.key else {
        return Ok(());
    };
    if key.has_session(headers, &app.db) {
        return Ok(());
    }
    if let Some(token) = key::bearer(headers) {
        let client = caller(client, headers);
        may_try(app, client)?;
        if key.is_token(token) {
            return Ok(());
        }
        app.attempts.wrong(client);
    }
    let text = "show the token: Authorization: Bearer TOKEN";
    Err(ApiError::new(Code::Unauthorized, text))
}

/// Refuses to look at a token where the client has shown many wrong ones.
pub(crate) fn may_try(app: &App, client: Client) -> Result<()> {
    app.attempts.check(client).map_err(|seconds| {
        let text = format!("too many wrong tokens: no token is looked at for {seconds} s");
        ApiError::new(Code::TooMany, text).retry_after(seconds)
    })
}

/// Who calls: the other end of the connection, or, where that is a proxy on this machine, whom it names last.
pub(crate) fn caller(client: Option<&Client>, headers: &HeaderMap) -> Client {
    let here = Client::new(IpAddr::from([127, 0, 0, 1]));
    let client = client.copied().unwrap_or(here);
    let forwarded = headers.get_all("x-forwarded-for").iter().next_back();
    let named = forwarded
        .and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok())
        .map(Client::new);
    match named {
        Some(named) if client.0.is_loopback() => named,
        _ => client,
    }
}

/// The page's own files say nothing that is not public, and these two are how one gets in.
fn needs_key(path: &str) -> bool {
    path.starts_with("/api/") && !matches!(path, "/api/v1/health" | "/api/v1/session")
}

/// The `Host` of a request, where it is one of ours: another name that leads here is a site's that wants our answers.
fn host<'a>(config: &Config, headers: &'a HeaderMap, uri: &Uri) -> Result<&'a str> {
    let refused = || {
        ApiError::new(
            Code::BadHost,
            "this server is not known by that name; see --allow-host",
        )
    };
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(refused());
    };
    let host = host.to_str().map_err(|_| refused())?;
    let mut others = headers
        .get_all("x-forwarded-host")
        .iter()
        .map(|value| value.to_str().unwrap_or(""));
    let absolute = uri.authority().is_none_or(|authority| authority.as_str() == host);
    if is_ours(config, host) && absolute && others.all(|other| is_ours(config, other)) {
        return Ok(host);
    }
    Err(refused())
}

fn is_ours(config: &Config, host: &str) -> bool {
    let Some(name) = without_port(host) else {
        return false;
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let known = config
        .allowed_hosts
        .iter()
        .any(|allowed| allowed.eq_ignore_ascii_case(name));
    match bare.parse::<IpAddr>() {
        // An address cannot be rebound; but nobody calls a server that listens on loopback alone by another one.
        Ok(address) => known || address.is_loopback() || !config.host.is_loopback(),
        Err(_) => known || name.eq_ignore_ascii_case("localhost"),
    }
}

/// The name in `name:port`.
fn without_port(host: &str) -> Option<&str> {
    let (name, port) = match host.rfind(':') {
        Some(colon) if !host.ends_with(']') => (&host[..colon], &host[colon + 1..]),
        _ => (host, "0"),
    };
    let digits = (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    let plain = !name.is_empty() && (name.starts_with('[') || !name.contains(':'));
    (digits && plain).then_some(name)
}

/// Refuses what another site sends through somebody's browser. Its links to the page are followed.
fn origin(request: &Request, host: &str) -> Result<()> {
    let refused = || {
        Err(ApiError::new(
            Code::BadOrigin,
            "requests of other sites are refused",
        ))
    };
    let headers = request.headers();
    let mut origins = headers.get_all(header::ORIGIN).iter();
    if let Some(origin) = origins.next() {
        let origin = origin.to_str().unwrap_or("");
        let authority = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"));
        if authority != Some(host) || origins.next().is_some() {
            return refused();
        }
    }
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    let navigates = request.method() == Method::GET
        && headers.get("sec-fetch-mode").map(HeaderValue::as_bytes) == Some(b"navigate")
        && !request.uri().path().starts_with("/api/");
    match site {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) if navigates => Ok(()),
        Some(_) => refused(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn only_our_names_are_ours() {
        let mut config = Config::new(PathBuf::new());
        config.allowed_hosts = vec!["rife.example".into()];
        for ours in [
            "127.0.0.1:7860",
            "localhost",
            "LOCALHOST:1",
            "[::1]:7860",
            "[::1]",
            "rife.example",
            "127.0.0.2",
        ] {
            assert!(is_ours(&config, ours), "{ours}");
        }
        let others = [
            "",
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example:7860",
            "192.168.1.5:7860",
            "localhost:",
            "localhost:x",
            "localhost:7860:1",
            "127.0.0.1:123456",
            "::1",
            "[::1",
            "a@localhost",
            "localhost.",
        ];
        for other in others {
            assert!(!is_ours(&config, other), "{other}");
        }
        config.host = IpAddr::from([0, 0, 0, 0]);
        assert!(is_ours(&config, "192.168.1.5:7860") && !is_ours(&config, "evil.example"));
    }
}
