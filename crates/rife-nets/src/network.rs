//! A RIFE network, whichever it is: frames in, a frame between them out. The families' own descriptions are in
//! the modules below; what they share (options, frames, outputs, checks) is here.

mod block;
mod hdv2;
mod paper;
mod prior;
mod refine;
mod stack;
mod synthesis;

use rife_backend::{Backend, Result as BackendResult};

use crate::error::NetworkError;
use crate::layer::LayerDesc;
use crate::scale::Scale;
use crate::version::{Family, Version};
use crate::weights::Weights;

pub(crate) use hdv2::SCALES as HDV2_SCALES;
pub(crate) use paper::{PaperSpec, SCALES as PAPER_SCALES};
pub(crate) use stack::layers as stack_layers;

/// Makes one layer of a network; called in the order of [`Version::layers`].
pub(crate) type Make<'a, L> = &'a mut (dyn FnMut(&LayerDesc) -> L + 'a);

/// How a pair of frames is interpolated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// At which size the flow is estimated.
    pub scale: Scale,
    /// Test-time augmentation: the mean with the result for both frames turned by 180 degrees. Twice the work.
    pub tta: bool,
    /// Every block looks both ways and the mean counts, in the versions that know it
    /// ([`Version::supports_ensemble`]). About twice the work.
    pub ensemble: bool,
    /// Whether [`Output::stages`] is filled (training needs it; it costs memory).
    pub keep_stages: bool,
}

/// What a network computes of one frame, once, whatever the pairs and timesteps that it is used for.
#[derive(Debug, Clone)]
pub struct Encoded<T> {
    /// `[3, height, width]`, RGB in 0..1.
    pub(crate) image: T,
    /// Encoder features (4.7 and later) or context features from fine to coarse (older ones), unwarped.
    pub(crate) features: Vec<T>,
    /// The same of the frame turned by 180 degrees, for [`Options::tta`].
    rotated: Option<Box<Encoded<T>>>,
}

impl<T> Encoded<T> {
    /// The frame as the network sees it: `[3, height, width]`, clamped to 0..1 for the 4.x networks.
    pub fn image(&self) -> &T {
        &self.image
    }
}

/// Two encoded frames with what all timesteps between them share. It owns both, so that it can be kept and sent to another
/// thread as its tensors can.
#[derive(Debug, Clone)]
pub struct EncodedPair<T> {
    pub(crate) frames: [Encoded<T>; 2],
    /// The flow that the network begins with, where it has a prior: see [`Backend::dis_flow`].
    pub(crate) prior: Option<T>,
    /// The same of the frames rotated by 180 degrees, for [`Options::tta`].
    pub(crate) rotated: Option<Box<EncodedPair<T>>>,
}

/// What is known after one block.
#[derive(Debug, Clone)]
pub struct Stage<T> {
    /// `[4, height, width]` in pixels: x and y from the middle frame towards the first, then towards the second.
    pub flow: T,
    /// `[1, height, width]`: the first frame's share before the sigmoid.
    pub mask: T,
    /// Both frames, `[3, height, width]` each, moved to the middle.
    pub warped: [T; 2],
}

impl<T: Clone> Stage<T> {
    /// The middle frame so far: both moved frames blended by the mask.
    pub fn merged<B: Backend<Tensor = T>>(&self, b: &B) -> T {
        b.blend(&self.warped[0], &self.warped[1], &self.mask)
    }
}

/// The frame between, and what led to it.
#[derive(Debug, Clone)]
pub struct Output<T> {
    /// `[3, height, width]`. In 0..1 for all but rounding.
    pub merged: T,
    /// The last stage's flow, see [`Stage::flow`]. With test-time augmentation: of the upright pass.
    pub flow: T,
    /// The last stage's mask, see [`Stage::mask`].
    pub mask: T,
    /// Every block's result, where [`Options::keep_stages`] asks for them.
    pub stages: Vec<Stage<T>>,
}

/// Collects stages: all of them or only the last.
struct Stages<T> {
    keep: bool,
    kept: Vec<Stage<T>>,
}

impl<T: Clone> Stages<T> {
    fn new(keep: bool) -> Self {
        Self {
            keep,
            kept: Vec::new(),
        }
    }

    fn last(&self) -> Option<&Stage<T>> {
        self.kept.last()
    }

    fn push(&mut self, stage: Stage<T>) {
        if !self.keep {
            self.kept.clear();
        }
        self.kept.push(stage);
    }

    /// The last stage, and all of them where they are kept.
    fn finish(mut self) -> (Stage<T>, Vec<Stage<T>>) {
        let last = self.kept.last().expect("every network has blocks").clone();
        if !self.keep {
            self.kept.clear();
        }
        (last, self.kept)
    }
}

/// A network with its layers, `L` being what a back end makes of one.
#[derive(Debug, Clone)]
pub struct Network<L> {
    version: Version,
    body: Body<L>,
}

#[derive(Debug, Clone)]
enum Body<L> {
    Paper(paper::PaperNet<L>),
    Hdv2(hdv2::Hdv2Net<L>),
    Stack(Box<stack::StackNet<L>>),
}

impl<L> Network<L> {
    /// A network of this version whose layers come from `make`, asked in the order of [`Version::layers`], or of
    /// [`Version::training_layers`] when `training`.
    pub fn build(version: Version, training: bool, mut make: impl FnMut(&LayerDesc) -> L) -> Self {
        let body = match version.family() {
            Family::Paper(spec) => Body::Paper(paper::PaperNet::new(*spec, training, &mut make)),
            Family::Hdv2 => Body::Hdv2(hdv2::Hdv2Net::new(&mut make)),
            Family::Stack(spec) => Body::Stack(Box::new(stack::StackNet::new(*spec, &mut make))),
        };
        Self { version, body }
    }

    /// A network with the values of a checkpoint, for inference.
    ///
    /// Errors: [`NetworkError::WrongWeights`], [`NetworkError::NotFinite`], before any layer is made.
    pub fn load<B>(b: &B, version: Version, weights: &Weights) -> Result<Self, NetworkError>
    where
        B: Backend<Conv = L>,
    {
        version.check(weights, false)?;
        Ok(Self::filled(b, version, weights, false))
    }

    /// A network to be trained: with the paper's networks the teacher block comes with it.
    ///
    /// Errors: as [`Network::load`].
    pub fn load_for_training<B>(b: &B, version: Version, weights: &Weights) -> Result<Self, NetworkError>
    where
        B: Backend<Conv = L>,
    {
        version.check(weights, true)?;
        Ok(Self::filled(b, version, weights, true))
    }

    fn filled<B: Backend<Conv = L>>(b: &B, version: Version, weights: &Weights, training: bool) -> Self {
        let spec = |layer: &LayerDesc| layer.spec(weights).expect("every key was checked");
        Self::build(version, training, |layer| b.conv_layer(spec(layer)))
    }

    /// Which network this is.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Computes what does not depend on the other frame: `image` is `[3, height, width]`, RGB in 0..1.
    ///
    /// Errors: [`NetworkError::NotMultiple`] where the size is no multiple of [`Version::size_multiple`].
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
        let mut encoded = self.features(b, image)?;
        if options.tta {
            encoded.rotated = Some(Box::new(self.rotated(b, &encoded)?));
        }
        Ok(encoded)
    }

    /// Computes what all timesteps between two frames share. Both were encoded for the same options.
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

    /// The frame at `timestep` between the frames of a pair made for the same options.
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

    /// As [`Network::interpolate`] with a timestep of the engine, so that each sample of a batch can have its own.
    ///
    /// Errors: as there, without the timestep's.
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

    /// The teacher's stage of the paper's networks, which sees the true middle frame `truth` on top of `last`;
    /// `None` where there is no teacher.
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

    fn features<B: Backend<Conv = L>>(&self, b: &B, image: &B::Tensor) -> BackendResult<Encoded<B::Tensor>> {
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

    fn rotated<B: Backend<Conv = L>>(
        &self,
        b: &B,
        frame: &Encoded<B::Tensor>,
    ) -> BackendResult<Encoded<B::Tensor>> {
        self.features(b, &b.rotate180(&frame.image))
    }

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
