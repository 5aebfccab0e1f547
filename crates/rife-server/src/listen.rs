//! The server's life: sockets, connections, the end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use rife::media::CancelToken;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::app::App;
use crate::{Config, ConfigError, janitor, log, routes, worker};

/// Connections at the same time; more wait to be accepted.
const CONNECTIONS: usize = 4096;
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
    let workers = worker::start(&app).map_err(|error| ServeError::Data(error.into()))?;
    tokio::spawn(janitor::run(Arc::clone(&app)));
    ready(listener.local_addr().unwrap_or(address));
    accept(&app, listener, stop).await;
    finish(workers).await;
    Ok(())
}

/// Takes connections until `stop`, then lets answers that are under way come to their end.
async fn accept(app: &Arc<App>, listener: TcpListener, stop: &CancelToken) {
    let service = TowerToHyperService::new(routes::router(app));
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(app.config.patience)
        .max_buf_size(HEAD);
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = GracefulShutdown::new();
    while let Some(stream) = next(&listener, stop).await {
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else {
            break;
        };
        let _ = stream.set_nodelay(true);
        let connection = http.serve_connection(TokioIo::new(stream), service.clone());
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // A client that breaks off, or makes no sense, is its own affair.
            let _ = connection.await;
            drop(permit);
        });
    }
    drop(listener);
    app.stop();
    log::line("stopping");
    let _ = tokio::time::timeout(LAST_ANSWERS, graceful.shutdown()).await;
}

/// The next connection; nothing once the server is to stop.
async fn next(listener: &TcpListener, stop: &CancelToken) -> Option<TcpStream> {
    while !stop.is_cancelled() {
        match tokio::time::timeout(Duration::from_millis(100), listener.accept()).await {
            Ok(Ok((stream, _))) => return Some(stream),
            // Out of file descriptors, perhaps: some will be free again.
            Ok(Err(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
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
