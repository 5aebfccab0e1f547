//! Planning: which operands of an expression get a buffer of their own before the expression's kernel runs, because
//! computing them where they are read would cost more than writing and reading them.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use rife_backend::Resize;

use crate::engine::Engine;
use crate::tensor::{GpuTensor, Op, parts_of, quads};

/// Maximum loads of one thread; above it, the costliest operands are stored.
const MAX_COST: f32 = 400.0;

/// An operand, and how often each of its values is read on average.
struct Reads<'a> {
    operand: &'a GpuTensor,
    per_value: f32,
}

impl Engine {
    /// Stores those operands of `x` that its kernel should not compute where it reads them, and others until the kernel reads
    /// at most `max_inputs` buffers.
    pub(crate) fn plan(&self, x: &GpuTensor, max_inputs: usize) {
        self.settle(x, &mut HashSet::new());
        self.limit_buffers(x, max_inputs);
    }

    /// Stores an operand, or the tensor of as many quads of which it is a part. Where that fails, that tensor holds the error.
    fn compute(&self, operand: &GpuTensor) {
        let mut whole = operand;
        while let Op::Narrow(of, _) = &whole.0.op
            && !whole.is_stored()
            && quads(of.shape()[0]) == quads(operand.shape()[0])
        {
            whole = of;
        }
        let _ = self.store(whole, self.exact_layout(whole));
    }

    /// Stores operands of `x` and of its operands, innermost first, by their costs.
    fn settle(&self, x: &GpuTensor, settled: &mut HashSet<usize>) {
        if !settled.insert(x.id()) {
            return;
        }
        for operand in x.operands() {
            self.settle(operand, settled);
        }
        for Reads { operand, per_value } in reads(x) {
            let (cost, stored) = (cost(operand), quads(operand.shape()[0]) as f32);
            if per_value * cost > cost + stored + per_value * stored {
                self.compute(operand);
            }
        }
        while cost(x) > MAX_COST {
            let most = x
                .operands()
                .into_iter()
                .filter(|operand| !is_leaf(operand))
                .max_by(|a, b| cost(a).total_cmp(&cost(b)));
            let Some(most) = most else { break };
            self.compute(most);
        }
    }

    /// Stores operands until the kernel of `x` reads at most `max_inputs` buffers.
    fn limit_buffers(&self, x: &GpuTensor, max_inputs: usize) {
        while buffers(x).len() > max_inputs {
            let mut most = x;
            // The largest operand that fits a kernel, or the largest at all.
            while let Some(operand) = most
                .operands()
                .into_iter()
                .filter(|operand| !is_leaf(operand))
                .max_by_key(|operand| buffers(operand).len())
            {
                most = operand;
                if buffers(most).len() <= max_inputs {
                    break;
                }
            }
            assert!(most.id() != x.id(), "an operation reads a few buffers");
            self.compute(most);
        }
    }
}

/// Returns whether reading `x` costs at most a load.
fn is_leaf(x: &GpuTensor) -> bool {
    x.is_stored() || matches!(x.0.op, Op::Constant(_))
}

/// Returns the operands that are read at other positions than the result's.
fn reads(x: &GpuTensor) -> Vec<Reads<'_>> {
    if x.is_stored() {
        return Vec::new();
    }
    let of = |operand, per_value| Reads { operand, per_value };
    match &x.0.op {
        Op::Resize(x, Resize::Up(by)) => vec![of(x, 4.0 * (by * by) as f32)],
        Op::Resize(x, Resize::Down(by)) => vec![of(x, 4.0 / (by * by) as f32)],
        Op::Warp(image, _) => vec![of(image, 4.0)],
        Op::WarpObmc(image, velocity, ..) => vec![of(image, 8.0), of(velocity, 2.0)],
        Op::CubicResidual(image, _) => vec![of(image, 12.0)],
        Op::PixelShuffle(x) => vec![of(x, 4.0)],
        _ => Vec::new(),
    }
}

/// Estimates the loads of computing all channels of a pixel from stored tensors.
fn cost(x: &GpuTensor) -> f32 {
    Costs::default().of(x, 0..x.shape()[0])
}

/// What was found so far about costs, by a tensor's id and its channels.
#[derive(Default)]
struct Costs {
    known: HashMap<(usize, Range<usize>), f32>,
}

/// Loads at one pixel: those of a stored tensor's quad, or those of all that an operation reads at other pixels, each counted
/// once.
#[derive(Default)]
struct Loads {
    seen: HashSet<(usize, Range<usize>)>,
    found: HashMap<(usize, usize), f32>,
}

/// In the place of a quad, for an operation that reads other pixels.
const ELSEWHERE: usize = usize::MAX;

impl Costs {
    /// Returns the loads of computing some channels of a pixel.
    fn of(&mut self, x: &GpuTensor, channels: Range<usize>) -> f32 {
        let key = (x.id(), channels.clone());
        if let Some(cost) = self.known.get(&key) {
            return *cost;
        }
        let mut loads = Loads::default();
        self.collect(x, channels, &mut loads);
        let cost = loads.found.values().sum();
        self.known.insert(key, cost);
        cost
    }

    /// Adds the loads that some channels of a pixel take.
    fn collect(&mut self, x: &GpuTensor, channels: Range<usize>, to: &mut Loads) {
        if channels.is_empty() || !to.seen.insert((x.id(), channels.clone())) {
            return;
        }
        if x.is_stored() {
            for quad in channels.start / 4..channels.end.div_ceil(4) {
                to.found.insert((x.id(), quad), 1.0);
            }
            return;
        }
        match &x.0.op {
            Op::Stored | Op::Rounded(_) | Op::Constant(_) => {}
            Op::Cat(parts) => {
                for (part, channels) in parts_of(parts, channels) {
                    self.collect(part, channels, to);
                }
            }
            Op::Narrow(x, first) => self.collect(x, channels.start + first..channels.end + first, to),
            Op::Affine(x, ..) | Op::Clamp01(x) | Op::Sigmoid(x) => self.collect(x, channels, to),
            Op::Add(a, b) => [a, b]
                .into_iter()
                .for_each(|x| self.collect(x, channels.clone(), to)),
            Op::Mul(x, by) => {
                self.collect(x, channels, to);
                self.collect(by, 0..1, to);
            }
            Op::AddLastChannel(x, by) => {
                let last = x.shape()[0] - 1;
                self.collect(x, channels, to);
                self.collect(x, last..last + 1, to);
                self.collect(by, 0..1, to);
            }
            Op::Blend(a, b, mask) => {
                [a, b]
                    .into_iter()
                    .for_each(|x| self.collect(x, channels.clone(), to));
                self.collect(mask, 0..1, to);
            }
            Op::KeepStatic([a, b], made, _) => {
                [a, b]
                    .into_iter()
                    .for_each(|x| self.collect(x, 0..x.shape()[0], to));
                self.collect(made, channels, to);
            }
            _ => self.collect_elsewhere(x, channels, to),
        }
    }

    /// Adds the loads of an operation that reads other pixels.
    fn collect_elsewhere(&mut self, x: &GpuTensor, channels: Range<usize>, to: &mut Loads) {
        let loads = match &x.0.op {
            Op::Resize(x, _) => 4.0 * self.of(x, channels),
            Op::Warp(image, flow) => {
                self.collect(flow, 0..2, to);
                4.0 * self.of(image, channels)
            }
            Op::WarpObmc(image, velocity, ..) => {
                8.0 * self.of(image, channels) + 2.0 * self.of(velocity, 0..2)
            }
            Op::CubicResidual(image, flow) => {
                self.collect(flow, 0..2, to);
                12.0 * self.of(image, channels)
            }
            Op::PixelShuffle(x) => self.of(x, 4 * channels.start..4 * channels.end),
            Op::Rotate180(x) | Op::Window(x) => self.of(x, channels),
            _ => unreachable!("all others read their own pixel"),
        };
        let found = to.found.entry((x.id(), ELSEWHERE)).or_default();
        *found = found.max(loads);
    }
}

/// Returns the ids of the stored tensors that the kernel of `x` reads.
fn buffers(x: &GpuTensor) -> HashSet<usize> {
    let (mut found, mut seen, mut open) = (HashSet::new(), HashSet::new(), vec![x]);
    while let Some(x) = open.pop() {
        if !seen.insert(x.id()) {
            continue;
        }
        if x.is_stored() {
            found.insert(x.id());
        }
        open.extend(x.operands());
    }
    found
}
