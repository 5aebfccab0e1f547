//! The options of `rife serve`.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;

/// Examples at the end of the help.
const EXAMPLES: &str = "\
Examples:
  rife serve                                        http://127.0.0.1:7860, for this machine only
  rife serve --data /srv/rife --quota 500G          another data folder, of at most 500 GB
  RIFE_TOKEN=... rife serve --host 0.0.0.0          for other machines, which must send the token

The API is described in docs/api.md, a service with reverse proxy in docs/server.md.";

/// The options of `rife serve`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ServeArgs {
    /// The port; 0 for any free port
    #[arg(long, value_name = "N", default_value_t = 7860)]
    pub(crate) port: u16,
    /// The address to listen on; other addresses than this machine's own need --token or --insecure
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", value_parser = host)]
    pub(crate) host: IpAddr,
    /// Open the page in the browser when the server listens
    #[arg(long)]
    pub(crate) open: bool,
    /// The folder of uploads, jobs and results [default: rife/server in the user's data folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The token that clients must send; safer as RIFE_TOKEN, since other users of the machine see arguments
    #[arg(long, value_name = "TOKEN", env = "RIFE_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// Accept requests without a token from everybody who can reach the address
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Accept requests for this host name too, as by a reverse proxy; repeatable
    #[arg(long, value_name = "NAME")]
    pub(crate) allow_host: Vec<String>,
    /// Let clients use the files in this folder as inputs, without uploading them; repeatable
    #[arg(long, value_name = "DIR")]
    pub(crate) allow_folder: Vec<PathBuf>,
    /// Do not let clients add, download and remove models
    #[arg(long)]
    pub(crate) fixed_models: bool,
    /// Number of jobs that run at the same time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) workers: u16,
    /// Maximum number of waiting jobs
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) queue: u32,
    /// Maximum size of an upload, such as 500M or 16G
    #[arg(long, value_name = "BYTES", default_value = "16G", value_parser = bytes)]
    pub(crate) max_upload: u64,
    /// Maximum size of all uploads, jobs and results together
    #[arg(long, value_name = "BYTES", default_value = "100G", value_parser = bytes)]
    pub(crate) quota: u64,
    /// Days after which finished jobs and uploads are removed
    #[arg(long, value_name = "DAYS", default_value_t = 7.0, value_parser = days)]
    pub(crate) keep_days: f64,
}

/// Parses an address to listen on: an IP address, or `localhost`.
fn host(text: &str) -> Result<IpAddr, String> {
    let text = if text == "localhost" { "127.0.0.1" } else { text };
    text.parse()
        .map_err(|_| "an address is such as 127.0.0.1, ::1, 192.168.1.5 or 0.0.0.0 (all)".into())
}

/// Parses a number of bytes: `1048576`, `500M`, `16G`, `2T` (powers of 1024).
fn bytes(text: &str) -> Result<u64, String> {
    let units = [('K', 10), ('M', 20), ('G', 30), ('T', 40)];
    let unit = units.into_iter().find(|(letter, _)| text.ends_with(*letter));
    let (digits, shift) = unit.map_or((text, 0), |(letter, shift)| {
        (text.trim_end_matches(letter), shift)
    });
    let number: Option<u64> = digits.parse().ok().filter(|number| *number > 0);
    number
        .and_then(|number| number.checked_mul(1 << shift))
        .ok_or_else(|| "a number of bytes, such as 500M or 16G".into())
}

/// Parses a number of days, above 0 and up to 36500.
fn days(text: &str) -> Result<f64, String> {
    let days: Option<f64> = text.parse().ok();
    days.filter(|days| *days > 0.0 && *days <= 36_500.0)
        .ok_or_else(|| "a number of days, above 0 and up to 36500".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_strictly() {
        assert_eq!((bytes("500M"), bytes("7")), (Ok(500 << 20), Ok(7)));
        assert!(
            bytes("0").is_err() && bytes("99999999T").is_err() && bytes("MM").is_err() && bytes("é").is_err()
        );
        assert!(host("evil.example").is_err() && days("0").is_err() && days("NaN").is_err());
        assert_eq!(host("localhost"), Ok(IpAddr::from([127, 0, 0, 1])));
    }
}
