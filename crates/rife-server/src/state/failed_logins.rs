//! Rate limiter of login attempts (leaky bucket): after [`BURST`] wrong access tokens in a row a client may try one more every
//! [`DECAY_INTERVAL`].

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::state::connections::Client;

/// Number of wrong tokens in a row after which a client has to wait.
const BURST: u32 = 30;
/// Time after which one wrong token is forgotten.
const DECAY_INTERVAL: Duration = Duration::from_secs(10);
/// Maximum number of clients whose wrong tokens are counted.
const MAX_CLIENTS: usize = 10_000;

/// Numbers of wrong access tokens by client.
#[derive(Debug, Default)]
pub(crate) struct FailedLogins(Mutex<HashMap<Client, Failures>>);

/// Number of wrong access tokens of one client at time `at`; it decreases by one every [`DECAY_INTERVAL`].
#[derive(Debug, Clone, Copy)]
struct Failures {
    count: f64,
    at: Instant,
}

impl Failures {
    /// Returns the number of failed logins that still count at time `now`, a fraction included.
    fn count_at(self, now: Instant) -> f64 {
        let forgotten = now.duration_since(self.at).as_secs_f64() / DECAY_INTERVAL.as_secs_f64();
        (self.count - forgotten).max(0.0)
    }
}

impl FailedLogins {
    /// Returns an error with the seconds to wait if the client has sent too many wrong tokens. A right token is refused
    /// then, too, so that guessing gains nothing.
    pub(crate) fn check(&self, client: Client) -> Result<(), u32> {
        self.check_at(client, Instant::now())
    }

    /// Counts a wrong token of `client`.
    pub(crate) fn record(&self, client: Client) {
        self.record_at(client, Instant::now());
    }

    /// Returns an error with the seconds to wait if `client` has sent too many wrong tokens as of `now`.
    fn check_at(&self, client: Client, now: Instant) -> Result<(), u32> {
        let clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = clients
            .get(&client)
            .map_or(0.0, |failures| failures.count_at(now));
        let over = count - f64::from(BURST - 1);
        if over <= 0.0 {
            return Ok(());
        }
        // Rounded to milliseconds, so that rounding errors do not add a second.
        let seconds = (over * DECAY_INTERVAL.as_secs_f64() * 1000.0).round() / 1000.0;
        Err(seconds.ceil().max(1.0) as u32)
    }

    /// Counts a wrong token of `client` at time `now`. Clients without recent ones are forgotten above [`MAX_CLIENTS`].
    fn record_at(&self, client: Client, now: Instant) {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= MAX_CLIENTS {
            clients.retain(|_, failures| failures.count_at(now) > 0.0);
        }
        if clients.len() >= MAX_CLIENTS {
            clients.clear();
        }
        let count = clients
            .get(&client)
            .map_or(0.0, |failures| failures.count_at(now))
            + 1.0;
        clients.insert(client, Failures { count, at: now });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_waits_after_many_wrong_tokens_and_others_do_not() {
        let client = |last| Client::new(std::net::IpAddr::from([10, 0, 0, last]));
        let (logins, start) = (FailedLogins::default(), Instant::now());
        for _ in 0..BURST {
            assert_eq!(logins.check_at(client(1), start), Ok(()));
            logins.record_at(client(1), start);
        }
        assert_eq!(logins.check_at(client(1), start), Err(10));
        assert_eq!(logins.check_at(client(2), start), Ok(()));
        let later = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(logins.check_at(client(1), later(4)), Err(6));
        assert_eq!(logins.check_at(client(1), later(10)), Ok(()));
        logins.record_at(client(1), later(10));
        assert!(logins.check_at(client(1), later(11)).is_err());
    }
}
