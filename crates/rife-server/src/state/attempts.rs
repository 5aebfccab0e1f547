//! Wrong tokens: how many a client has shown, and when it may try again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::state::connections::Client;

/// Wrong tokens that a client may show in a row.
const BURST: u32 = 30;
/// How long until it may show one more.
const ONE_MORE: Duration = Duration::from_secs(10);
/// Clients that are kept in mind.
const CLIENTS: usize = 10_000;

/// The wrong tokens of clients.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<HashMap<Client, Wrong>>);

/// Wrong tokens of one client that still count, as of a time.
#[derive(Debug, Clone, Copy)]
struct Wrong {
    count: f64,
    at: Instant,
}

impl Wrong {
    fn now(self, now: Instant) -> f64 {
        let forgotten = now.duration_since(self.at).as_secs_f64() / ONE_MORE.as_secs_f64();
        (self.count - forgotten).max(0.0)
    }
}

impl Attempts {
    /// Whether a token of this client is looked at; else how many seconds it has to wait. A right token is not looked at
    /// either: whoever guesses would else learn of it.
    pub(crate) fn check(&self, client: Client) -> Result<(), u32> {
        self.check_at(client, Instant::now())
    }

    /// A wrong token of this client.
    pub(crate) fn wrong(&self, client: Client) {
        self.wrong_at(client, Instant::now());
    }

    fn check_at(&self, client: Client, now: Instant) -> Result<(), u32> {
        let clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = clients.get(&client).map_or(0.0, |wrong| wrong.now(now));
        let over = count - f64::from(BURST - 1);
        if over <= 0.0 {
            return Ok(());
        }
        // To the millisecond, so that a whole number of seconds stays one.
        let seconds = (over * ONE_MORE.as_secs_f64() * 1000.0).round() / 1000.0;
        Err(seconds.ceil().max(1.0) as u32)
    }

    fn wrong_at(&self, client: Client, now: Instant) {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= CLIENTS {
            clients.retain(|_, wrong| wrong.now(now) > 0.0);
        }
        if clients.len() >= CLIENTS {
            clients.clear();
        }
        let count = clients.get(&client).map_or(0.0, |wrong| wrong.now(now)) + 1.0;
        clients.insert(client, Wrong { count, at: now });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_waits_after_many_wrong_tokens_and_others_do_not() {
        let client = |last| Client::new(std::net::IpAddr::from([10, 0, 0, last]));
        let (attempts, start) = (Attempts::default(), Instant::now());
        for _ in 0..BURST {
            assert_eq!(attempts.check_at(client(1), start), Ok(()));
            attempts.wrong_at(client(1), start);
        }
        assert_eq!(attempts.check_at(client(1), start), Err(10));
        assert_eq!(attempts.check_at(client(2), start), Ok(()));
        let later = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(attempts.check_at(client(1), later(4)), Err(6));
        assert_eq!(attempts.check_at(client(1), later(10)), Ok(()));
        attempts.wrong_at(client(1), later(10));
        assert!(attempts.check_at(client(1), later(11)).is_err());
    }
}
