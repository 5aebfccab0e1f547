//! The server's life: sockets, connections, the end.

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
use crate::state::connections::{self, Answering, Client, Connection};
use crate::work::{janitor, worker};
use crate::{Config, ConfigError, log};

/// The most that a request's head may have.
const HEAD: usize = 64 << 10;
/// How long answers that are under way may take when the server stops.
const LAST_ANSWERS: Duration = Duration::from_secs(5);
/// How long jobs may take to stop.
const LAST_FRAME: Duration = Duration::from_secs(10);

/// Why a server did not come up.
#[derive(Debug)]
pub enum ServeError {
    /// The set-up is refused.
    Config(ConfigError),
    /// The address cannot be listened on.
    Listen(SocketAddr, std::io::Error),
    /// The folder or its database cannot be used.
    Data(Box<dyn std::error::Error + Send + Sync>),
}

impl std::fmt::Display for ServeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Listen(address, error) => write!(f, "cannot listen on {address}: {error}"),
            Self::Data(error) => write!(f, "cannot use the data folder: {error}"),
        }
    }
}

impl std::error::Error for ServeError {}

/// Serves until `stop` is cancelled. `ready` is told the address once connections are taken.
///
/// # Errors
/// [`ServeError`]; once it serves, nothing ends it but `stop`.
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

async fn run(config: Config, stop: &CancelToken, ready: impl FnOnce(SocketAddr)) -> Result<(), ServeError> {
    let address = SocketAddr::new(config.host, config.port);
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| ServeError::Listen(address, error))?;
    let app = App::open(config).map_err(ServeError::Data)?;
    janitor::tidy(&app).map_err(|_| ServeError::Data("it cannot be tidied up".into()))?;
    tell_missing(&app);
    allow_files();
    let workers = worker::start(&app).map_err(|error| ServeError::Data(error.into()))?;
    tokio::spawn(janitor::run(Arc::clone(&app)));
    ready(listener.local_addr().unwrap_or(address));
    accept(&app, listener, stop).await;
    finish(workers).await;
    Ok(())
}

/// Says at the start, and not after the first upload, that there is no ffmpeg.
fn tell_missing(app: &Arc<App>) {
    let app = Arc::clone(app);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = app.need_ffmpeg() {
            log::line(&format!(
                "no video can be read or written until this is mended: {}",
                error.message()
            ));
        }
    });
}

/// As many open files as the system allows: a connection is one, and the usual limit is a quarter of them.
fn allow_files() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let wanted = limit
            .maximum
            .unwrap_or(u64::MAX)
            .min(4 * connections::MOST as u64);
        if limit.current.is_some_and(|current| current < wanted) {
            let raised = Rlimit {
                current: Some(wanted),
                maximum: limit.maximum,
            };
            let _ = setrlimit(Resource::Nofile, raised);
        }
    }
}

/// Takes connections until `stop`, then lets answers that are under way come to their end.
async fn accept(app: &Arc<App>, listener: TcpListener, stop: &CancelToken) {
    let router = routes::router(app);
    let mut http = hyper::server::conn::http1::Builder::new();
    // Also of the next request of a connection: one that is idle for longer is closed.
    http.timer(TokioTimer::new())
        .header_read_timeout(app.config.patience)
        .max_buf_size(HEAD);
    let graceful = GracefulShutdown::new();
    while let Some((stream, address)) = next(app, &listener, stop).await {
        let Some(connection) = app.connections.admit(Client::new(address.ip())) else {
            tokio::spawn(turn_away(stream));
            continue;
        };
        let _ = stream.set_nodelay(true);
        let connection = Arc::new(connection);
        let service = service(router.clone(), Arc::clone(&connection));
        let served = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            // A client that breaks off, or makes no sense, is its own affair.
            tokio::select! {
                _ = served => {}
                () = connection.closed() => {}
            }
        });
    }
    drop(listener);
    app.stop();
    log::line("stopping");
    let _ = tokio::time::timeout(LAST_ANSWERS, graceful.shutdown()).await;
}

/// The routes for one connection, which is busy while it is answered.
fn service(
    router: axum::Router,
    connection: Arc<Connection>,
) -> impl hyper::service::Service<
    hyper::Request<hyper::body::Incoming>,
    Response = hyper::Response<Answering>,
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
                .map(|answer| answer.map(|body| Answering { body, _busy: busy }))
        }
    })
}

/// The answer to a connection that there is no room for.
async fn turn_away(mut stream: TcpStream) {
    let body = "{\"error\":{\"code\":\"too_many\",\"message\":\"too many connections\"}}";
    let answer = format!(
        "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nContent-Length: {}\r\nRetry-After: 5\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = tokio::time::timeout(Duration::from_secs(1), stream.write_all(answer.as_bytes())).await;
}

/// The next connection; nothing once the server is to stop.
async fn next(app: &App, listener: &TcpListener, stop: &CancelToken) -> Option<(TcpStream, SocketAddr)> {
    while !stop.is_cancelled() {
        match tokio::time::timeout(Duration::from_millis(100), listener.accept()).await {
            Ok(Ok(accepted)) => return Some(accepted),
            // Out of file descriptors, perhaps: an idle connection gives one back.
            Ok(Err(_)) => {
                app.connections.make_room();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(_) => {}
        }
    }
    None
}

/// Waits for the workers, which have been told to stop.
async fn finish(workers: Vec<std::thread::JoinHandle<()>>) {
    let until = std::time::Instant::now() + LAST_FRAME;
    while workers.iter().any(|worker| !worker.is_finished()) && std::time::Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
