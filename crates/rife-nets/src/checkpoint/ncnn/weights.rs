//! ncnn `.bin` reader: reads the weights layer by layer and attaches to each convolution the PReLU slopes and the constant
//! factors (ResConv's beta) applied to its output.

use std::collections::HashMap;

use rife_backend::ConvKind;

use super::super::bytes::Cursor;
use super::super::element::Element;
use super::super::error::quoted;
use super::NcnnProblem as Fault;
use super::param::Layer;

/// A convolution of the model.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Conv {
    pub(super) name: String,
    pub(super) kind: ConvKind,
    pub(super) input: usize,
    pub(super) output: usize,
    pub(super) groups: usize,
    /// Kernel in PyTorch's order.
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
    /// Slopes of a following PReLU.
    pub(super) slope: Option<Vec<f32>>,
    /// Constant factors per channel by which the output is multiplied.
    pub(super) beta: Option<Vec<f32>>,
    /// Factor of the first Interp layer after it.
    pub(super) resize_factor: Option<f32>,
}

/// Layer kinds without weights, which are ignored.
const PLAIN_LAYERS: [&str; 15] = [
    "Input",
    "Split",
    "Crop",
    "BinaryOp",
    "UnaryOp",
    "Concat",
    "Slice",
    "rife.Warp",
    "Eltwise",
    "ReLU",
    "Sigmoid",
    "PixelShuffle",
    "Clip",
    "Pooling",
    "Noop",
];

/// Operation code of a multiplying `BinaryOp`.
const MULTIPLY: u64 = 2;

/// Type tag before f16 weights.
const F16_TAG: u32 = 0x0130_6b47;
/// Type tag before f32 weights.
const F32_TAG: u32 = 0;
/// Type tag before f32 weights of newer ncnn tools.
const NEW_F32_TAG: u32 = 0x0002_c056;

/// Slope of RIFE's LeakyReLU.
const LEAKY_SLOPE: f32 = 0.2;

/// Origin of a blob: a convolution or a constant, by index.
#[derive(Debug, Clone, Copy)]
enum Source {
    Conv(usize),
    Constant(usize),
}

/// State of reading a `.bin` file.
struct Reader<'a> {
    /// The `.bin` file.
    bin: Cursor<'a>,
    /// Convolutions read so far.
    convs: Vec<Conv>,
    /// Constants read so far.
    constants: Vec<Constant>,
    /// Origin of blobs by name.
    sources: HashMap<&'a str, Source>,
}

/// A MemoryData layer.
struct Constant {
    name: String,
    values: Vec<f32>,
    /// Whether it was attached to a convolution as its factors.
    used: bool,
}

/// Reads the weights of all convolutions of a model from its `.bin` file, in the order of `layers`.
pub(in super::super) fn read<'a>(layers: &[Layer<'a>], bin: &'a [u8]) -> Result<Vec<Conv>, Fault> {
    let mut reader = Reader {
        bin: Cursor::new(bin),
        convs: Vec::new(),
        constants: Vec::new(),
        sources: HashMap::new(),
    };
    layers.iter().try_for_each(|layer| reader.layer(layer))?;
    if reader.bin.left() > 0 {
        return Err(Fault::LeftOver(reader.bin.left()));
    }
    match reader.constants.iter().find(|constant| !constant.used) {
        Some(constant) => Err(Fault::UnusedConstant(constant.name.clone())),
        None => Ok(reader.convs),
    }
}

impl<'a> Reader<'a> {
    /// Reads one layer's weights by its kind.
    fn layer(&mut self, layer: &Layer<'a>) -> Result<(), Fault> {
        match layer.kind {
            "Convolution" | "ConvolutionDepthWise" | "Deconvolution" => self.convolution(layer),
            "PReLU" => self.prelu(layer),
            "MemoryData" => self.memory_data(layer),
            "BinaryOp" => self.binary_op(layer),
            "Split" => {
                self.split(layer);
                Ok(())
            }
            "Interp" => {
                if let Some(conv) = self.convs.last_mut() {
                    conv.resize_factor.get_or_insert(layer.float(1, 1.0));
                }
                Ok(())
            }
            "InnerProduct" => Err(Fault::OtherNetwork(
                "RIFE 1.x (rife, rife-HD, rife-UHD, rife-anime) with its channel attention",
            )),
            kind if PLAIN_LAYERS.contains(&kind) => Ok(()),
            kind => Err(layer.fault(format!("no RIFE has a layer of kind {}", quoted(kind)))),
        }
    }

    /// Reads kernel and bias of a convolution.
    fn convolution(&mut self, layer: &Layer<'a>) -> Result<(), Fault> {
        let shape = ConvShape::of(layer)?;
        let stored = self.tagged(layer, shape.weights)?;
        let weight = match shape.kind {
            ConvKind::Up => shape.inputs_first(&stored),
            ConvKind::Same | ConvKind::Down => stored,
        };
        let bias = self.floats(layer, shape.output as u64, Element::F32)?;
        self.name_output(layer, Source::Conv(self.convs.len()));
        self.convs.push(Conv {
            name: layer.name.to_owned(),
            kind: shape.kind,
            input: shape.input,
            output: shape.output,
            groups: shape.groups,
            weight,
            bias,
            slope: None,
            beta: None,
            resize_factor: None,
        });
        Ok(())
    }

    /// Reads the slopes of a PReLU and attaches them to the convolution before it.
    fn prelu(&mut self, layer: &Layer<'a>) -> Result<(), Fault> {
        let slopes = layer.number(0, 0)?;
        let values = self.floats(layer, slopes, Element::F32)?;
        let Some(Source::Conv(index)) = layer.inputs.first().and_then(|input| self.sources.get(input)) else {
            return Err(layer.fault("a PReLU that does not follow a convolution"));
        };
        let conv = &mut self.convs[*index];
        if conv.output as u64 != slopes || conv.slope.is_some() {
            return Err(layer.fault(format!("{slopes} slopes for {} channels", conv.output)));
        }
        conv.slope = Some(values);
        Ok(())
    }

    /// Reads a constant.
    fn memory_data(&mut self, layer: &Layer<'a>) -> Result<(), Fault> {
        let sizes = [0, 1, 11, 2].map(|key| layer.number(key, 0));
        let mut count = 1u64;
        for size in sizes {
            count = count.saturating_mul(size?.max(1));
        }
        let values = match layer.number(21, 1)? {
            0 => self.tagged(layer, count)?,
            1 => self.floats(layer, count, Element::F32)?,
            other => return Err(layer.fault(format!("constants of kind {other}; read are 0 and 1"))),
        };
        self.name_output(layer, Source::Constant(self.constants.len()));
        self.constants.push(Constant {
            name: quoted(layer.name),
            values,
            used: false,
        });
        Ok(())
    }

    /// Attaches a constant that multiplies a convolution's output to that convolution as its factors (ResConv's beta).
    fn binary_op(&mut self, layer: &Layer<'a>) -> Result<(), Fault> {
        let mut sources = layer.inputs.iter().map(|input| self.sources.get(input).copied());
        let (index, constant) = match (sources.next().flatten(), sources.next().flatten()) {
            (Some(Source::Conv(conv)), Some(Source::Constant(constant)))
            | (Some(Source::Constant(constant)), Some(Source::Conv(conv))) => (conv, constant),
            _ => return Ok(()),
        };
        let (conv, constant) = (&mut self.convs[index], &mut self.constants[constant]);
        if layer.number(0, 0)? != MULTIPLY || constant.values.len() != conv.output || conv.beta.is_some() {
            return Err(layer.fault("a constant that is not one factor a channel"));
        }
        conv.beta = Some(constant.values.clone());
        constant.used = true;
        Ok(())
    }

    /// Gives all outputs of a Split the origin of its input.
    fn split(&mut self, layer: &Layer<'a>) {
        let source = layer
            .inputs
            .first()
            .and_then(|input| self.sources.get(input).copied());
        if let Some(source) = source {
            self.sources
                .extend(layer.outputs.iter().map(|&output| (output, source)));
        }
    }

    /// Records the origin of a layer's outputs.
    fn name_output(&mut self, layer: &Layer<'a>, source: Source) {
        self.sources
            .extend(layer.outputs.iter().map(|&output| (output, source)));
    }

    /// Reads a type tag, then `count` values of that type.
    fn tagged(&mut self, layer: &Layer<'a>, count: u64) -> Result<Vec<f32>, Fault> {
        let left = self.bin.left();
        let tag = self.bin.u32().ok_or_else(|| cut_off(layer, 4, left))?;
        match tag {
            F16_TAG => {
                let values = self.floats(layer, count, Element::F16)?;
                // Two bytes of padding after an odd number of values.
                let padding = if count % 2 == 1 { 2 } else { 0 };
                let left = self.bin.left();
                self.bin.take(padding).ok_or_else(|| cut_off(layer, 2, left))?;
                Ok(values)
            }
            F32_TAG | NEW_F32_TAG => self.floats(layer, count, Element::F32),
            tag => Err(Fault::Tag {
                name: quoted(layer.name),
                tag,
            }),
        }
    }

    /// Reads `count` values of a type as f32.
    fn floats(&mut self, layer: &Layer<'a>, count: u64, element: Element) -> Result<Vec<f32>, Fault> {
        let needed = count.saturating_mul(element.size() as u64);
        let left = self.bin.left();
        let bytes = usize::try_from(needed)
            .ok()
            .and_then(|needed| self.bin.take(needed));
        bytes
            .map(|bytes| element.values(bytes))
            .ok_or_else(|| cut_off(layer, needed, left))
    }
}

/// Makes the error for a `.bin` file that ends inside a layer's weights; `needed` and `left` are bytes.
fn cut_off(layer: &Layer<'_>, needed: u64, left: usize) -> Fault {
    Fault::CutOff {
        name: quoted(layer.name),
        needed,
        left,
    }
}

/// Shape of a convolution, by its parameters.
struct ConvShape {
    /// Kernel size, stride and direction.
    kind: ConvKind,
    /// Number of input channels.
    input: usize,
    /// Number of output channels.
    output: usize,
    /// Number of groups.
    groups: usize,
    /// Number of values of the kernel.
    weights: u64,
}

impl ConvShape {
    /// Derives the shape from a layer's parameters; an error if no RIFE network has such a layer.
    fn of(layer: &Layer<'_>) -> Result<Self, Fault> {
        let (kind, taps) = conv_kind(layer)?;
        check_activation(layer)?;
        let (output, weights, groups) = (layer.number(0, 0)?, layer.number(6, 0)?, layer.number(7, 1)?);
        let a_row = output.saturating_mul(taps).max(1);
        let is_whole =
            output > 0 && weights > 0 && weights % a_row == 0 && groups > 0 && output % groups == 0;
        if !is_whole || (kind == ConvKind::Up && groups > 1) {
            let what = format!("{weights} weights for {output} channels in {groups} groups");
            return Err(layer.fault(what));
        }
        Ok(Self {
            kind,
            input: (weights / a_row).saturating_mul(groups) as usize,
            output: output as usize,
            groups: groups as usize,
            weights,
        })
    }

    /// Transposes a deconvolution's kernel from ncnn's order `[output, input, ...]` to PyTorch's `[input, output, ...]`.
    fn inputs_first(&self, outputs_first: &[f32]) -> Vec<f32> {
        let taps = outputs_first.len() / (self.input * self.output);
        let row =
            |input: usize, output: usize| &outputs_first[(output * self.input + input) * taps..][..taps];
        let rows = (0..self.input).flat_map(|i| (0..self.output).map(move |o| (i, o)));
        rows.flat_map(|(input, output)| row(input, output))
            .copied()
            .collect()
    }
}

/// Determines the kind of a convolution and the number of values of one 2-D kernel.
fn conv_kind(layer: &Layer<'_>) -> Result<(ConvKind, u64), Fault> {
    let kernel = layer.number(1, 0)?;
    let size = (kernel, layer.number(3, 1)?, layer.number(4, 0)?);
    let is_square = layer.number(11, kernel)? == kernel && layer.number(2, 1)? == 1;
    let is_float = layer.number(5, 0)? == 1 && layer.number(8, 0)? == 0;
    match (layer.kind == "Deconvolution", size) {
        (false, (3, 1, 1)) if is_square && is_float => Ok((ConvKind::Same, 9)),
        (false, (3, 2, 1)) if is_square && is_float => Ok((ConvKind::Down, 9)),
        (true, (4, 2, 1)) if is_square && is_float => Ok((ConvKind::Up, 16)),
        (_, (kernel, stride, pad)) => {
            let what = format!("kernel {kernel}, stride {stride}, padding {pad}, with bias {is_float}");
            Err(layer.fault(format!("no RIFE has a {} with {what}", quoted(layer.kind))))
        }
    }
}

/// Checks the activation fused into a convolution: none, LeakyReLU with RIFE's slope, or sigmoid.
fn check_activation(layer: &Layer<'_>) -> Result<(), Fault> {
    match (layer.number(9, 0)?, layer.first_of_array(10)) {
        (0 | 4, _) | (2, Some(LEAKY_SLOPE)) => Ok(()),
        (kind, slope) => Err(layer.fault(format!("no RIFE has the activation {kind} ({slope:?})"))),
    }
}
