//! Network and backend together ([`Model`]): images of any size in host memory in, the interpolated image out.

use rife_backend::{Backend, Download, Resize};

use crate::error::NetworkError;
use crate::image::Image;
use crate::network::{Encoded, EncodedPair, Network, Options, Output};
use crate::scale::Scale;
use crate::version::Version;
use crate::weights::Weights;

/// Maximum plausible flow along either axis, in pixels; longer flow means damaged weights.
const MAX_FLOW: f32 = 1e6;

/// A network loaded on a backend.
#[derive(Debug)]
pub struct Model<B: Backend> {
    backend: B,
    network: Network<B::Conv>,
}

/// An image, padded, uploaded and encoded for one set of [`Options`]; reusable for all pairs and timesteps. Used with
/// another scale it is refused when its padding does not fit.
#[derive(Debug, Clone)]
pub struct PreparedFrame<T> {
    encoded: Encoded<T>,
    /// Width and height before padding.
    size: [usize; 2],
}

impl<T> PreparedFrame<T> {
    /// Returns the image's width before padding.
    pub fn width(&self) -> usize {
        self.size[0]
    }

    /// Returns the image's height before padding.
    pub fn height(&self) -> usize {
        self.size[1]
    }

    /// Returns the padded image with its features.
    pub fn encoded(&self) -> &Encoded<T> {
        &self.encoded
    }
}

/// Two prepared frames and the flow of the prior, reusable for all timesteps between them, see [`EncodedPair`].
#[derive(Debug, Clone)]
pub struct PreparedPair<T> {
    encoded: EncodedPair<T>,
    /// Width and height before padding.
    size: [usize; 2],
}

impl<T> PreparedPair<T> {
    /// Returns the frames' width and height before padding.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }
}

impl<B: Backend> Model<B> {
    /// Loads a model from a checkpoint's tensors; the version is recognised by them ([`Version::recognise`]) if `None`.
    ///
    /// Errors: [`NetworkError::Unrecognised`], [`NetworkError::WrongWeights`], [`NetworkError::NotFinite`].
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

    /// Returns the version of the network.
    pub fn version(&self) -> Version {
        self.network.version()
    }

    /// Returns the backend.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// Returns the network, for use with tensors of the backend.
    pub fn network(&self) -> &Network<B::Conv> {
        &self.network
    }

    /// Returns the number of parameters.
    pub fn parameter_count(&self) -> usize {
        self.version().parameter_count()
    }

    /// Returns the multiply-adds per pixel for one pair, see [`Version::macs_per_pixel`].
    pub fn macs_per_pixel(&self) -> f64 {
        self.version().macs_per_pixel()
    }

    /// Describes the model in one line: version, parameters, multiply-adds, timesteps, ensemble, size rule.
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

    /// Pads an image to the network's [`Version::size_multiple`] (replicating the last column and row), uploads and encodes it.
    ///
    /// Errors: [`NetworkError::Backend`].
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

    /// Pairs two prepared frames and computes the prior's flow, which all timesteps share.
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

    /// Makes the frame at `timestep` (0 is the first frame, 1 the second, both excluded) of a pair, cropped to the frames'
    /// size, values clamped to 0..1.
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

    /// Downloads the frame of an output, cropped to `[height, width]`, values clamped to 0..1: planar RGB.
    ///
    /// Errors: [`NetworkError::Overflow`] when the frame, or the flow or mask downsampled by 4, has a NaN or an infinity, or the
    /// flow exceeds a million pixels (kernels may turn a NaN inside the network into such numbers); [`NetworkError::Backend`].
    pub fn picture(
        &self,
        output: &Output<B::Tensor>,
        [height, width]: [usize; 2],
    ) -> Result<Vec<f32>, NetworkError> {
        self.start_picture(output, [height, width])?.wait()
    }

    /// Starts to download the frame of an output as [`Model::picture`] does; [`PictureDownload::wait`] returns it. On a backend
    /// that computes asynchronously, several can be in flight.
    ///
    /// Errors: [`NetworkError::Backend`].
    pub fn start_picture(
        &self,
        output: &Output<B::Tensor>,
        size: [usize; 2],
    ) -> Result<PictureDownload, NetworkError> {
        let b = &self.backend;
        let sampled = |x| {
            let reduced = b.resize(x, Resize::Down(4));
            let [_, height, width] = b.shape(&reduced);
            b.start_download(&reduced, [height, width])
        };
        Ok(PictureDownload {
            flow: sampled(&output.flow)?,
            mask: sampled(&output.mask)?,
            merged: b.start_download(&output.merged, size)?,
            version: self.version(),
        })
    }

    /// Makes frame, flow and mask at `timestep` of a pair as tensors of the backend, in the padded size.
    ///
    /// Errors: [`NetworkError::Timestep`], [`NetworkError::OnlyMiddle`], [`NetworkError::Backend`].
    pub fn tensors_at(
        &self,
        pair: &PreparedPair<B::Tensor>,
        timestep: f32,
        options: &Options,
    ) -> Result<Output<B::Tensor>, NetworkError> {
        self.network
            .interpolate(&self.backend, &pair.encoded, timestep, options)
    }

    /// Makes the frame at one timestep between two frames: [`Model::pair`], then [`Model::frame_at`].
    ///
    /// Errors: those of [`Model::pair`] and [`Model::frame_at`].
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

/// A frame that is being downloaded, see [`Model::start_picture`].
#[derive(Debug)]
pub struct PictureDownload {
    flow: Download,
    mask: Download,
    merged: Download,
    version: Version,
}

impl PictureDownload {
    /// Waits for the frame: planar RGB, values clamped to 0..1.
    ///
    /// Errors: those of [`Model::picture`].
    pub fn wait(self) -> Result<Vec<f32>, NetworkError> {
        let version = self.version;
        check_range(version, "motion", &self.flow.wait()?, MAX_FLOW)?;
        check_range(version, "a mask", &self.mask.wait()?, f32::MAX)?;
        let mut data = self.merged.wait()?;
        check_range(version, "a picture", &data, f32::MAX)?;
        data.iter_mut().for_each(|value| *value = value.clamp(0.0, 1.0));
        Ok(data)
    }
}

/// Checks that all values are numbers within `-max..=max`; `what` names them in [`NetworkError::Overflow`].
fn check_range(version: Version, what: &'static str, values: &[f32], max: f32) -> Result<(), NetworkError> {
    // Without an early exit the loop is vectorised. NaN is within nothing.
    if values.iter().fold(true, |all, value| all & (value.abs() <= max)) {
        return Ok(());
    }
    let value = values
        .iter()
        .copied()
        .find(|value| value.is_nan() || value.abs() > max);
    let (version, value) = (version.name().to_owned(), value.unwrap_or(f32::NAN));
    Err(NetworkError::Overflow { version, what, value })
}
