//! Cache of encoded thumbnails (first in, first out), bounded by bytes.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

/// Maximum bytes of all cached thumbnails; a thumbnail above an eighth of them is not cached.
const MAX_BYTES: usize = 32 << 20;

/// Cache of thumbnails by key.
#[derive(Debug, Default)]
pub(crate) struct Thumbnails(Mutex<Entries>);

/// Entries of the cache, oldest first.
#[derive(Debug, Default)]
struct Entries {
    /// Total bytes of keys and thumbnails.
    bytes: usize,
    items: VecDeque<(String, Bytes)>,
}

impl Thumbnails {
    /// Returns the thumbnail cached under `key`.
    pub(crate) fn get(&self, key: &str) -> Option<Bytes> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.items
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, bytes)| bytes.clone())
    }

    /// Caches a thumbnail, and evicts the oldest above [`MAX_BYTES`].
    pub(crate) fn put(&self, key: String, bytes: Bytes) {
        let weight = |(key, bytes): &(String, Bytes)| key.len() + bytes.len();
        let item = (key, bytes);
        if weight(&item) > MAX_BYTES / 8 {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += weight(&item);
        kept.items.push_back(item);
        while kept.bytes > MAX_BYTES {
            let oldest = kept.items.pop_front();
            kept.bytes -= oldest.as_ref().map_or(0, weight);
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn thumbnails_are_bounded_by_bytes() {
        let kept = super::Thumbnails::default();
        for index in 0..200 {
            kept.put(index.to_string(), bytes::Bytes::from(vec![0; 1 << 20]));
        }
        kept.put("large".into(), bytes::Bytes::from(vec![0; super::MAX_BYTES / 2]));
        let inner = kept.0.lock().unwrap();
        let bytes: usize = inner
            .items
            .iter()
            .map(|(key, bytes)| key.len() + bytes.len())
            .sum();
        assert!(bytes == inner.bytes && bytes <= super::MAX_BYTES && inner.items.len() > 20);
        drop(inner);
        assert!(kept.get("199").is_some() && kept.get("0").is_none() && kept.get("large").is_none());
    }
}
