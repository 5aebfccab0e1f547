//! Damaged copies of what our readers read, for their tests.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// A text or file with up to five bytes, or runs of bytes, changed, doubled or lost. Numbers and signs are preferred.
pub(crate) fn damaged(sound: &[u8]) -> impl Strategy<Value = Vec<u8>> + use<> {
    let telling = prop::sample::select(b"0123456789-+./eE\"[]{},: \nWHFAICX\0\xff".to_vec());
    let byte = prop_oneof![telling, any::<u8>()];
    let change = (any::<Index>(), 0..9_usize, vec(byte, 0..20));
    let sound = sound.to_vec();
    vec(change, 1..5).prop_map(move |changes| {
        let mut bytes = sound.clone();
        for (at, lost, new) in changes {
            let start = at.index(bytes.len() + 1);
            let end = (start + lost).min(bytes.len());
            // Seldom the end of the file.
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
