//! A network with its engine: pictures of any size in, the picture between them out.

use rife_backend::{Backend, Resize};

use crate::error::NetworkError;
use crate::image::Image;
use crate::network::{Encoded, EncodedPair, Network, Options, Output};
use crate::scale::Scale;
use crate::version::Version;
use crate::weights::Weights;

/// The longest flow in pixels, along either axis, that a network with sound weights can be thought to find.
const MAX_FLOW: f32 = 1e6;

/// A network ready to run on an engine.
#[derive(Debug)]
pub struct Model<B: Backend> {
    backend: B,
    network: Network<B::Conv>,
}

/// One picture padded and encoded, for every pair and timestep that it takes part in. Made for one set of
/// [`Options`]; used with another scale it is refused where the padding does not fit.
#[derive(Debug, Clone)]
pub struct PreparedFrame<T> {
    encoded: Encoded<T>,
    size: [usize; 2],
}

impl<T> PreparedFrame<T> {
    /// The picture's width before padding.
    pub fn width(&self) -> usize {
        self.size[0]
    }

    /// The picture's height before padding.
    pub fn height(&self) -> usize {
        self.size[1]
    }

    /// What the network keeps of the picture, padded.
    pub fn encoded(&self) -> &Encoded<T> {
        &self.encoded
    }
}

/// Two prepared frames with what all timesteps between them share, see [`EncodedPair`].
#[derive(Debug, Clone)]
pub struct PreparedPair<T> {
    encoded: EncodedPair<T>,
    size: [usize; 2],
}

impl<T> PreparedPair<T> {
    /// The frames' width and height before padding.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }
}

impl<B: Backend> Model<B> {
    /// A model from a checkpoint's tensors. Without a version it is recognised ([`Version::recognise`]).
    ///
    /// Errors: [`NetworkError::Unrecognised`], [`NetworkError::WrongWeights`], [`NetworkError::NotFinite`]; nothing
    /// is loaded then.
    pub fn from_weights(
        backend: B,
        weights: &Weights,
        version: Option<Version>,
    ) -> Result<Self, NetworkError> {
        let version = match version {
            Some(version) => version,
            None => Version::recognise(weights)?,
        };
        let network = Network::load(&backend, version, weights)?;
        Ok(Self { backend, network })
    }

    /// Which network it is.
    pub fn version(&self) -> Version {
        self.network.version()
    }

    /// The engine it runs on.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// The network, for use with tensors of the engine.
    pub fn network(&self) -> &Network<B::Conv> {
        &self.network
    }

    /// How many values its weights hold.
    pub fn parameter_count(&self) -> usize {
        self.version().parameter_count()
    }

    /// Multiply-adds a pixel and pair, see [`Version::macs_per_pixel`].
    pub fn macs_per_pixel(&self) -> f64 {
        self.version().macs_per_pixel()
    }

    /// One line about the model: version, parameters, arithmetic, what it can do.
    pub fn describe(&self) -> String {
        let version = self.version();
        let time = if version.supports_timestep() {
            "any timestep"
        } else {
            "timestep 0.5 only"
        };
        let ensemble = if version.supports_ensemble() {
            ", ensemble"
        } else {
            ""
        };
        format!(
            "RIFE {version}: {:.2} million parameters, {:.1} thousand multiply-adds a pixel, {time}{ensemble}, \
             sizes padded to multiples of {}",
            self.parameter_count() as f64 / 1e6,
            self.macs_per_pixel() / 1e3,
            version.size_multiple(Scale::One),
        )
    }

    /// Pads a picture to the network's size rule (replicating its right column and bottom row) and computes what
    /// depends on it alone.
    ///
    /// Errors: none that a valid [`Image`] can cause today; the network's own check stands behind it.
    pub fn prepare_frame(
        &self,
        image: &Image,
        options: &Options,
    ) -> Result<PreparedFrame<B::Tensor>, NetworkError> {
        let size = [image.width(), image.height()];
        let multiple = self.version().size_multiple(options.scale);
        let padded = size.map(|side| side.next_multiple_of(multiple));
        let shape = [3, size[1], size[0]];
        let tensor = self
            .backend
            .upload_padded(shape, image.data(), [padded[1], padded[0]])?;
        let encoded = self.network.encode(&self.backend, &tensor, options)?;
        Ok(PreparedFrame { encoded, size })
    }

    /// Computes what all timesteps between two frames share.
    ///
    /// Errors: [`NetworkError::NoEnsemble`], [`NetworkError::FramesDiffer`], [`NetworkError::NotMultiple`] for frames
    /// prepared for another scale, [`NetworkError::Backend`].
    pub fn pair(
        &self,
        first: &PreparedFrame<B::Tensor>,
        second: &PreparedFrame<B::Tensor>,
        options: &Options,
    ) -> Result<PreparedPair<B::Tensor>, NetworkError> {
        if first.size != second.size {
            return Err(NetworkError::FramesDiffer {
                first: first.size,
                second: second.size,
            });
        }
        let frames = [&first.encoded, &second.encoded];
        Ok(PreparedPair {
            encoded: self.network.pair(&self.backend, frames, options)?,
            size: first.size,
        })
    }

    /// The frame at `timestep` (0 is the first frame, 1 the second, both excluded) between the frames of a pair, in their
    /// size, its values clamped to 0..1.
    ///
    /// Errors: [`NetworkError::Timestep`], [`NetworkError::OnlyMiddle`], [`NetworkError::Overflow`],
    /// [`NetworkError::Backend`].
    pub fn frame_at(
        &self,
        pair: &PreparedPair<B::Tensor>,
        timestep: f32,
        options: &Options,
    ) -> Result<Image, NetworkError> {
        let output = self.tensors_at(pair, timestep, options)?;
        let [width, height] = pair.size;
        Image::new(width, height, self.picture(&output, [height, width])?)
    }

    /// The frame of an output, cropped to `[height, width]`, its values clamped to 0..1: planar RGB.
    ///
    /// Errors: [`NetworkError::Overflow`] where the frame, or the flow or the mask at every fourth row and column, has a NaN
    /// or an infinity, or the flow is longer than a million pixels (kernels turn NaN within a network into numbers, which
    /// then come out as such flow); [`NetworkError::Backend`].
    pub fn picture(
        &self,
        output: &Output<B::Tensor>,
        [height, width]: [usize; 2],
    ) -> Result<Vec<f32>, NetworkError> {
        let sampled = |x| self.backend.download(&self.backend.resize(x, Resize::Down(4)));
        self.check_range("motion", &sampled(&output.flow)?, MAX_FLOW)?;
        self.check_range("a mask", &sampled(&output.mask)?, f32::MAX)?;
        let mut data = self.backend.download_cropped(&output.merged, [height, width])?;
        self.check_range("a picture", &data, f32::MAX)?;
        data.iter_mut().for_each(|value| *value = value.clamp(0.0, 1.0));
        Ok(data)
    }

    /// Whether all values are numbers within `-max..=max`.
    fn check_range(&self, what: &'static str, values: &[f32], max: f32) -> Result<(), NetworkError> {
        // Without an early exit the loop is vectorised. NaN is within nothing.
        if values.iter().fold(true, |all, value| all & (value.abs() <= max)) {
            return Ok(());
        }
        let value = values
            .iter()
            .copied()
            .find(|value| value.is_nan() || value.abs() > max);
        let (version, value) = (self.version().name().to_owned(), value.unwrap_or(f32::NAN));
        Err(NetworkError::Overflow { version, what, value })
    }

    /// As [`Model::frame_at`], giving the engine's tensors in the padded size: flow and mask besides the frame.
    ///
    /// Errors: as there.
    pub fn tensors_at(
        &self,
        pair: &PreparedPair<B::Tensor>,
        timestep: f32,
        options: &Options,
    ) -> Result<Output<B::Tensor>, NetworkError> {
        self.network
            .interpolate(&self.backend, &pair.encoded, timestep, options)
    }

    /// The frame at one timestep between two frames: [`Model::pair`], then [`Model::frame_at`].
    ///
    /// Errors: as these.
    pub fn interpolate(
        &self,
        first: &PreparedFrame<B::Tensor>,
        second: &PreparedFrame<B::Tensor>,
        timestep: f32,
        options: &Options,
    ) -> Result<Image, NetworkError> {
        self.frame_at(&self.pair(first, second, options)?, timestep, options)
    }
}
