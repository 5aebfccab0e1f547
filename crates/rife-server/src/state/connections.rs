//! Connection limits: at most [`MAX_CONNECTIONS`] in all and [`MAX_PER_CLIENT`] per client. When a limit is reached, the
//! connection that has been idle longest is closed, so that idle connections cannot shut other clients out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::Notify;

/// Maximum number of open connections.
pub(crate) const MAX_CONNECTIONS: usize = 4096;
/// Maximum number of open connections of one client.
pub(crate) const MAX_PER_CLIENT: usize = 2048;

/// Client as identified for rate and connection limits: an IPv4 address, or the /64 network of an IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Client(pub(crate) IpAddr);

impl Client {
    /// Returns the client with the IP address `address`.
    pub(crate) fn new(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) if !address.is_loopback() => {
                let network = address.to_bits() & (u128::MAX << 64);
                Self(IpAddr::V6(Ipv6Addr::from_bits(network)))
            }
            address => Self(address),
        }
    }
}

/// Registry of all open connections.
#[derive(Debug, Default)]
pub(crate) struct Connections(Mutex<Table>);

/// Open connections by number.
#[derive(Debug, Default)]
struct Table {
    /// Number of the connection that was opened last.
    last: u64,
    open: HashMap<u64, Arc<Entry>>,
}

/// State of one open connection.
#[derive(Debug)]
struct Entry {
    client: Client,
    /// Number of requests being processed.
    busy: AtomicUsize,
    idle_since: Mutex<Instant>,
    /// Notified to close the connection.
    close: Notify,
}

impl Connections {
    /// Registers a new connection of `client`; `None` if a limit is reached and no idle connection can be closed.
    pub(crate) fn admit(self: &Arc<Self>, client: Client) -> Option<Connection> {
        self.admit_within(client, MAX_CONNECTIONS, MAX_PER_CLIENT)
    }

    /// Registers a new connection of `client` with limits of `max` connections and `per_client` for each client.
    fn admit_within(self: &Arc<Self>, client: Client, max: usize, per_client: usize) -> Option<Connection> {
        let mut table = self.table();
        let own = table.open.values().filter(|entry| entry.client == client).count();
        if own >= per_client && !table.close_idle(Some(client)) {
            return None;
        }
        let busiest = table.busiest();
        if table.open.len() >= max && !table.close_idle(busiest) {
            return None;
        }
        table.last += 1;
        let number = table.last;
        let entry = Arc::new(Entry {
            client,
            busy: AtomicUsize::new(0),
            idle_since: Mutex::new(Instant::now()),
            close: Notify::new(),
        });
        table.open.insert(number, Arc::clone(&entry));
        Some(Connection {
            all: Arc::clone(self),
            number,
            entry,
        })
    }

    /// Closes the connection that has been idle longest, and reports whether there was an idle one.
    pub(crate) fn close_longest_idle(&self) -> bool {
        self.table().close_idle(None)
    }

    /// Locks the table of open connections.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Returns the client with the largest number of connections.
    fn busiest(&self) -> Option<Client> {
        let mut counts = HashMap::new();
        for entry in self.open.values() {
            *counts.entry(entry.client).or_insert(0) += 1;
        }
        counts
            .into_iter()
            .max_by_key(|(_, count)| *count)
            .map(|(client, _)| client)
    }

    /// Closes the connection that has been idle longest, of `client` if given, and reports whether there was one.
    fn close_idle(&mut self, client: Option<Client>) -> bool {
        let idle = self.open.iter().filter(|(_, entry)| {
            client.is_none_or(|client| client == entry.client) && entry.busy.load(Ordering::SeqCst) == 0
        });
        let since = |entry: &Entry| *entry.idle_since.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(number) = idle
            .min_by_key(|(_, entry)| since(entry))
            .map(|(number, _)| *number)
        else {
            return false;
        };
        if let Some(entry) = self.open.remove(&number) {
            entry.close.notify_one();
        }
        true
    }
}

/// Open connection in the registry, removed from it when dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    all: Arc<Connections>,
    number: u64,
    entry: Arc<Entry>,
}

impl Connection {
    /// Returns the client of the connection.
    pub(crate) fn client(&self) -> Client {
        self.entry.client
    }

    /// Waits until the connection must be closed in favour of another client's.
    pub(crate) async fn closed(&self) {
        self.entry.close.notified().await;
    }

    /// Counts a request as being processed until the result is dropped.
    pub(crate) fn busy(&self) -> Busy {
        self.entry.busy.fetch_add(1, Ordering::SeqCst);
        Busy(Arc::clone(&self.entry))
    }
}

impl Drop for Connection {
    /// Removes the connection from the registry.
    fn drop(&mut self) {
        self.all.table().open.remove(&self.number);
    }
}

/// Guard of a request being processed: its connection counts as busy until this is dropped.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Entry>);

impl Drop for Busy {
    /// Ends the request, and restarts the idle time of its connection.
    fn drop(&mut self) {
        let mut since = self.0.idle_since.lock().unwrap_or_else(PoisonError::into_inner);
        *since = Instant::now();
        self.0.busy.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Response body whose connection counts as busy until the body ends.
#[derive(Debug)]
pub(crate) struct BusyBody {
    pub(crate) body: Body,
    pub(crate) _busy: Busy,
}

impl HttpBody for BusyBody {
    type Data = Bytes;
    type Error = axum::Error;

    /// Polls the inner body.
    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    /// Reports whether the inner body has ended.
    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    /// Returns the size hint of the inner body.
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(last: u8) -> Client {
        Client::new(IpAddr::from([10, 0, 0, last]))
    }

    #[test]
    fn idle_connections_make_room_and_busy_ones_stay() {
        let all = Arc::new(Connections::default());
        let admit = |last| all.admit_within(client(last), 4, 3);
        let first = admit(1).unwrap();
        let busy = first.busy();
        let others = [admit(1).unwrap(), admit(1).unwrap()];
        // The client's own oldest idle one goes.
        let fourth = admit(1).unwrap();
        assert_eq!(all.table().open.len(), 3);
        assert!(!all.table().open.contains_key(&others[0].number));
        let _of_another = admit(2).unwrap();
        let _third = admit(3).unwrap();
        assert!(
            !all.table().open.contains_key(&others[1].number),
            "of the one with most"
        );
        assert!(all.table().open.contains_key(&first.number));
        let held = [fourth.busy(), _of_another.busy(), _third.busy()];
        assert!(admit(4).is_none(), "all are busy");
        drop((busy, held));
        assert!(admit(4).is_some());
    }

    #[test]
    fn a_network_is_one_client() {
        let of = |text: &str| Client::new(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::2:0:0:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), client(1));
        assert_ne!(of("::1"), of("::2"));
    }
}
