//! Server lifecycle (hyper, HTTP/1.1): start, accept loop with connection limits, graceful shutdown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use rife::media::CancelToken;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use crate::api::routes;
use crate::state::app::App;
use crate::state::connections::{self, BusyBody, Client, Connection};
use crate::work::{janitor, worker};
use crate::{Config, ConfigError};

/// Maximum length of a request's head in bytes.
const MAX_HEAD: usize = 64 << 10;
/// Time that the shutdown gives to responses being sent.
const RESPONSE_GRACE: Duration = Duration::from_secs(5);
/// Time that the shutdown gives to running jobs.
const JOB_GRACE: Duration = Duration::from_secs(10);

/// Reason why the server did not start.
#[derive(Debug)]
pub enum ServeError {
    /// The configuration is refused.
    Config(ConfigError),
    /// The address cannot be listened on.
    Listen(SocketAddr, std::io::Error),
    /// The data folder or its database cannot be used.
    Data(Box<dyn std::error::Error + Send + Sync>),
}

impl std::fmt::Display for ServeError {
    /// Writes the reason.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Listen(address, error) => write!(f, "cannot listen on {address}: {error}"),
            Self::Data(error) => write!(f, "cannot use the data folder: {error}"),
        }
    }
}

impl std::error::Error for ServeError {}

/// Runs the server until `stop` is cancelled. `ready` is called with the bound address once connections are accepted.
///
/// # Errors
/// [`ServeError`] if the server cannot start; afterwards only `stop` ends it.
pub fn serve(config: Config, stop: &CancelToken, ready: impl FnOnce(SocketAddr)) -> Result<(), ServeError> {
    config.check().map_err(ServeError::Config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(32)
        .enable_all()
        .build()
        .map_err(|error| ServeError::Data(error.into()))?;
    runtime.block_on(run(config, stop, ready))
}

/// Binds the address, opens the data folder, starts workers and janitor, and serves until `stop` is cancelled.
async fn run(config: Config, stop: &CancelToken, ready: impl FnOnce(SocketAddr)) -> Result<(), ServeError> {
    let address = SocketAddr::new(config.host, config.port);
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| ServeError::Listen(address, error))?;
    let app = App::open(config).map_err(ServeError::Data)?;
    janitor::recover_files(&app)
        .map_err(|_| ServeError::Data("files of an earlier run cannot be cleaned up".into()))?;
    warn_missing_ffmpeg(&app);
    raise_file_limit();
    let workers = worker::start(&app).map_err(|error| ServeError::Data(error.into()))?;
    tokio::spawn(janitor::run(Arc::clone(&app)));
    ready(listener.local_addr().unwrap_or(address));
    accept(&app, listener, stop).await;
    join_workers(workers).await;
    Ok(())
}

/// Logs a warning at the start if ffmpeg is missing.
fn warn_missing_ffmpeg(app: &Arc<App>) {
    let app = Arc::clone(app);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = app.require_ffmpeg() {
            tracing::warn!(
                "videos cannot be read or written until this is fixed: {}",
                error.message()
            );
        }
    });
}

/// Raises the soft limit of open files to four times [`connections::MAX_CONNECTIONS`], as far as the hard limit allows.
fn raise_file_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let wanted = limit
            .maximum
            .unwrap_or(u64::MAX)
            .min(4 * connections::MAX_CONNECTIONS as u64);
        if limit.current.is_some_and(|current| current < wanted) {
            let raised = Rlimit {
                current: Some(wanted),
                maximum: limit.maximum,
            };
            let _ = setrlimit(Resource::Nofile, raised);
        }
    }
}

/// Accepts connections until `stop` is cancelled, then waits up to [`RESPONSE_GRACE`] for responses being sent.
async fn accept(app: &Arc<App>, listener: TcpListener, stop: &CancelToken) {
    let router = routes::router(app);
    let mut http = hyper::server::conn::http1::Builder::new();
    // The timeout also applies to the next request, so it closes idle connections.
    http.timer(TokioTimer::new())
        .header_read_timeout(app.config.client_timeout)
        .max_buf_size(MAX_HEAD);
    let graceful = GracefulShutdown::new();
    while let Some((stream, address)) = next_connection(app, &listener, stop).await {
        let Some(connection) = app.connections.admit(Client::new(address.ip())) else {
            tokio::spawn(reject(stream));
            continue;
        };
        let _ = stream.set_nodelay(true);
        let connection = Arc::new(connection);
        let service = service(router.clone(), Arc::clone(&connection));
        let served = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            // Errors of a client's connection are ignored.
            tokio::select! {
                _ = served => {}
                () = connection.closed() => {}
            }
        });
    }
    drop(listener);
    app.stop();
    tracing::info!("stopping");
    let _ = tokio::time::timeout(RESPONSE_GRACE, graceful.shutdown()).await;
}

/// Returns the service of one connection, which counts as busy while a request is processed.
fn service(
    router: axum::Router,
    connection: Arc<Connection>,
) -> impl hyper::service::Service<
    hyper::Request<hyper::body::Incoming>,
    Response = hyper::Response<BusyBody>,
    Error = std::convert::Infallible,
    Future = impl Send,
> {
    hyper::service::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        let busy = connection.busy();
        request.extensions_mut().insert(connection.client());
        let answer = router.clone().oneshot(request.map(axum::body::Body::new));
        async move {
            answer
                .await
                .map(|answer| answer.map(|body| BusyBody { body, _busy: busy }))
        }
    })
}

/// Sends 429 to a connection above the limits and closes it.
async fn reject(mut stream: TcpStream) {
    let body = "{\"error\":{\"code\":\"too_many\",\"message\":\"too many connections\"}}";
    let answer = format!(
        "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nContent-Length: {}\r\nRetry-After: 5\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = tokio::time::timeout(Duration::from_secs(1), stream.write_all(answer.as_bytes())).await;
}

/// Accepts the next connection; `None` once `stop` is cancelled. Closes an idle connection if accepting fails.
async fn next_connection(
    app: &App,
    listener: &TcpListener,
    stop: &CancelToken,
) -> Option<(TcpStream, SocketAddr)> {
    while !stop.is_cancelled() {
        match tokio::time::timeout(Duration::from_millis(100), listener.accept()).await {
            Ok(Ok(accepted)) => return Some(accepted),
            // Out of file descriptors, perhaps: an idle connection gives one back.
            Ok(Err(_)) => {
                app.connections.close_longest_idle();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(_) => {}
        }
    }
    None
}

/// Waits up to [`JOB_GRACE`] for the workers to end.
async fn join_workers(workers: Vec<std::thread::JoinHandle<()>>) {
    let until = std::time::Instant::now() + JOB_GRACE;
    while workers.iter().any(|worker| !worker.is_finished()) && std::time::Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
