//! Middleware before every route: checks of `Host` (against DNS rebinding), `Origin` and `Sec-Fetch-Site` (against
//! cross-site requests), authentication, and security headers.

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

/// Security headers of every response: no external resources, no content sniffing, no framing.
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

/// Middleware that checks a request before its route runs, and adds [`HEADERS`] to the response.
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

/// Returns an error if a request has a wrong `Host` or origin, or lacks the authentication that its path requires.
fn admit(app: &App, request: &Request) -> Result<()> {
    let host = check_host(&app.config, request.headers(), request.uri())?;
    check_origin(request, host)?;
    if !requires_auth(request.uri().path()) {
        return Ok(());
    }
    authenticate(app, request.extensions().get::<Client>(), request.headers())
}

/// Returns an error if a request has neither the token nor a session cookie. Wrong tokens are counted for the rate limit of
/// the client.
pub(crate) fn authenticate(app: &App, client: Option<&Client>, headers: &HeaderMap) -> Result<()> {
    let Some(key) = &app.key else {
        return Ok(());
    };
    if key.has_session(headers, &app.db) {
        return Ok(());
    }
    if let Some(token) = key::bearer(headers) {
        let client = client_of(client, headers);
        check_login_rate(app, client)?;
        if key.is_token(token) {
            return Ok(());
        }
        app.failed_logins.record(client);
    }
    let text = "a token is required: Authorization: Bearer TOKEN";
    Err(ApiError::new(Code::Unauthorized, text))
}

/// Returns an error with `Retry-After` if the client has sent too many wrong tokens.
pub(crate) fn check_login_rate(app: &App, client: Client) -> Result<()> {
    app.failed_logins.check(client).map_err(|seconds| {
        let text = format!("too many wrong tokens: try again in {seconds} s");
        ApiError::new(Code::TooMany, text).retry_after(seconds)
    })
}

/// Returns the client of a request: `client`, the peer of the connection, or, if that is a proxy on this machine, the last
/// address in `X-Forwarded-For`.
pub(crate) fn client_of(client: Option<&Client>, headers: &HeaderMap) -> Client {
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

/// Reports whether a path requires authentication: all of the API except `/health` and `/session`; the page's files are
/// public.
fn requires_auth(path: &str) -> bool {
    path.starts_with("/api/") && !matches!(path, "/api/v1/health" | "/api/v1/session")
}

/// Returns the `Host` of a request; an error if it, the URI or `X-Forwarded-Host` has a name that is not allowed, as in DNS
/// rebinding.
fn check_host<'a>(config: &Config, headers: &'a HeaderMap, uri: &Uri) -> Result<&'a str> {
    let refused = || ApiError::new(Code::BadHost, "this host name is not allowed; see --allow-host");
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
    if is_allowed_host(config, host) && absolute && others.all(|other| is_allowed_host(config, other)) {
        return Ok(host);
    }
    Err(refused())
}

/// Reports whether `host` (`name` or `name:port`) is loopback, `localhost`, in `allowed_hosts`, or, on a server that listens
/// on another address than loopback, any IP address.
fn is_allowed_host(config: &Config, host: &str) -> bool {
    let Some(name) = without_port(host) else {
        return false;
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let known = config
        .allowed_hosts
        .iter()
        .any(|allowed| allowed.eq_ignore_ascii_case(name));
    match bare.parse::<IpAddr>() {
        // An IP address cannot be rebound; but a server on loopback is never addressed by another one.
        Ok(address) => known || address.is_loopback() || !config.host.is_loopback(),
        Err(_) => known || name.eq_ignore_ascii_case("localhost"),
    }
}

/// Returns the name in `name` or `name:port`; `None` if the port or the name is invalid.
fn without_port(host: &str) -> Option<&str> {
    let (name, port) = match host.rfind(':') {
        Some(colon) if !host.ends_with(']') => (&host[..colon], &host[colon + 1..]),
        _ => (host, "0"),
    };
    let digits = (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    let plain = !name.is_empty() && (name.starts_with('[') || !name.contains(':'));
    (digits && plain).then_some(name)
}

/// Returns an error for a cross-site request of a browser; navigation to the page from links of other sites is allowed.
fn check_origin(request: &Request, host: &str) -> Result<()> {
    let refused = || Err(ApiError::new(Code::BadOrigin, "cross-site requests are refused"));
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
            assert!(is_allowed_host(&config, ours), "{ours}");
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
            assert!(!is_allowed_host(&config, other), "{other}");
        }
        config.host = IpAddr::from([0, 0, 0, 0]);
        assert!(is_allowed_host(&config, "192.168.1.5:7860") && !is_allowed_host(&config, "evil.example"));
    }
}
