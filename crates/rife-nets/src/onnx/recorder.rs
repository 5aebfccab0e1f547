//! Recording backend for the ONNX export: each operation of [`Backend`] appends the equivalent ONNX operators to a graph.
//! Tensors `[channels, height, width]` are `[1, channels, height, width]` in the graph.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ops::Range;

use rife_backend::composed::{self, DisOps, SampleOps};
use rife_backend::{Activation, Backend, ConvKind, ConvSpec, DisOptions, Resize, Result};

use super::graph::{Graph, Id, attribute_float, attribute_int, attribute_ints, attribute_text};
use super::proto::Message;
use crate::checkpoint::Dtype;
use crate::layer::LayerDesc;

/// A backend that records operations in an ONNX graph.
#[derive(Debug)]
pub(super) struct Recorder {
    graph: RefCell<Graph>,
    /// Descriptions of the layers still to be prepared, for the names of their tensors.
    layers: RefCell<VecDeque<LayerDesc>>,
    /// Stored type of the weights.
    dtype: Dtype,
    /// Whether [`Backend::max_abs`] returns `f32::MAX` instead of 0.
    large_motion: Cell<bool>,
    /// The graph's values of all calls of [`Backend::max_abs`] so far.
    maxima: RefCell<Vec<Id>>,
}

/// A tensor: its value in the graph and its shape `[channels, height, width]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Value {
    /// Index of the value in the graph.
    pub(super) id: Id,
    /// Shape, `[channels, height, width]`.
    pub(super) shape: [usize; 3],
}

/// A convolution whose weights are constants of the graph; `beta` holds a ResConv's factors.
#[derive(Debug)]
pub(super) struct Layer {
    kind: ConvKind,
    groups: usize,
    /// Number of output channels.
    output: usize,
    /// Value of the kernel.
    weight: Id,
    /// Value of the bias.
    bias: Id,
    /// Value of the ResConv factors.
    beta: Option<Id>,
    activation: Nonlinearity,
}

/// The activation applied to a convolution's output.
#[derive(Debug, Clone, Copy)]
enum Nonlinearity {
    /// Identity.
    None,
    /// LeakyRelu with this slope.
    LeakyRelu(f32),
    /// PRelu with this slope tensor.
    Prelu(Id),
}

impl Recorder {
    /// Starts an empty graph for a network whose layers are prepared in this order; weights are stored as `dtype`.
    pub(super) fn new(layers: Vec<LayerDesc>, dtype: Dtype) -> Self {
        Self {
            graph: RefCell::default(),
            layers: RefCell::new(layers.into()),
            dtype,
            large_motion: Cell::new(false),
            maxima: RefCell::default(),
        }
    }

    /// Returns the recorded graph.
    pub(super) fn into_graph(self) -> Graph {
        self.graph.into_inner()
    }

    /// Adds an input of the graph, or returns the one that has this name already.
    pub(super) fn input(&self, name: &str, shape: [usize; 3]) -> Value {
        let [channels, height, width] = shape;
        let id = self.graph.borrow_mut().input(name, &[1, channels, height, width]);
        Value { id, shape }
    }

    /// Pads `x` on the right and at the bottom to `[height, width]` by replicating its last column and row.
    pub(super) fn pad(&self, x: &Value, [height, width]: [usize; 2]) -> Value {
        if x.shape[1..] == [height, width] {
            return *x;
        }
        let added = [height - x.shape[1], width - x.shape[2]].map(|side| side as i64);
        let pads = self.ints(&[0, 0, 0, 0, 0, 0, added[0], added[1]]);
        let mode = attribute_text("mode", "edge");
        self.node("Pad", &[x.id, pads], vec![mode], [x.shape[0], height, width])
    }

    /// Crops `x` to its upper left `[height, width]`.
    pub(super) fn crop(&self, x: &Value, [height, width]: [usize; 2]) -> Value {
        if x.shape[1..] == [height, width] {
            return *x;
        }
        let shape = [x.shape[0], height, width];
        self.slice(
            x,
            [&[0, 0], &[height as i64, width as i64], &[2, 3], &[1, 1]],
            shape,
        )
    }

    /// Expands a value of shape `[1, 1, 1, 1]` to a plane of the given tensor shape's height and width.
    pub(super) fn expand(&self, value: Id, [_, height, width]: [usize; 3]) -> Value {
        let shape = self.ints(&[1, 1, height as i64, width as i64]);
        self.node("Expand", &[value, shape], vec![], [1, height, width])
    }

    /// Chooses the branch that networks 4.0 and 4.1 take in the next recording, by the result of [`Backend::max_abs`]:
    /// `f32::MAX` or 0; forgets the calls so far.
    pub(super) fn assume_large_motion(&self, large_motion: bool) {
        self.large_motion.set(large_motion);
        self.maxima.borrow_mut().clear();
    }

    /// Adds a boolean value of the graph: whether the results of all calls of [`Backend::max_abs`] exceed `limit`. Returns
    /// `None` when there were no calls.
    pub(super) fn exceeds(&self, limit: f32) -> Option<Id> {
        let maxima = self.maxima.take();
        let mut graph = self.graph.borrow_mut();
        let limit = graph.floats(&[], &[limit]);
        let above: Vec<_> = maxima
            .into_iter()
            .map(|max| graph.node("Greater", &[max, limit], vec![]))
            .collect();
        above
            .into_iter()
            .reduce(|a, b| graph.node("And", &[a, b], vec![]))
    }

    /// Adds a constant tensor.
    fn constant(&self, shape: [usize; 3], data: &[f32]) -> Value {
        let [channels, height, width] = shape;
        let id = self
            .graph
            .borrow_mut()
            .floats(&[1, channels, height, width], data);
        Value { id, shape }
    }

    /// Adds a constant int64 vector, as operators take for shapes, pads and axes.
    fn ints(&self, values: &[i64]) -> Id {
        self.graph.borrow_mut().ints(values)
    }

    /// Adds an operator whose output has this shape.
    fn node(&self, op: &'static str, inputs: &[Id], attributes: Vec<Message>, shape: [usize; 3]) -> Value {
        let id = self.graph.borrow_mut().node(op, inputs, attributes);
        Value { id, shape }
    }

    /// Adds a scalar constant.
    fn number(&self, value: f32) -> Id {
        self.graph.borrow_mut().floats(&[], &[value])
    }

    /// Adds a Slice operator; `ranges` are starts, ends, axes and steps, `shape` is that of its output.
    fn slice(&self, x: &Value, ranges: [&[i64]; 4], shape: [usize; 3]) -> Value {
        let [starts, ends, axes, steps] = ranges.map(|values| self.ints(values));
        self.node("Slice", &[x.id, starts, ends, axes, steps], vec![], shape)
    }

    /// Adds the identity grid of GridSample with `align_corners`, `[1, 2, height, width]`: x, then y of each pixel, -1 and 1
    /// being the centres of the outermost pixels.
    fn normalized(&self, shape: [usize; 3]) -> Id {
        self.grid(shape, |count| {
            let coordinates = (0..count).map(|i| (2.0 * i as f64 / last(count) as f64 - 1.0) as f32);
            coordinates.collect()
        })
    }

    /// Adds a coordinate grid `[1, 2, height, width]`, x then y of each pixel; `line(n)` returns the coordinates along an axis
    /// of `n` pixels.
    fn grid(&self, [_, height, width]: [usize; 3], line: impl Fn(usize) -> Vec<f32>) -> Id {
        let mut graph = self.graph.borrow_mut();
        let lines = [
            graph.floats(&[1, 1, 1, width], &line(width)),
            graph.floats(&[1, 1, height, 1], &line(height)),
        ];
        let size = graph.ints(&[1, 1, height as i64, width as i64]);
        let planes = lines.map(|line| graph.node("Expand", &[line, size], vec![]));
        graph.node("Concat", &planes, vec![attribute_int("axis", 1)])
    }

    /// Adds the Conv or ConvTranspose operator of a layer, without its ResConv factors and activation.
    fn convolved(&self, x: &Value, layer: &Layer) -> Value {
        let [_, height, width] = x.shape;
        let (op, side, stride, size) = match layer.kind {
            ConvKind::Same => ("Conv", 3, 1, [height, width]),
            ConvKind::Down => ("Conv", 3, 2, [height.div_ceil(2), width.div_ceil(2)]),
            ConvKind::Up => ("ConvTranspose", 4, 2, [height * 2, width * 2]),
        };
        let attributes = vec![
            attribute_ints("kernel_shape", &[side; 2]),
            attribute_ints("strides", &[stride; 2]),
            attribute_ints("pads", &[1; 4]),
            attribute_int("group", layer.groups as i64),
        ];
        let shape = [layer.output, size[0], size[1]];
        self.node(op, &[x.id, layer.weight, layer.bias], attributes, shape)
    }
}

/// Returns `count - 1`, at least 1: a divisor for coordinates of `count` pixels.
fn last(count: usize) -> usize {
    (count - 1).max(1)
}

impl Backend for Recorder {
    type Tensor = Value;
    type Conv = Layer;
    /// A plane of the frames' size.
    type Timestep = Value;

    /// Adds a layer's weights to the graph under the keys of the next description.
    fn conv_layer(&self, spec: ConvSpec) -> Layer {
        let desc = self.layers.borrow_mut().pop_front().expect("a layer described");
        let tensors = desc.tensors();
        let mut graph = self.graph.borrow_mut();
        let mut add = |index: usize, shape: &[usize], values: &[f32]| {
            graph.weight(&tensors[index].key, shape, values, self.dtype)
        };
        let channels = [spec.output, 1, 1];
        let mut shape = tensors[0].shape.clone();
        if desc.used < desc.output {
            // Only heads have unused channels: transposed, one group, so that output channels are axis 1.
            shape[1] = desc.used;
        }
        let weight = add(0, &shape, &spec.weight);
        let bias = add(1, &[spec.output], &spec.bias);
        // Slopes and factors are numbered as in `LayerDesc::tensors`.
        let activation = match &spec.activation {
            Activation::None => Nonlinearity::None,
            Activation::LeakyRelu(slope) => Nonlinearity::LeakyRelu(*slope),
            Activation::Prelu(slopes) => Nonlinearity::Prelu(add(2, &channels, slopes)),
        };
        let beta = spec.residual.as_ref();
        let beta = beta.map(|beta| add(tensors.len() - 1, &channels, beta));
        Layer {
            kind: spec.kind,
            groups: spec.groups,
            output: spec.output,
            weight,
            bias,
            beta,
            activation,
        }
    }

    /// Adds a constant tensor.
    fn upload(&self, shape: [usize; 3], data: &[f32]) -> Result<Value> {
        Ok(self.constant(shape, data))
    }

    /// Returns NaN for every value, since a graph has no values.
    fn download(&self, x: &Value) -> Result<Vec<f32>> {
        Ok(vec![f32::NAN; x.shape.iter().product()])
    }

    /// Returns the shape `[channels, height, width]`.
    fn shape(&self, x: &Value) -> [usize; 3] {
        x.shape
    }

    /// Adds a constant, expanded to a plane.
    fn plane(&self, like: &Value, value: f32) -> Value {
        let value = self.constant([1; 3], &[value]);
        self.expand(value.id, like.shape)
    }

    /// Adds a constant timestep as a plane.
    fn timestep(&self, value: f32, like: &Value) -> Value {
        self.plane(like, value)
    }

    /// Appends Mul and Add to a timestep.
    fn timestep_affine(&self, timestep: &Value, factor: f32, offset: f32) -> Value {
        self.affine(timestep, factor, offset)
    }

    /// Downsamples a timestep's plane to the height and width of `like`.
    fn timestep_plane(&self, timestep: &Value, like: &Value) -> Value {
        match timestep.shape[1] / like.shape[1] {
            1 => *timestep,
            factor => self.resize(timestep, Resize::Down(factor)),
        }
    }

    /// Appends a Concat along the channels.
    fn cat(&self, parts: &[&Value]) -> Value {
        let [_, height, width] = parts[0].shape;
        if let [part] = parts {
            return **part;
        }
        let ids: Vec<_> = parts.iter().map(|part| part.id).collect();
        let channels = parts.iter().map(|part| part.shape[0]).sum();
        let axis = attribute_int("axis", 1);
        self.node("Concat", &ids, vec![axis], [channels, height, width])
    }

    /// Appends a Slice of the channels.
    fn narrow(&self, x: &Value, range: Range<usize>) -> Value {
        if range == (0..x.shape[0]) {
            return *x;
        }
        let [start, end] = [range.start as i64, range.end as i64];
        let shape = [range.len(), x.shape[1], x.shape[2]];
        self.slice(x, [&[start], &[end], &[1], &[1]], shape)
    }

    /// Appends an Add.
    fn add(&self, a: &Value, b: &Value) -> Value {
        self.node("Add", &[a.id, b.id], vec![], a.shape)
    }

    /// Appends a Mul and an Add, each only if it changes values.
    fn affine(&self, x: &Value, factor: f32, offset: f32) -> Value {
        let mut y = *x;
        if factor != 1.0 {
            y = self.node("Mul", &[y.id, self.number(factor)], vec![], x.shape);
        }
        if offset != 0.0 {
            y = self.node("Add", &[y.id, self.number(offset)], vec![], x.shape);
        }
        y
    }

    /// Appends a Clip to 0..1.
    fn clamp01(&self, x: &Value) -> Value {
        self.node(
            "Clip",
            &[x.id, self.number(0.0), self.number(1.0)],
            vec![],
            x.shape,
        )
    }

    /// Appends a Sigmoid.
    fn sigmoid(&self, x: &Value) -> Value {
        self.node("Sigmoid", &[x.id], vec![], x.shape)
    }

    /// Appends a Resize: linear, half-pixel coordinates (`align_corners = false`).
    fn resize(&self, x: &Value, factor: Resize) -> Value {
        let [channels, height, width] = x.shape;
        let (size, scale) = match factor {
            Resize::Up(n) => ([height * n, width * n], n as f32),
            Resize::Down(n) => ([height / n, width / n], 1.0 / n as f32),
        };
        let region = self.graph.borrow_mut().absent();
        let scales = self.graph.borrow_mut().floats(&[4], &[1.0, 1.0, scale, scale]);
        let attributes = vec![
            attribute_text("mode", "linear"),
            attribute_text("coordinate_transformation_mode", "half_pixel"),
        ];
        let shape = [channels, size[0], size[1]];
        self.node("Resize", &[x.id, region, scales], attributes, shape)
    }

    /// Appends a GridSample at the pixel grid plus the flow, in normalized coordinates.
    fn warp(&self, x: &Value, flow: &Value) -> Value {
        let [_, height, width] = x.shape;
        // A pixel's width and height in the coordinates of GridSample.
        let pixel = [width, height].map(|count| 2.0 / last(count) as f32);
        let pixel = self.graph.borrow_mut().floats(&[1, 2, 1, 1], &pixel);
        let moved = self.node("Mul", &[flow.id, pixel], vec![], flow.shape);
        let identity = self.normalized(x.shape);
        let grid = self.node("Add", &[identity, moved.id], vec![], flow.shape);
        let last = attribute_ints("perm", &[0, 2, 3, 1]);
        let grid = self.node("Transpose", &[grid.id], vec![last], flow.shape);
        let attributes = vec![
            attribute_text("mode", "bilinear"),
            attribute_text("padding_mode", "border"),
            attribute_int("align_corners", 1),
        ];
        self.node("GridSample", &[x.id, grid.id], attributes, x.shape)
    }

    /// Appends the operators of [`composed::warp_obmc`].
    fn warp_obmc(&self, x: &Value, velocity: &Value, factor: &Value, neighbours: [[isize; 2]; 2]) -> Value {
        composed::warp_obmc(self, x, velocity, factor, neighbours)
    }

    /// Appends the operators of [`composed::cubic_residual`].
    fn cubic_residual(&self, x: &Value, flow: &Value) -> Value {
        composed::cubic_residual(self, x, flow)
    }

    /// Appends the operators of [`composed::dis_flow`].
    fn dis_flow(&self, frames: [&Value; 2], level: u32, options: &DisOptions) -> Value {
        composed::dis_flow(self, frames, level, options)
    }

    /// Appends `a * sigmoid(mask) + b * (1 - sigmoid(mask))`.
    fn blend(&self, a: &Value, b: &Value, mask: &Value) -> Value {
        let weight = self.sigmoid(mask);
        let rest = self.affine(&weight, -1.0, 1.0);
        let weighted = |x: &Value, weight: Value| self.node("Mul", &[x.id, weight.id], vec![], x.shape);
        self.add(&weighted(a, weight), &weighted(b, rest))
    }

    /// Appends a Mul, which broadcasts the one channel of `by`.
    fn mul(&self, x: &Value, by: &Value) -> Value {
        self.node("Mul", &[x.id, by.id], vec![], x.shape)
    }

    /// Appends the definition of [`Backend::keep_static`] in elementwise operators.
    fn keep_static(&self, [a, b]: [&Value; 2], made: &Value, threshold: f32) -> Value {
        let minus = |x: &Value| self.affine(x, -1.0, 0.0);
        let difference = self.node("Abs", &[self.add(a, &minus(b)).id], vec![], a.shape);
        let one = [1, a.shape[1], a.shape[2]];
        let channels = attribute_ints("axes", &[1]);
        let difference = self.node("ReduceMax", &[difference.id], vec![channels], one);
        let weight = self.clamp01(&self.affine(&difference, -255.0, threshold));
        let mean = self.affine(&self.add(a, b), 0.5, 0.0);
        self.add(made, &self.mul(&self.add(&mean, &minus(made)), &weight))
    }

    /// Appends Conv or ConvTranspose, the ResConv residual and the activation.
    fn conv(&self, x: &Value, layer: &Layer) -> Value {
        let mut y = self.convolved(x, layer);
        if let Some(beta) = layer.beta {
            y = self.node("Mul", &[y.id, beta], vec![], y.shape);
            y = self.add(&y, x);
        }
        match layer.activation {
            Nonlinearity::None => y,
            Nonlinearity::LeakyRelu(slope) => self.node(
                "LeakyRelu",
                &[y.id],
                vec![attribute_float("alpha", slope)],
                y.shape,
            ),
            Nonlinearity::Prelu(slopes) => self.node("PRelu", &[y.id, slopes], vec![], y.shape),
        }
    }

    /// Appends a DepthToSpace by 2.
    fn pixel_shuffle(&self, x: &Value) -> Value {
        let [channels, height, width] = x.shape;
        let attributes = vec![attribute_int("blocksize", 2), attribute_text("mode", "CRD")];
        let shape = [channels / 4, height * 2, width * 2];
        self.node("DepthToSpace", &[x.id], attributes, shape)
    }

    /// Appends a Slice with step -1 along both axes.
    fn rotate180(&self, x: &Value) -> Value {
        let before_first = -i64::from(u32::MAX);
        self.slice(x, [&[-1, -1], &[before_first; 2], &[2, 3], &[-1, -1]], x.shape)
    }

    /// Records the maximum for [`Recorder::exceeds`] and returns the value that selects the branch being recorded.
    fn max_abs(&self, x: &Value) -> Result<f32> {
        let size = self.node("Abs", &[x.id], vec![], x.shape);
        let scalar = attribute_int("keepdims", 0);
        let max = self.node("ReduceMax", &[size.id], vec![scalar], [1; 3]);
        self.maxima.borrow_mut().push(max.id);
        Ok(if self.large_motion.get() { f32::MAX } else { 0.0 })
    }
}

impl SampleOps for Recorder {
    /// Appends a Pad with replicated edges and a Slice.
    fn shift(&self, x: &Value, down: isize, right: isize) -> Value {
        if (down, right) == (0, 0) {
            return *x;
        }
        let [down, right] = [down as i64, right as i64];
        // Pads with replicated edges on the side of the source pixels, then crops the opposite side.
        let before = [-down, -right].map(|off| off.max(0));
        let after = [down, right].map(|off| off.max(0));
        let pads = self.ints(&[0, 0, before[0], before[1], 0, 0, after[0], after[1]]);
        let mode = attribute_text("mode", "edge");
        let padded = self.node("Pad", &[x.id, pads], vec![mode], x.shape);
        let ends = [after[0] + x.shape[1] as i64, after[1] + x.shape[2] as i64];
        self.slice(&padded, [&after, &ends, &[2, 3], &[1, 1]], x.shape)
    }

    /// Adds the pixel coordinates as a constant grid.
    fn pixel_grid(&self, like: &Value) -> Value {
        let [_, height, width] = like.shape;
        let id = self.grid(like.shape, |count| (0..count).map(|i| i as f32).collect());
        Value {
            id,
            shape: [2, height, width],
        }
    }

    /// Appends a Floor.
    fn floor(&self, x: &Value) -> Value {
        self.node("Floor", &[x.id], vec![], x.shape)
    }
}

impl DisOps for Recorder {
    /// Appends a Div.
    fn div(&self, a: &Value, b: &Value) -> Value {
        self.node("Div", &[a.id, b.id], vec![], a.shape)
    }

    /// Appends a Min.
    fn min(&self, a: &Value, b: &Value) -> Value {
        self.node("Min", &[a.id, b.id], vec![], a.shape)
    }

    /// Appends a Max.
    fn max(&self, a: &Value, b: &Value) -> Value {
        self.node("Max", &[a.id, b.id], vec![], a.shape)
    }

    /// Appends a Pad that replicates the last column and row.
    fn pad(&self, x: &Value, size: [usize; 2]) -> Value {
        self.pad(x, size)
    }

    /// Appends a Slice to the upper left `[height, width]`.
    fn crop(&self, x: &Value, size: [usize; 2]) -> Value {
        self.crop(x, size)
    }

    /// Appends a Less and a Where.
    fn where_less(&self, [a, b]: [&Value; 2], [first, second]: [&Value; 2]) -> Value {
        let less = self.node("Less", &[a.id, b.id], vec![], a.shape);
        self.node("Where", &[less.id, first.id, second.id], vec![], a.shape)
    }
}
