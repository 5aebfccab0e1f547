//! `rife serve`: converts the options to the server's configuration and runs the server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use rife::media::CancelToken;
use rife::{Error, Result};
use rife_server::{Config, ServeError, serve};

use crate::args::ServeArgs;
use crate::output;

/// Runs the server until it is cancelled; prints its address when it listens.
pub(crate) fn run(args: ServeArgs, cancel: &CancelToken) -> Result<()> {
    let data = args.data.clone().map_or_else(data_folder, Ok)?;
    let everybody = args.insecure && args.token.is_none() && !args.host.is_loopback();
    let config = Config {
        host: args.host,
        port: args.port,
        token: args.token,
        insecure: args.insecure,
        allowed_hosts: args.allow_host,
        folders: args.allow_folder,
        fixed_models: args.fixed_models,
        workers: usize::from(args.workers),
        queue_limit: args.queue as usize,
        max_upload: args.max_upload,
        quota: args.quota,
        retention: Duration::from_secs_f64(args.keep_days * 86_400.0),
        ..Config::new(data.clone())
    };
    if everybody {
        output::note("rife: --insecure: everybody who can reach this address can use and read everything");
    }
    let served = serve(config, cancel, |address| {
        let _ = output::line(&format!("http://{address}"));
        if args.open {
            open_page(address);
        }
    });
    served.map_err(|error| match error {
        ServeError::Config(error) => Error::Usage(error.to_string()),
        ServeError::Data(error) => Error::io("use", &data, std::io::Error::other(error.to_string())),
        ServeError::Listen(..) => Error::Failure(error.to_string()),
    })
}

/// Opens the page in the user's browser with the system's command; prints a note if there is none.
fn open_page(address: SocketAddr) {
    let (program, given): (&str, &[&str]) = match std::env::consts::OS {
        "macos" => ("open", &[]),
        "windows" => ("cmd", &["/C", "start"]),
        _ => ("xdg-open", &[]),
    };
    // An address for all interfaces is no destination.
    let host = if address.ip().is_unspecified() {
        "localhost".to_owned()
    } else {
        address.ip().to_string()
    };
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host
    };
    let started = Command::new(program)
        .args(given)
        .arg(format!("http://{host}:{}", address.port()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    match started {
        // Waits for it, so that it does not stay as a zombie.
        Ok(mut child) => drop(std::thread::spawn(move || child.wait())),
        Err(error) => output::note(&format!(
            "rife: the page cannot be opened with {program}: {error}"
        )),
    }
}

/// Returns the default data folder: `server` next to the models folder.
fn data_folder() -> Result<PathBuf> {
    let models = rife::models::models_folder();
    let parent = models
        .ok()
        .and_then(|folder| Some(folder.parent()?.join("server")));
    parent.ok_or_else(|| Error::Usage("no folder to keep things in: give --data".into()))
}
