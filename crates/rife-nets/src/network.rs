//! RIFE networks of all families behind one type ([`Network`]): encodes frames, pairs them, makes frames at timesteps.
//! The families (paper, RIFE_HDv2, 4.x) are in the modules below; options, outputs and checks that they share are here.

mod block;
mod hdv2;
mod paper;
mod prior;
mod refine;
mod stack;
mod synthesis;

use rife_backend::{Backend, Result as BackendResult};

use crate::error::NetworkError;
use crate::family::Family;
use crate::layer::LayerDesc;
use crate::scale::Scale;
use crate::version::Version;
use crate::weights::Weights;

pub(crate) use stack::layers as stack_layers;

/// A function that builds one layer of a network; it is called in the order of [`Version::layers`].
pub(crate) type MakeLayer<'a, L> = &'a mut (dyn FnMut(&LayerDesc) -> L + 'a);

/// Options of inference that apply to every network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Resolution at which flow is estimated, relative to the frame's.
    pub scale: Scale,
    /// Test-time augmentation: the frame is averaged with the result for both frames rotated by 180 degrees. Doubles the work.
    pub tta: bool,
    /// Ensemble: every block also runs with the frames swapped, and both estimates are averaged; only for versions with
    /// [`Version::supports_ensemble`]. About doubles the work.
    pub ensemble: bool,
    /// Whether [`Output::stages`] is filled (for training; costs memory).
    pub keep_stages: bool,
}

/// One frame and its features, reusable for all pairs and timesteps that the frame takes part in.
#[derive(Debug, Clone)]
pub struct Encoded<T> {
    /// `[3, height, width]`, RGB in 0..1.
    pub(crate) image: T,
    /// Unwarped features: for 4.x networks with an encoder one tensor, the image concatenated with its encoder features; for
    /// older networks the context features from fine to coarse.
    pub(crate) features: Vec<T>,
    /// The encoded frame rotated by 180 degrees, for [`Options::tta`].
    rotated: Option<Box<Encoded<T>>>,
}

impl<T> Encoded<T> {
    /// Returns the image that the network reads: `[3, height, width]`, clamped to 0..1 for 4.x networks.
    pub fn image(&self) -> &T {
        &self.image
    }
}

/// Two encoded frames and the flow of the prior, reusable for all timesteps between them. It owns its tensors, so that it
/// can be kept and, with `Send` tensors, moved to another thread.
#[derive(Debug, Clone)]
pub struct EncodedPair<T> {
    pub(crate) frames: [Encoded<T>; 2],
    /// The prior's flow in the format of [`Backend::dis_flow`]; `None` for a network without a prior.
    pub(crate) prior: Option<T>,
    /// The pair of the frames rotated by 180 degrees, for [`Options::tta`].
    pub(crate) rotated: Option<Box<EncodedPair<T>>>,
}

/// Flow, mask and warped frames after one block.
#[derive(Debug, Clone)]
pub struct Stage<T> {
    /// Flow in pixels, `[4, height, width]`: x and y from the frame at the timestep to the first frame, then to the second.
    pub flow: T,
    /// Weight of the first warped frame in the blend, before the sigmoid: `[1, height, width]`.
    pub mask: T,
    /// Both frames backward-warped to the timestep, `[3, height, width]` each.
    pub warped: [T; 2],
}

impl<T: Clone> Stage<T> {
    /// Blends both warped frames by the mask.
    pub fn merged<B: Backend<Tensor = T>>(&self, b: &B) -> T {
        b.blend(&self.warped[0], &self.warped[1], &self.mask)
    }
}

/// An interpolated frame with the flow and mask that it was made of.
#[derive(Debug, Clone)]
pub struct Output<T> {
    /// The frame, `[3, height, width]`, in 0..1 up to rounding.
    pub merged: T,
    /// The last block's flow, see [`Stage::flow`]; with test-time augmentation that of the unrotated frames.
    pub flow: T,
    /// The last block's mask, see [`Stage::mask`].
    pub mask: T,
    /// The result after each block, coarse to fine; empty without [`Options::keep_stages`].
    pub stages: Vec<Stage<T>>,
}

/// Collects the stages of a run: all if `keep`, else only the last.
struct Stages<T> {
    /// Whether all stages are kept.
    keep: bool,
    /// The stages kept so far.
    kept: Vec<Stage<T>>,
}

impl<T: Clone> Stages<T> {
    /// Starts without stages; with `keep`, all stages are kept.
    fn new(keep: bool) -> Self {
        Self {
            keep,
            kept: Vec::new(),
        }
    }

    /// Returns the stage added last; `None` before the first.
    fn last(&self) -> Option<&Stage<T>> {
        self.kept.last()
    }

    /// Adds a stage; replaces the previous one unless all are kept.
    fn push(&mut self, stage: Stage<T>) {
        if !self.keep {
            self.kept.clear();
        }
        self.kept.push(stage);
    }

    /// Returns the last stage, and all stages if they are kept (else an empty list).
    fn finish(mut self) -> (Stage<T>, Vec<Stage<T>>) {
        let last = self.kept.last().expect("every network has blocks").clone();
        if !self.keep {
            self.kept.clear();
        }
        (last, self.kept)
    }
}

/// A network with its layers; `L` is a backend's prepared convolution.
#[derive(Debug, Clone)]
pub struct Network<L> {
    version: Version,
    /// Layers of the network.
    body: Body<L>,
}

/// The layers, by family of networks.
#[derive(Debug, Clone)]
enum Body<L> {
    Paper(paper::PaperNet<L>),
    Hdv2(hdv2::Hdv2Net<L>),
    Stack(Box<stack::StackNet<L>>),
}

impl<L> Network<L> {
    /// Builds a network of this version: `make` is called for each layer in the order of [`Version::layers`], or of
    /// [`Version::training_layers`] if `training`.
    pub fn build(version: Version, training: bool, mut make: impl FnMut(&LayerDesc) -> L) -> Self {
        let body = match version.family() {
            Family::Paper(spec) => Body::Paper(paper::PaperNet::new(*spec, training, &mut make)),
            Family::Hdv2 => Body::Hdv2(hdv2::Hdv2Net::new(&mut make)),
            Family::Stack(spec) => Body::Stack(Box::new(stack::StackNet::new(*spec, &mut make))),
        };
        Self { version, body }
    }

    /// Builds a network for inference with the tensors of a checkpoint.
    ///
    /// Errors: [`NetworkError::WrongWeights`], [`NetworkError::NotFinite`], before any layer is built.
    pub fn load<B>(b: &B, version: Version, weights: &Weights) -> Result<Self, NetworkError>
    where
        B: Backend<Conv = L>,
    {
        version.check(weights, false)?;
        Ok(Self::filled(b, version, weights, false))
    }

    /// Builds a network for training with the tensors of a checkpoint; the paper's networks then have their teacher block.
    ///
    /// Errors: [`NetworkError::WrongWeights`], [`NetworkError::NotFinite`], before any layer is built.
    pub fn load_for_training<B>(b: &B, version: Version, weights: &Weights) -> Result<Self, NetworkError>
    where
        B: Backend<Conv = L>,
    {
        version.check(weights, true)?;
        Ok(Self::filled(b, version, weights, true))
    }

    /// Builds a network with checked weights.
    fn filled<B: Backend<Conv = L>>(b: &B, version: Version, weights: &Weights, training: bool) -> Self {
        let spec = |layer: &LayerDesc| layer.spec(weights).expect("every key was checked");
        Self::build(version, training, |layer| b.conv_layer(spec(layer)))
    }

    /// Returns the version of the network.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Computes the features of one frame, which do not depend on the other frame: `image` is `[3, height, width]`, RGB in
    /// 0..1.
    ///
    /// Errors: [`NetworkError::NotMultiple`] when a side is no multiple of [`Version::size_multiple`].
    pub fn encode<B>(
        &self,
        b: &B,
        image: &B::Tensor,
        options: &Options,
    ) -> Result<Encoded<B::Tensor>, NetworkError>
    where
        B: Backend<Conv = L>,
    {
        self.check_size(b.shape(image), options.scale)?;
        let mut encoded = self.encode_image(b, image)?;
        if options.tta {
            encoded.rotated = Some(Box::new(self.rotated(b, &encoded)?));
        }
        Ok(encoded)
    }

    /// Pairs two frames that were encoded with the same options, and computes the prior's flow, which all timesteps share.
    ///
    /// Errors: [`NetworkError::NoEnsemble`], [`NetworkError::FramesDiffer`], [`NetworkError::NotMultiple`],
    /// [`NetworkError::Backend`].
    pub fn pair<B>(
        &self,
        b: &B,
        frames: [&Encoded<B::Tensor>; 2],
        options: &Options,
    ) -> Result<EncodedPair<B::Tensor>, NetworkError>
    where
        B: Backend<Conv = L>,
    {
        self.check_pair(b, frames, options)?;
        let mut pair = self.with_prior(b, frames, options);
        if options.tta {
            let [first, second] = frames.map(|frame| match &frame.rotated {
                Some(rotated) => Ok(rotated.as_ref().clone()),
                None => self.rotated(b, frame),
            });
            let rotated = self.with_prior(b, [&first?, &second?], options);
            pair.rotated = Some(Box::new(rotated));
        }
        Ok(pair)
    }

    /// Pairs two frames and computes the flow of the prior if the network has one; without the rotated pair.
    fn with_prior<B: Backend<Conv = L>>(
        &self,
        b: &B,
        frames: [&Encoded<B::Tensor>; 2],
        options: &Options,
    ) -> EncodedPair<B::Tensor> {
        let prior = match &self.body {
            Body::Stack(net) => net.prior(b, frames, options),
            Body::Paper(_) | Body::Hdv2(_) => None,
        };
        EncodedPair {
            frames: frames.map(Encoded::clone),
            prior,
            rotated: None,
        }
    }

    /// Makes the frame at `timestep` (0 is the first frame, 1 the second) of a pair made with the same options.
    ///
    /// Errors: [`NetworkError::Timestep`] outside 0..1, [`NetworkError::OnlyMiddle`], [`NetworkError::Backend`].
    pub fn interpolate<B>(
        &self,
        b: &B,
        pair: &EncodedPair<B::Tensor>,
        timestep: f32,
        options: &Options,
    ) -> Result<Output<B::Tensor>, NetworkError>
    where
        B: Backend<Conv = L>,
    {
        self.version.check_timestep(timestep)?;
        let timestep = b.timestep(timestep, &pair.frames[0].image);
        self.interpolate_at(b, pair, &timestep, options)
    }

    /// Makes the frame at a timestep of the engine, which may differ for each sample of a batch, of a pair made with the same
    /// options.
    ///
    /// Errors: [`NetworkError::Backend`].
    pub fn interpolate_at<B>(
        &self,
        b: &B,
        pair: &EncodedPair<B::Tensor>,
        timestep: &B::Timestep,
        options: &Options,
    ) -> Result<Output<B::Tensor>, NetworkError>
    where
        B: Backend<Conv = L>,
    {
        let mut output = self.run(b, pair, timestep, options)?;
        if let Some(rotated) = &pair.rotated {
            let rotated = self.run(b, rotated, timestep, options)?;
            let sum = b.add(&output.merged, &b.rotate180(&rotated.merged));
            output.merged = b.affine(&sum, 0.5, 0.0);
        }
        Ok(output)
    }

    /// Runs the teacher block of the paper's networks: refines the last stage with the true frame `truth`,
    /// `[3, height, width]`. Returns `None` for a network without a teacher block.
    pub fn teach<B>(
        &self,
        b: &B,
        frames: [&Encoded<B::Tensor>; 2],
        timestep: &B::Timestep,
        truth: &B::Tensor,
        last: &Stage<B::Tensor>,
    ) -> Option<Stage<B::Tensor>>
    where
        B: Backend<Conv = L>,
    {
        match &self.body {
            Body::Paper(net) => net.teach(b, frames, timestep, truth, last),
            Body::Hdv2(_) | Body::Stack(_) => None,
        }
    }

    /// Encodes one image `[3, height, width]`, without its rotation.
    fn encode_image<B: Backend<Conv = L>>(
        &self,
        b: &B,
        image: &B::Tensor,
    ) -> BackendResult<Encoded<B::Tensor>> {
        let image = match &self.body {
            Body::Stack(_) => b.materialize(&b.clamp01(image))?,
            Body::Paper(_) | Body::Hdv2(_) => image.clone(),
        };
        let features = match &self.body {
            Body::Paper(net) => net.encode(b, &image)?,
            Body::Hdv2(net) => net.encode(b, &image)?,
            Body::Stack(net) => net.encode(b, &image)?,
        };
        // An image that is concatenated with its features need not be kept a second time.
        let concatenated = features.first().filter(|_| matches!(self.body, Body::Stack(_)));
        Ok(Encoded {
            image: concatenated.map_or(image, |both| b.narrow(both, 0..3)),
            features,
            rotated: None,
        })
    }

    /// Encodes a frame rotated by 180 degrees.
    fn rotated<B: Backend<Conv = L>>(
        &self,
        b: &B,
        frame: &Encoded<B::Tensor>,
    ) -> BackendResult<Encoded<B::Tensor>> {
        self.encode_image(b, &b.rotate180(&frame.image))
    }

    /// Makes the frame at a timestep by one pass of the network, without test-time augmentation.
    fn run<B: Backend<Conv = L>>(
        &self,
        b: &B,
        pair: &EncodedPair<B::Tensor>,
        timestep: &B::Timestep,
        options: &Options,
    ) -> BackendResult<Output<B::Tensor>> {
        let frames = pair.frames.each_ref();
        match &self.body {
            Body::Paper(net) => Ok(net.interpolate(b, frames, timestep, options)),
            Body::Hdv2(net) => Ok(net.interpolate(b, frames, options)),
            Body::Stack(net) => net.interpolate(b, pair, timestep, options),
        }
    }

    /// Checks that the network has an ensemble if asked for, and that both frames have the same acceptable size.
    fn check_pair<B: Backend<Conv = L>>(
        &self,
        b: &B,
        frames: [&Encoded<B::Tensor>; 2],
        options: &Options,
    ) -> Result<(), NetworkError> {
        if options.ensemble && !self.version.supports_ensemble() {
            return Err(NetworkError::NoEnsemble {
                version: self.version.name().to_owned(),
            });
        }
        let [first, second] = frames.map(|frame| b.shape(&frame.image));
        if first != second {
            let size = |[_, height, width]: [usize; 3]| [width, height];
            return Err(NetworkError::FramesDiffer {
                first: size(first),
                second: size(second),
            });
        }
        self.check_size(first, options.scale)
    }

    /// Checks that height and width are multiples of what the network needs at this scale.
    fn check_size(&self, [_, height, width]: [usize; 3], scale: Scale) -> Result<(), NetworkError> {
        let multiple = self.version.size_multiple(scale);
        if width == 0 || height == 0 || width % multiple != 0 || height % multiple != 0 {
            let version = self.version.name().to_owned();
            return Err(NetworkError::NotMultiple {
                version,
                scale,
                multiple,
                width,
                height,
            });
        }
        Ok(())
    }
}
