//! Mutation of valid input for property tests (proptest) of this crate's parsers.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// Returns a strategy that yields copies of the file `valid` in which 1 to 4 runs of up to 8 bytes are replaced by
/// up to 19 other bytes, preferably digits and punctuation; rarely the end of the file is cut off.
pub(crate) fn damaged(valid: &[u8]) -> impl Strategy<Value = Vec<u8>> + use<> {
    let syntax = prop::sample::select(b"0123456789-+./eE\"[]{},: \nWHFAICX\0\xff".to_vec());
    let byte = prop_oneof![syntax, any::<u8>()];
    let change = (any::<Index>(), 0..9_usize, vec(byte, 0..20));
    let valid = valid.to_vec();
    vec(change, 1..5).prop_map(move |changes| {
        let mut bytes = valid.clone();
        for (at, lost, new) in changes {
            let start = at.index(bytes.len() + 1);
            let end = (start + lost).min(bytes.len());
            // Rarely the file is truncated at `start`.
            let end = if lost == 8 && new.len() == 19 {
                bytes.len()
            } else {
                end
            };
            bytes.splice(start..end, new);
        }
        bytes
    })
}
