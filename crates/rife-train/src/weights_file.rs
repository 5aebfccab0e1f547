//! Reading and writing of weights as `.safetensors` files with PyTorch's keys.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use half::f16;
use rife_nets::{WeightTensor, Weights};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

/// Element type of stored weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
}

/// Writes weights with metadata, atomically replacing `path`.
///
/// Errors: a file that cannot be written.
pub fn write(
    path: &Path,
    weights: &Weights,
    metadata: HashMap<String, String>,
    precision: Precision,
) -> Result<()> {
    let bytes = |tensor: &WeightTensor| match precision {
        Precision::F32 => tensor
            .data
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect::<Vec<u8>>(),
        Precision::F16 => tensor
            .data
            .iter()
            .flat_map(|x| f16::from_f32(*x).to_le_bytes())
            .collect(),
    };
    let dtype = match precision {
        Precision::F32 => Dtype::F32,
        Precision::F16 => Dtype::F16,
    };
    let tensors: Vec<_> = weights
        .iter()
        .map(|(key, tensor)| (key, tensor.shape.clone(), bytes(tensor)))
        .collect();
    let view = |(key, shape, bytes)| Ok((key, TensorView::new(dtype, shape, bytes)?));
    let views = tensors
        .iter()
        .map(|(key, shape, bytes)| view((*key, shape.clone(), bytes)));
    let views = views.collect::<Result<Vec<(&str, TensorView<'_>)>>>()?;
    write_atomic(path, &safetensors::serialize(views, Some(metadata))?)
}

/// Maximum size of a file of weights or training state, in bytes.
pub(crate) const MAX_FILE_BYTES: u64 = 4 << 30;

/// Reads weights in f16 or f32.
///
/// Errors: a file that cannot be read, or tensors of another type.
pub fn read(path: &Path) -> Result<Weights> {
    let bytes = rife_files::read_regular(path, MAX_FILE_BYTES)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let file = SafeTensors::deserialize(&bytes).with_context(|| format!("in {}", path.display()))?;
    let tensor = |(key, view): (String, TensorView<'_>)| {
        let data = match view.dtype() {
            Dtype::F32 => view
                .data()
                .as_chunks()
                .0
                .iter()
                .map(|x| f32::from_le_bytes(*x))
                .collect(),
            Dtype::F16 => view
                .data()
                .as_chunks()
                .0
                .iter()
                .map(|x| f16::from_le_bytes(*x).to_f32())
                .collect(),
            other => bail!("{}: {key} holds {other:?}, expected F32 or F16", path.display()),
        };
        Ok((
            key,
            WeightTensor {
                shape: view.shape().to_vec(),
                data,
            },
        ))
    };
    file.tensors().into_iter().map(tensor).collect()
}

/// Writes a file atomically: to a temporary file in the same folder, which is then renamed to `path`.
///
/// Errors: a file that cannot be written.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    rife_files::replace(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
