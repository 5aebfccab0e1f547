//! `rife serve`: converts the options to the server's configuration and runs the server.

use std::path::PathBuf;
use std::time::Duration;

use rife::media::CancelToken;
use rife::{Error, Result};
use rife_server::{Config, ServeError, serve};

use crate::args::ServeArgs;
use crate::output;

/// Runs the server until it is cancelled; prints its address when it listens.
pub(crate) fn run(args: ServeArgs, cancel: &CancelToken) -> Result<()> {
    let data = args.data.clone().map_or_else(data_folder, Ok)?;
    let open = args.insecure && args.token.is_none() && !args.host.is_loopback();
    let config = Config {
        host: args.host,
        port: args.port,
        token: args.token,
        insecure: args.insecure,
        allowed_hosts: args.allow_host,
        workers: usize::from(args.workers),
        queue_limit: args.queue as usize,
        max_upload: args.max_upload,
        quota: args.quota,
        retention: Duration::from_secs_f64(args.keep_days * 86_400.0),
        ..Config::new(data.clone())
    };
    if open {
        output::note("rife: --insecure: everybody who can reach this address can use and read everything");
    }
    let served = serve(config, cancel, |address| {
        let _ = output::line(&format!("http://{address}"));
    });
    served.map_err(|error| match error {
        ServeError::Config(error) => Error::Usage(error.to_string()),
        ServeError::Data(error) => Error::io("use", &data, std::io::Error::other(error.to_string())),
        ServeError::Listen(..) => Error::Failure(error.to_string()),
    })
}

/// Returns the default data folder: `server` next to the models folder.
fn data_folder() -> Result<PathBuf> {
    let models = rife::models::models_folder();
    let parent = models
        .ok()
        .and_then(|folder| Some(folder.parent()?.join("server")));
    parent.ok_or_else(|| Error::Usage("no folder to keep things in: give --data".into()))
}
