//! The network that ships inside the program.

/// The embedded `.safetensors` file (f16, the tensors of [`crate::Version::DEFAULT`]); `None` where the program
/// was built without the feature `default-weights`.
pub fn default_weights() -> Option<&'static [u8]> {
    #[cfg(feature = "default-weights")]
    let weights = Some(include_bytes!("../weights/default.safetensors").as_slice());
    #[cfg(not(feature = "default-weights"))]
    let weights = None;
    weights
}
