//! WGSL of an expression: one kernel that computes all values of a tensor from stored ones.
//!
//! A thread computes one pixel. Operations on values of the same pixel become local variables. Operations that read other
//! pixels (resizing, warping) call a generated function that computes their operand at any position. Sizes and constants are
//! parameters, so that the same structure has the same text, and the text is the key of the compiled kernel.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;

use rife_backend::{Resize, Result};

use crate::tensor::{GpuTensor, Layout, Op, Stored, quads};

/// Width and height of a workgroup in pixels.
pub(crate) const GROUP: [usize; 2] = [16, 8];

/// The directive that a kernel with f16 begins with.
pub(crate) const ENABLE_F16: &str = "enable f16;\n";

/// Statements of a function above which it is called in a loop, so that its text appears once in the compiled kernel.
const LONG: usize = 12;

/// A kernel with what it is run on.
#[derive(Debug)]
pub(crate) struct Generated {
    pub(crate) source: String,
    pub(crate) inputs: Vec<Stored>,
    pub(crate) parameters: Vec<u32>,
    /// Statements of the kernel with all functions in the place of their calls.
    pub(crate) size: usize,
    /// Loads of one thread from each of `inputs`.
    pub(crate) loads: Vec<usize>,
    /// The tensor whose functions take most of these statements.
    pub(crate) largest: Option<GpuTensor>,
}

/// Bytes of a load, see [`crate::Work::bytes`].
const LOAD_BYTES: usize = 32;

impl Generated {
    /// Returns the bytes that a number of threads read.
    pub(crate) fn bytes_read(&self, threads: usize) -> u64 {
        let read = |(input, loads): (&Stored, &usize)| {
            let loaded = (threads * loads * LOAD_BYTES) as u64;
            loaded.min(input.buffer.bytes())
        };
        self.inputs.iter().zip(&self.loads).map(read).sum()
    }
}

/// Generates the kernel that writes the upper left `[height, width]` of `x` in a layout.
///
/// # Errors
/// Where a tensor that it reads could not be computed.
pub(crate) fn generate(x: &GpuTensor, layout: Layout, [height, width]: [usize; 2]) -> Result<Generated> {
    let mut generator = Generator::new("p");
    let channels = x.shape()[0];
    let (rows, columns) = generator.size([height, width]);
    let all: Vec<usize> = (0..channels).collect();
    let mut scope = Scope::new(x, &all);
    let values = all.iter().map(|c| generator.value(&mut scope, x, *c));
    let values = values.collect::<Result<Vec<_>>>()?;
    let mut body = scope.body;
    match layout {
        Layout::Quads | Layout::Halves | Layout::Fixed => {
            let count = quads(channels);
            for (i, quad) in values.chunks(4).enumerate() {
                let lane = |lane: usize| quad.get(lane).map_or("0.0", String::as_str);
                let [x, y, z, w] = [0, 1, 2, 3].map(lane);
                let _ = writeln!(
                    body,
                    "    let q{i} = vec4<f32>({x}, {y}, {z}, {w});\n    result[(y * {columns} + x) * {count} + {i}] = {};",
                    layout.packed(&format!("q{i}"))
                );
            }
        }
        Layout::Planar => {
            for (c, value) in values.iter().enumerate() {
                let _ = writeln!(body, "    result[({c} * {rows} + y) * {columns} + x] = {value};");
            }
        }
    }
    let [group_x, group_y] = GROUP;
    let main = format!(
        "@compute @workgroup_size({group_x}, {group_y})\n\
         fn main(@builtin(global_invocation_id) id: vec3<u32>) {{\n    \
         let x = i32(id.x);\n    let y = i32(id.y);\n    \
         if (x >= {columns} || y >= {rows}) {{ return; }}\n{body}}}\n"
    );
    let enable = if layout == Layout::Halves || generator.reads_halves() {
        ENABLE_F16
    } else {
        ""
    };
    let source = format!(
        "{enable}@group(0) @binding(0) var<uniform> p: array<vec4<i32>, {}>;\n\
         @group(0) @binding(1) var<storage, read_write> result: array<{}>;\n{}{main}",
        generator.parameters.len().div_ceil(4),
        layout.element(),
        generator.text(2),
    );
    Ok(generator.finish(source, scope.size, &scope.loads))
}

/// Generates what a convolution reads of `x`: the function `read_input` of a pixel within the image and a quad. The uniform `p`
/// has the parameters as its member `values`; the inputs' bindings begin with `first_binding`.
///
/// # Errors
/// Where a tensor that it reads could not be computed.
pub(crate) fn generate_input(x: &GpuTensor, first_binding: usize) -> Result<Generated> {
    let mut generator = Generator::new("p.values");
    let channels = x.shape()[0];
    let (mut cases, mut size, mut loads) = (String::new(), 0, HashMap::new());
    for quad in 0..quads(channels) {
        let of_quad: Vec<usize> = (4 * quad..channels.min(4 * quad + 4)).collect();
        let function = generator.function(x, &of_quad)?;
        let lanes = [0, 1, 2, 3].map(|lane| match lane < of_quad.len() {
            true => format!("r[{lane}]"),
            false => "0.0".to_owned(),
        });
        let _ = writeln!(
            cases,
            "        case {quad}u: {{\n            let r = g{function}(at.x, at.y);\n            value = vec4<f32>({});\n        }}",
            lanes.join(", ")
        );
        let function = &mut generator.functions[function];
        function.calls += 1;
        size += function.size;
        for (place, count) in &function.loads {
            *loads.entry(*place).or_default() += count;
        }
    }
    let source = format!(
        "{}fn read_input(at: vec2<i32>, quad: u32) -> vec4<f32> {{\n    var value = vec4<f32>();\n    switch (quad) {{\n{cases}        \
         default: {{}}\n    }}\n    return value;\n}}\n",
        generator.text(first_binding),
    );
    Ok(generator.finish(source, size, &loads))
}

/// A kernel in the making.
struct Generator {
    /// The name of the array that holds the parameters.
    parameters_name: &'static str,
    inputs: Vec<Stored>,
    /// Places in `inputs` by the ids of tensors.
    places: HashMap<usize, usize>,
    parameters: Vec<u32>,
    /// Parameters that hold a height, by height and width; the width follows.
    sizes: HashMap<[usize; 2], usize>,
    functions: Vec<Function>,
    /// Functions by the tensor that they compute and its channels.
    known: HashMap<(usize, Vec<usize>), usize>,
}

/// A function that computes some channels of a tensor at any pixel.
struct Function {
    text: String,
    of: GpuTensor,
    /// Statements, with those of called functions in the place of their calls.
    size: usize,
    /// Loads from each input, by its place, with those of called functions.
    loads: HashMap<usize, usize>,
    /// Places from which it is called.
    calls: usize,
}

/// The statements of a function: what is computed at one pixel, `x` and `y`.
struct Scope {
    body: String,
    /// Statements, with those of called functions in the place of their calls.
    size: usize,
    /// Loads from each input, by its place, with those of called functions.
    loads: HashMap<usize, usize>,
    names: usize,
    /// Expressions of values by tensor and channel.
    values: HashMap<(usize, usize), String>,
    /// Variables of loaded quads by tensor and quad.
    quads: HashMap<(usize, usize), String>,
    /// Variables of the pixel's index by the size of its image.
    pixels: HashMap<[usize; 2], String>,
    /// Sigmoids of masks by tensor.
    sigmoids: HashMap<usize, String>,
    /// Taps of resizes by the size of the image that is read and the factor, 0 for an odd reduction.
    enlarged: HashMap<([usize; 2], usize), Taps>,
    /// Which channels are wanted of the operations that read other pixels, by tensor.
    wanted: HashMap<usize, BTreeSet<usize>>,
}

/// Where a bilinear sample lies: variables of the two columns and rows, and the weights of the second ones.
#[derive(Clone)]
struct Taps {
    columns: [String; 2],
    rows: [String; 2],
    weights: [String; 2],
}

impl Scope {
    /// Creates the scope that computes some channels of `x`.
    fn new(x: &GpuTensor, channels: &[usize]) -> Self {
        let mut wanted = HashMap::new();
        let mut seen = HashSet::new();
        channels.iter().for_each(|c| want(x, *c, &mut seen, &mut wanted));
        Self {
            body: String::new(),
            size: 0,
            loads: HashMap::new(),
            names: 0,
            values: HashMap::new(),
            quads: HashMap::new(),
            pixels: HashMap::new(),
            sigmoids: HashMap::new(),
            enlarged: HashMap::new(),
            wanted,
        }
    }

    /// Counts a load from an input.
    fn count_load(&mut self, place: usize) {
        *self.loads.entry(place).or_default() += 1;
    }

    /// Binds an expression to a new variable and returns its name.
    fn bind(&mut self, expression: &str) -> String {
        let name = format!("v{}", self.names);
        self.names += 1;
        self.size += 1;
        let _ = writeln!(self.body, "    let {name} = {expression};");
        name
    }
}

/// Collects the channels that channel `c` of `x` needs of operations that read other pixels.
fn want(
    x: &GpuTensor,
    c: usize,
    seen: &mut HashSet<(usize, usize)>,
    wanted: &mut HashMap<usize, BTreeSet<usize>>,
) {
    if x.is_stored() || !seen.insert((x.id(), c)) {
        return;
    }
    let all = |x: &GpuTensor| 0..x.shape()[0];
    match &x.0.op {
        Op::Stored | Op::Rounded(_) | Op::Constant(_) => {}
        Op::Cat(parts) => {
            let (part, c) = part_of(parts, c);
            want(part, c, seen, wanted);
        }
        Op::Narrow(x, first) => want(x, c + first, seen, wanted),
        Op::Affine(x, ..) | Op::Clamp01(x) | Op::Sigmoid(x) => want(x, c, seen, wanted),
        Op::Add(a, b) => [a, b].into_iter().for_each(|x| want(x, c, seen, wanted)),
        Op::Mul(x, by) => {
            want(x, c, seen, wanted);
            want(by, 0, seen, wanted);
        }
        Op::AddLastChannel(x, by) => {
            want(x, c, seen, wanted);
            want(x, x.shape()[0] - 1, seen, wanted);
            want(by, 0, seen, wanted);
        }
        Op::Blend(a, b, mask) => {
            [a, b].into_iter().for_each(|x| want(x, c, seen, wanted));
            want(mask, 0, seen, wanted);
        }
        Op::KeepStatic(frames, made, _) => {
            want(made, c, seen, wanted);
            for frame in frames {
                all(frame).for_each(|c| want(frame, c, seen, wanted));
            }
        }
        Op::Warp(_, flow) | Op::CubicResidual(_, flow) => {
            wanted.entry(x.id()).or_default().insert(c);
            [0, 1].into_iter().for_each(|c| want(flow, c, seen, wanted));
        }
        Op::Resize(..) | Op::WarpObmc(..) | Op::PixelShuffle(_) | Op::Rotate180(_) | Op::Window(_) => {
            wanted.entry(x.id()).or_default().insert(c);
        }
    }
}

/// Returns the part of a concatenation that holds channel `c`, and the channel's index in that part.
fn part_of(parts: &[GpuTensor], mut c: usize) -> (&GpuTensor, usize) {
    for part in parts {
        let channels = part.shape()[0];
        if c < channels {
            return (part, c);
        }
        c -= channels;
    }
    panic!("a concatenation has as many channels as its parts");
}

/// Returns height and width.
fn size_of(x: &GpuTensor) -> [usize; 2] {
    [x.shape()[1], x.shape()[2]]
}

impl Generator {
    /// Creates a generator whose kernel has its parameters in the array of this name.
    fn new(parameters_name: &'static str) -> Self {
        Self {
            parameters_name,
            inputs: Vec::new(),
            places: HashMap::new(),
            parameters: Vec::new(),
            sizes: HashMap::new(),
            functions: Vec::new(),
            known: HashMap::new(),
        }
    }

    /// Whether an input is stored as f16.
    fn reads_halves(&self) -> bool {
        self.inputs.iter().any(|input| input.layout == Layout::Halves)
    }

    /// Returns the declarations of the inputs, with bindings from a number on, and the functions.
    fn text(&self, first_binding: usize) -> String {
        let mut text = String::new();
        for (i, input) in self.inputs.iter().enumerate() {
            let element = input.layout.element();
            let binding = i + first_binding;
            let _ = writeln!(
                text,
                "@group(0) @binding({binding}) var<storage, read> b{i}: array<{element}>;"
            );
        }
        text.push_str(
            "fn clamped(at: f32, size: i32) -> f32 {\n    \
             return select(0.0, min(at, f32(size - 1)), at > 0.0);\n}\n",
        );
        let functions = self.functions.iter();
        functions.for_each(|function| text.push_str(&function.text));
        text
    }

    fn finish(self, source: String, size: usize, loads: &HashMap<usize, usize>) -> Generated {
        let mut parameters = self.parameters;
        parameters.resize(parameters.len().next_multiple_of(4), 0);
        let computed = self.functions.iter().filter(|function| !function.of.is_stored());
        let largest = computed.max_by_key(|function| function.size * function.calls);
        Generated {
            source,
            parameters,
            size,
            loads: (0..self.inputs.len())
                .map(|place| loads.get(&place).copied().unwrap_or_default())
                .collect(),
            inputs: self.inputs,
            largest: largest.map(|function| function.of.clone()),
        }
    }

    /// Adds a parameter; returns its index and the expression that reads it as an i32.
    fn parameter(&mut self, bits: u32) -> (usize, String) {
        self.parameters.push(bits);
        let place = self.parameters.len() - 1;
        (place, self.parameter_at(place))
    }

    fn integer(&mut self, value: isize) -> String {
        self.parameter(value as i32 as u32).1
    }

    fn float(&mut self, value: f32) -> String {
        format!("bitcast<f32>({})", self.parameter(value.to_bits()).1)
    }

    /// Returns the expressions of a height and a width.
    fn size(&mut self, size: [usize; 2]) -> (String, String) {
        let place = match self.sizes.get(&size) {
            Some(place) => *place,
            None => {
                let (place, _) = self.parameter(size[0] as u32);
                self.parameter(size[1] as u32);
                self.sizes.insert(size, place);
                place
            }
        };
        (self.parameter_at(place), self.parameter_at(place + 1))
    }

    /// Returns the expression that reads a parameter as an i32.
    fn parameter_at(&self, place: usize) -> String {
        format!("{}[{}].{}", self.parameters_name, place / 4, lane(place % 4))
    }

    /// Returns the expression of a channel of `x` at the scope's pixel.
    fn value(&mut self, s: &mut Scope, x: &GpuTensor, c: usize) -> Result<String> {
        if let Some(value) = s.values.get(&(x.id(), c)) {
            return Ok(value.clone());
        }
        let value = match x.0.stored.get() {
            Some(stored) => {
                let stored = stored.clone()?;
                self.load(s, x, &stored, c)
            }
            None => self.compute(s, x, c)?,
        };
        s.values.insert((x.id(), c), value.clone());
        Ok(value)
    }

    /// Returns the index of a stored tensor among the kernel's inputs.
    fn input(&mut self, x: &GpuTensor, stored: &Stored) -> usize {
        let next = self.inputs.len();
        let place = *self.places.entry(x.id()).or_insert(next);
        if place == next {
            self.inputs.push(stored.clone());
        }
        place
    }

    /// Returns the expression of a stored channel.
    fn load(&mut self, s: &mut Scope, x: &GpuTensor, stored: &Stored, c: usize) -> String {
        let place = self.input(x, stored);
        let (rows, columns) = self.size(size_of(x));
        match stored.layout {
            Layout::Planar => {
                s.count_load(place);
                s.bind(&format!("b{place}[({c} * {rows} + y) * {columns} + x]"))
            }
            Layout::Quads | Layout::Halves | Layout::Fixed => {
                let quad = match s.quads.get(&(x.id(), c / 4)) {
                    Some(quad) => quad.clone(),
                    None => {
                        let pixel = self.pixel(s, size_of(x));
                        let (count, quad) = (quads(x.shape()[0]), c / 4);
                        let loaded = s.bind(&format!("b{place}[{pixel} * {count} + {quad}]"));
                        let loaded = match stored.layout {
                            Layout::Quads => loaded,
                            layout => s.bind(&layout.unpacked(&loaded)),
                        };
                        s.count_load(place);
                        s.quads.insert((x.id(), quad), loaded.clone());
                        loaded
                    }
                };
                format!("{quad}.{}", lane(c % 4))
            }
        }
    }

    /// Returns the variable of the pixel's index in an image of a size.
    fn pixel(&mut self, s: &mut Scope, size: [usize; 2]) -> String {
        if let Some(pixel) = s.pixels.get(&size) {
            return pixel.clone();
        }
        let (_, columns) = self.size(size);
        let pixel = s.bind(&format!("y * {columns} + x"));
        s.pixels.insert(size, pixel.clone());
        pixel
    }

    fn compute(&mut self, s: &mut Scope, x: &GpuTensor, c: usize) -> Result<String> {
        Ok(match &x.0.op {
            Op::Stored | Op::Rounded(_) => unreachable!("stored values are loaded"),
            Op::Constant(value) => {
                let value = self.float(*value);
                s.bind(&value)
            }
            Op::Cat(parts) => {
                let (part, c) = part_of(parts, c);
                self.value(s, part, c)?
            }
            Op::Narrow(x, first) => self.value(s, x, c + first)?,
            Op::Add(a, b) => {
                let (a, b) = (self.value(s, a, c)?, self.value(s, b, c)?);
                s.bind(&format!("{a} + {b}"))
            }
            Op::Mul(x, by) => {
                let (x, by) = (self.value(s, x, c)?, self.value(s, by, 0)?);
                s.bind(&format!("{x} * {by}"))
            }
            Op::Affine(x, factor, offset) => {
                let x = self.value(s, x, c)?;
                let (factor, offset) = (self.float(*factor), self.float(*offset));
                s.bind(&format!("{x} * {factor} + {offset}"))
            }
            Op::Clamp01(x) => {
                let x = self.value(s, x, c)?;
                s.bind(&format!("clamp({x}, 0.0, 1.0)"))
            }
            Op::Sigmoid(x) => {
                let x = self.value(s, x, c)?;
                s.bind(&sigmoid(&x))
            }
            Op::AddLastChannel(x, by) => {
                let last = x.shape()[0] - 1;
                let (value, last) = (self.value(s, x, c)?, self.value(s, x, last)?);
                let by = self.value(s, by, 0)?;
                s.bind(&format!("{value} + {last} * {by}"))
            }
            Op::Blend(a, b, mask) => {
                let weight = self.blend_weight(s, mask)?;
                let (a, b) = (self.value(s, a, c)?, self.value(s, b, c)?);
                s.bind(&format!("mix({b}, {a}, {weight})"))
            }
            Op::KeepStatic(frames, made, threshold) => self.keep_static(s, x, frames, made, *threshold, c)?,
            _ => {
                self.sample(s, x)?;
                s.values[&(x.id(), c)].clone()
            }
        })
    }

    /// Returns the variable of a mask's sigmoid.
    fn blend_weight(&mut self, s: &mut Scope, mask: &GpuTensor) -> Result<String> {
        if let Some(weight) = s.sigmoids.get(&mask.id()) {
            return Ok(weight.clone());
        }
        let value = self.value(s, mask, 0)?;
        let weight = s.bind(&sigmoid(&value));
        s.sigmoids.insert(mask.id(), weight.clone());
        Ok(weight)
    }

    fn keep_static(
        &mut self,
        s: &mut Scope,
        x: &GpuTensor,
        [a, b]: &[GpuTensor; 2],
        made: &GpuTensor,
        threshold: f32,
        c: usize,
    ) -> Result<String> {
        let share = match s.sigmoids.get(&x.id()) {
            Some(share) => share.clone(),
            None => {
                let mut largest = "0.0".to_owned();
                for c in 0..a.shape()[0] {
                    let (a, b) = (self.value(s, a, c)?, self.value(s, b, c)?);
                    largest = s.bind(&format!("max({largest}, abs({a} - {b}))"));
                }
                let threshold = self.float(threshold);
                let share = s.bind(&format!("clamp({threshold} - 255.0 * {largest}, 0.0, 1.0)"));
                s.sigmoids.insert(x.id(), share.clone());
                share
            }
        };
        let (a, b) = (self.value(s, a, c)?, self.value(s, b, c)?);
        let made = self.value(s, made, c)?;
        Ok(s.bind(&format!("mix({made}, 0.5 * ({a} + {b}), {share})")))
    }

    /// Computes the needed channels of an operation that reads other pixels.
    fn sample(&mut self, s: &mut Scope, x: &GpuTensor) -> Result<()> {
        let channels: Vec<usize> = s.wanted[&x.id()].iter().copied().collect();
        let values = match &x.0.op {
            Op::Resize(from, factor) => self.resize(s, from, *factor, &channels)?,
            Op::Warp(image, flow) => {
                let flow = [self.value(s, flow, 0)?, self.value(s, flow, 1)?];
                let taps = self.displaced(s, flow, size_of(image));
                self.bilinear(s, image, &taps, &channels)?
            }
            Op::WarpObmc(image, velocity, factor, neighbours) => {
                self.warp_obmc(s, [image, velocity], *factor, *neighbours, &channels)?
            }
            Op::CubicResidual(image, flow) => {
                let flow = [self.value(s, flow, 0)?, self.value(s, flow, 1)?];
                self.cubic_residual(s, image, flow, &channels)?
            }
            Op::PixelShuffle(from) => self.pixel_shuffle(s, from, &channels)?,
            Op::Rotate180(from) => {
                let (rows, columns) = self.size(size_of(from));
                let (column, row) = (format!("{columns} - 1 - x"), format!("{rows} - 1 - y"));
                self.call(s, from, &channels, &column, &row)?
            }
            Op::Window(from) => {
                let (rows, columns) = self.size(size_of(from));
                let (column, row) = (format!("min(x, {columns} - 1)"), format!("min(y, {rows} - 1)"));
                self.call(s, from, &channels, &column, &row)?
            }
            _ => unreachable!("all others read their own pixel"),
        };
        for (c, value) in channels.into_iter().zip(values) {
            s.values.insert((x.id(), c), value);
        }
        Ok(())
    }

    /// Returns the values of some channels of `x` at another pixel.
    fn call(
        &mut self,
        s: &mut Scope,
        x: &GpuTensor,
        channels: &[usize],
        column: &str,
        row: &str,
    ) -> Result<Vec<String>> {
        let function = self.function(x, channels)?;
        self.count_call(s, function, 1);
        let all = s.bind(&format!("g{function}({column}, {row})"));
        Ok((0..channels.len()).map(|i| format!("{all}[{i}]")).collect())
    }

    /// Counts a call that runs some times: its statements, which are there once, and its loads.
    fn count_call(&mut self, s: &mut Scope, function: usize, times: usize) {
        let function = &mut self.functions[function];
        function.calls += 1;
        s.size += function.size;
        for (place, loads) in &function.loads {
            *s.loads.entry(*place).or_default() += loads * times;
        }
    }

    /// Returns weighted sums of some channels of `x` over the four pixels of two columns and two rows, by a loop. `weights` are
    /// expressions of the weights of the left and right column, and of the upper and lower row.
    fn weighted(
        &mut self,
        s: &mut Scope,
        x: &GpuTensor,
        channels: &[usize],
        [columns, rows]: [&[String; 2]; 2],
        weights: [[String; 2]; 2],
    ) -> Result<Vec<String>> {
        let function = self.function(x, channels)?;
        self.count_call(s, function, 4);
        let [[left, right], [top, bottom]] = [columns, rows];
        let [[at_left, at_right], [at_top, at_bottom]] = weights;
        let first = s.names;
        s.names += channels.len();
        let names: Vec<_> = (first..s.names).map(|i| format!("s{i}")).collect();
        let sums = &mut s.body;
        for name in &names {
            let _ = writeln!(sums, "    var {name} = 0.0;");
        }
        let _ = writeln!(
            sums,
            "    for (var i = 0; i < 4; i++) {{\n        \
             let r = g{function}(select({left}, {right}, i % 2 == 1), select({top}, {bottom}, i > 1));\n        \
             let w = select({at_left}, {at_right}, i % 2 == 1) * select({at_top}, {at_bottom}, i > 1);"
        );
        for (i, name) in names.iter().enumerate() {
            let _ = writeln!(sums, "        {name} += w * r[{i}];");
        }
        sums.push_str("    }\n");
        s.size += 2 * channels.len();
        Ok(names)
    }

    /// Returns whether the function of `x` is so long that its calls belong in a loop.
    fn is_long(&mut self, x: &GpuTensor, channels: &[usize]) -> Result<bool> {
        let function = self.function(x, channels)?;
        Ok(self.functions[function].size > LONG)
    }

    /// Returns the index of the function that computes some channels of `x` at any pixel.
    fn function(&mut self, x: &GpuTensor, channels: &[usize]) -> Result<usize> {
        let key = (x.id(), channels.to_vec());
        if let Some(function) = self.known.get(&key) {
            return Ok(*function);
        }
        let mut s = Scope::new(x, channels);
        let values = channels.iter().map(|c| self.value(&mut s, x, *c));
        let values = values.collect::<Result<Vec<_>>>()?.join(", ");
        let (index, count) = (self.functions.len(), channels.len());
        let text = format!(
            "fn g{index}(x: i32, y: i32) -> array<f32, {count}> {{\n{}    return array<f32, {count}>({values});\n}}\n",
            s.body
        );
        self.functions.push(Function {
            text,
            of: x.clone(),
            size: s.size,
            loads: s.loads,
            calls: 0,
        });
        self.known.insert(key, index);
        Ok(index)
    }

    /// Binds the taps of the scope's pixel displaced by a flow, in an image of a size.
    fn displaced(&mut self, s: &mut Scope, [along, down]: [String; 2], size: [usize; 2]) -> Taps {
        let (column, row) = (format!("f32(x) + {along}"), format!("f32(y) + {down}"));
        self.taps(s, [column, row], size)
    }

    /// Binds the taps of a position, clamped to an image of a size.
    fn taps(&mut self, s: &mut Scope, [column, row]: [String; 2], size: [usize; 2]) -> Taps {
        let (rows, columns) = self.size(size);
        let mut axis = |at: String, size: String| {
            let at = s.bind(&format!("clamped({at}, {size})"));
            let first = s.bind(&format!("clamp(i32({at}), 0, {size} - 1)"));
            let second = s.bind(&format!("min({first} + 1, {size} - 1)"));
            let weight = s.bind(&format!("{at} - f32({first})"));
            ([first, second], weight)
        };
        let (columns, along) = axis(column, columns);
        let (rows, down) = axis(row, rows);
        Taps {
            columns,
            rows,
            weights: [along, down],
        }
    }

    /// Returns bilinear samples of some channels.
    fn bilinear(
        &mut self,
        s: &mut Scope,
        x: &GpuTensor,
        taps: &Taps,
        channels: &[usize],
    ) -> Result<Vec<String>> {
        if self.is_long(x, channels)? {
            let weights = taps
                .weights
                .each_ref()
                .map(|weight| [format!("1.0 - {weight}"), weight.clone()]);
            return self.weighted(s, x, channels, [&taps.columns, &taps.rows], weights);
        }
        let [left, right] = &taps.columns;
        let [top, bottom] = &taps.rows;
        let a = self.call(s, x, channels, left, top)?;
        let b = self.call(s, x, channels, right, top)?;
        let c = self.call(s, x, channels, left, bottom)?;
        let d = self.call(s, x, channels, right, bottom)?;
        let [along, down] = &taps.weights;
        let mixed = |i: usize| {
            let (a, b, c, d) = (&a[i], &b[i], &c[i], &d[i]);
            s.bind(&format!(
                "mix(mix({a}, {b}, {along}), mix({c}, {d}, {along}), {down})"
            ))
        };
        Ok((0..channels.len()).map(mixed).collect())
    }

    fn resize(
        &mut self,
        s: &mut Scope,
        x: &GpuTensor,
        factor: Resize,
        channels: &[usize],
    ) -> Result<Vec<String>> {
        if let Resize::Down(by) = factor
            && by % 2 == 0
        {
            return self.halve(s, x, by, channels);
        }
        let (by, ratio) = match factor {
            Resize::Up(by) => (by, 1.0 / by as f32),
            Resize::Down(by) => (0, by as f32),
        };
        let key = (size_of(x), by);
        let taps = match s.enlarged.get(&key) {
            Some(taps) => taps.clone(),
            None => {
                let ratio = self.float(ratio);
                let at = |axis: &str| format!("(f32({axis}) + 0.5) * {ratio} - 0.5");
                let taps = self.taps(s, [at("x"), at("y")], size_of(x));
                s.enlarged.insert(key, taps.clone());
                taps
            }
        };
        self.bilinear(s, x, &taps, channels)
    }

    /// Downsamples by an even factor: the mean of the four pixels in the middle of each cell.
    fn halve(&mut self, s: &mut Scope, x: &GpuTensor, by: usize, channels: &[usize]) -> Result<Vec<String>> {
        let by = self.integer(by as isize);
        let mut axis = |name: &str| {
            let first = s.bind(&format!("{name} * {by} + {by} / 2 - 1"));
            [first.clone(), format!("{first} + 1")]
        };
        let (columns, rows) = (axis("x"), axis("y"));
        if self.is_long(x, channels)? {
            let half = || ["0.5".to_owned(), "0.5".to_owned()];
            return self.weighted(s, x, channels, [&columns, &rows], [half(), half()]);
        }
        let ([left, right], [top, bottom]) = (columns, rows);
        let a = self.call(s, x, channels, &left, &top)?;
        let b = self.call(s, x, channels, &right, &top)?;
        let c = self.call(s, x, channels, &left, &bottom)?;
        let d = self.call(s, x, channels, &right, &bottom)?;
        let mean = |i: usize| {
            let (a, b, c, d) = (&a[i], &b[i], &c[i], &d[i]);
            s.bind(&format!("0.25 * (({a} + {b}) + ({c} + {d}))"))
        };
        Ok((0..channels.len()).map(mean).collect())
    }

    fn warp_obmc(
        &mut self,
        s: &mut Scope,
        [image, velocity]: [&GpuTensor; 2],
        factor: f32,
        neighbours: [[isize; 2]; 2],
        channels: &[usize],
    ) -> Result<Vec<String>> {
        let factor = self.float(factor);
        let (rows, columns) = self.size(size_of(velocity));
        let mut warp = |[down, right]: [isize; 2]| {
            let (down, right) = (self.integer(down), self.integer(right));
            let column = s.bind(&format!("clamp(x + {right}, 0, {columns} - 1)"));
            let row = s.bind(&format!("clamp(y + {down}, 0, {rows} - 1)"));
            let flow = self.call(s, velocity, &[0, 1], &column, &row)?;
            let flow = [0, 1].map(|i| format!("{} * {factor}", flow[i]));
            let taps = self.displaced(s, flow, size_of(image));
            self.bilinear(s, image, &taps, channels)
        };
        let (first, second) = (warp(neighbours[0])?, warp(neighbours[1])?);
        let both = first.iter().zip(&second);
        Ok(both.map(|(a, b)| s.bind(&format!("0.5 * ({a} + {b})"))).collect())
    }

    /// Returns, summed over both axes, minus half the second difference at a fraction f between two pixels, times f (1 - f).
    fn cubic_residual(
        &mut self,
        s: &mut Scope,
        image: &GpuTensor,
        flow: [String; 2],
        channels: &[usize],
    ) -> Result<Vec<String>> {
        let size = size_of(image);
        let taps = self.displaced(s, flow, size);
        let (rows, columns) = self.size(size);
        let function = self.function(image, channels)?;
        // The four corners of the 4x4 pixels around the position are not read.
        self.count_call(s, function, 12);
        let [along, down] = &taps.weights;
        let lines = |f: &str| {
            [
                format!(
                    "vec4<f32>(0.5 * {f} - 0.5, 1.0 - 1.5 * {f}, 1.5 * {f} - 0.5, -0.5 * {f}) * {f} * (1.0 - {f})"
                ),
                format!("vec4<f32>(0.0, 1.0 - {f}, {f}, 0.0)"),
            ]
        };
        // Weights of the second differences along an axis, and of linear interpolation.
        let [curved_x, linear_x] = lines(along).map(|line| s.bind(&line));
        let [curved_y, linear_y] = lines(down).map(|line| s.bind(&line));
        let names: Vec<_> = (s.names..s.names + channels.len())
            .map(|i| format!("s{i}"))
            .collect();
        s.names += channels.len();
        let (column, row) = (&taps.columns[0], &taps.rows[0]);
        let text = &mut s.body;
        for name in &names {
            let _ = writeln!(text, "    var {name} = 0.0;");
        }
        let _ = writeln!(
            text,
            "    for (var i = 0; i < 16; i++) {{\n        let across = i % 4;\n        let below = i / 4;\n        \
             if ((across == 0 || across == 3) && (below == 0 || below == 3)) {{ continue; }}\n        \
             let r = g{function}(clamp({column} + across - 1, 0, {columns} - 1), clamp({row} + below - 1, 0, {rows} - 1));\n        \
             let w = {curved_x}[across] * {linear_y}[below] + {curved_y}[below] * {linear_x}[across];"
        );
        for (i, name) in names.iter().enumerate() {
            let _ = writeln!(text, "        {name} += w * r[{i}];");
        }
        text.push_str("    }\n");
        s.size += 2 * channels.len() + 8;
        Ok(names)
    }

    /// Computes PixelShuffle(2): channel c at (2y + i, 2x + j) is channel 4c + 2i + j at (y, x).
    fn pixel_shuffle(&mut self, s: &mut Scope, x: &GpuTensor, channels: &[usize]) -> Result<Vec<String>> {
        if let Some(stored) = x.0.stored.get() {
            let stored = stored.clone()?;
            if stored.layout != Layout::Planar {
                return Ok(self.shuffle_quads(s, x, &stored, channels));
            }
        }
        let from: Vec<usize> = channels.iter().flat_map(|c| 4 * c..4 * c + 4).collect();
        let values = self.call(s, x, &from, "x / 2", "y / 2")?;
        let odd_column = s.bind("x % 2 == 1");
        let odd_row = s.bind("y % 2 == 1");
        let pick = |four: &[String]| {
            let [a, b, c, d] = [0, 1, 2, 3].map(|i| &four[i]);
            s.bind(&format!(
                "select(select({a}, {b}, {odd_column}), select({c}, {d}, {odd_column}), {odd_row})"
            ))
        };
        Ok(values.chunks(4).map(pick).collect())
    }
}

impl Generator {
    /// Computes PixelShuffle(2) of stored quads: channel c is one lane of quad c.
    fn shuffle_quads(
        &mut self,
        s: &mut Scope,
        x: &GpuTensor,
        stored: &Stored,
        channels: &[usize],
    ) -> Vec<String> {
        let place = self.input(x, stored);
        let (_, columns) = self.size(size_of(x));
        let pixel = s.bind(&format!("(y / 2 * {columns} + x / 2) * {}", quads(x.shape()[0])));
        let lane = s.bind("y % 2 * 2 + x % 2");
        let mut load = |c: &usize| {
            s.count_load(place);
            match stored.layout {
                Layout::Fixed => {
                    let quad = s.bind(&format!("b{place}[{pixel} + {c}]"));
                    let quad = s.bind(&Layout::Fixed.unpacked(&quad));
                    s.bind(&format!("{quad}[{lane}]"))
                }
                _ => s.bind(&format!("f32(b{place}[{pixel} + {c}][{lane}])")),
            }
        };
        channels.iter().map(&mut load).collect()
    }
}

fn sigmoid(x: &str) -> String {
    format!("1.0 / (1.0 + exp(-({x})))")
}

fn lane(lane: usize) -> char {
    ['x', 'y', 'z', 'w'][lane]
}
