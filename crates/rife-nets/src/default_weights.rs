//! Embedded weights of the default network.

/// Returns the bytes of the embedded `.safetensors` file (f16, the tensors of [`crate::Version::DEFAULT`]); `None` when
/// built without the cargo feature `default-weights`.
pub fn default_weights() -> Option<&'static [u8]> {
    #[cfg(feature = "default-weights")]
    let weights = Some(include_bytes!("../weights/default.safetensors").as_slice());
    #[cfg(not(feature = "default-weights"))]
    let weights = None;
    weights
}
