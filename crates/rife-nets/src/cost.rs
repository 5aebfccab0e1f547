//! Layers, tensors, parameters and multiply-adds of a version, found by building its network.

use crate::count::CountBackend;
use crate::error::NetworkError;
use crate::layer::{LayerDesc, TensorDesc};
use crate::network::{Network, Options};
use crate::scale::Scale;
use crate::version::Version;

impl Version {
    /// Lists the layers of inference, in the order in which [`Network::build`] builds them.
    pub fn layers(self) -> Vec<LayerDesc> {
        self.layer_list(false)
    }

    /// Lists the layers of training, the paper's teacher block included, in the order in which [`Network::build`] builds them.
    pub fn training_layers(self) -> Vec<LayerDesc> {
        self.layer_list(true)
    }

    /// Lists the layers of inference, or of training.
    pub(crate) fn layer_list(self, training: bool) -> Vec<LayerDesc> {
        let mut layers = Vec::new();
        Network::build(self, training, |layer| layers.push(layer.clone()));
        layers
    }

    /// Lists the tensors that inference reads from a checkpoint.
    pub fn tensors(self) -> Vec<TensorDesc> {
        self.layers().iter().flat_map(LayerDesc::tensors).collect()
    }

    /// Returns the number of parameters: values of all tensors that inference reads.
    pub fn parameter_count(self) -> usize {
        self.tensors()
            .iter()
            .map(|tensor| tensor.shape.iter().product::<usize>())
            .sum()
    }

    /// Computes the multiply-adds of all convolutions per pixel of the frame, for one timestep of one pair at scale 1, the
    /// features of both frames included.
    pub fn macs_per_pixel(self) -> f64 {
        let counter = CountBackend::new(false);
        let network = Network::build(self, false, Clone::clone);
        let side = 8 * self.size_multiple(Scale::One);
        let options = Options::default();
        let run = || -> Result<(), NetworkError> {
            let frame = network.encode(&counter, &[3, side, side], &options)?;
            let other = network.encode(&counter, &[3, side, side], &options)?;
            let pair = network.pair(&counter, [&frame, &other], &options)?;
            network.interpolate(&counter, &pair, 0.5, &options).map(drop)
        };
        run().expect("the size and the timestep fit every network");
        counter.macs() as f64 / (side * side) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The counting engine panics at sizes that cannot be halved or concatenated, as every engine does.
    #[test]
    fn every_version_runs_at_its_smallest_size_at_every_scale() {
        for (version, scale) in Version::all().flat_map(|v| Scale::ALL.map(|scale| (v, scale))) {
            for far in [false, true] {
                let counter = CountBackend::new(far);
                let network = Network::build(version, false, Clone::clone);
                let side = version.size_multiple(scale);
                let ensemble = version.supports_ensemble();
                let options = Options {
                    scale,
                    ensemble,
                    keep_stages: true,
                    tta: true,
                };
                let frame = network.encode(&counter, &[3, side, 2 * side], &options).unwrap();
                let pair = network.pair(&counter, [&frame, &frame], &options).unwrap();
                let output = network.interpolate(&counter, &pair, 0.5, &options).unwrap();
                assert_eq!(output.merged, [3, side, 2 * side], "{version} at scale {scale}");
                assert_eq!(output.flow, [4, side, 2 * side], "{version} at scale {scale}");
                let stages = version.spec().map_or(3, |spec| spec.blocks.len());
                assert!(output.stages.len() >= stages, "{version} keeps its stages");
            }
        }
    }

    #[test]
    fn only_the_paper_networks_have_a_teacher() {
        let counter = CountBackend::new(false);
        let options = Options {
            keep_stages: true,
            ..Options::default()
        };
        for version in Version::all() {
            let network = Network::build(version, true, Clone::clone);
            let side = version.size_multiple(Scale::One);
            let frame = network.encode(&counter, &[3, side, side], &options).unwrap();
            let pair = network.pair(&counter, [&frame, &frame], &options).unwrap();
            let output = network.interpolate_at(&counter, &pair, &(), &options).unwrap();
            let last = output.stages.last().unwrap();
            let taught = network.teach(&counter, [&frame, &frame], &(), &[3, side, side], last);
            let expected = version.has_teacher_block().then_some([4, side, side]);
            assert_eq!(taught.map(|stage| stage.flow), expected, "{version}");
            assert_eq!(version.block_scales().len(), output.stages.len(), "{version}");
        }
    }
}
