//! Planning: which operands of an expression get a buffer of their own before the expression's kernel runs, because
//! computing them where they are read would cost more than writing and reading them.

use std::collections::{HashMap, HashSet};

use rife_backend::Resize;

use crate::engine::Engine;
use crate::tensor::{GpuTensor, Layout, Op};

/// Maximum loads of one thread; above it, the costliest operands are stored.
const MAX_COST: f32 = 400.0;

/// An operand, and how often each of its values is read on average.
struct Reads<'a> {
    operand: &'a GpuTensor,
    per_value: f32,
}

impl Engine {
    /// Stores those operands of `x` that its kernel should not compute where it reads them.
    pub(crate) fn plan(&self, x: &GpuTensor) {
        self.settle(x, &mut HashSet::new());
        self.limit_buffers(x);
    }

    /// Stores an operand. Where that fails, the operand holds the error.
    fn compute(&self, operand: &GpuTensor) {
        let _ = self.store(operand, Layout::Quads);
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
            let cost = cost(operand, &mut HashMap::new());
            if per_value * cost > cost + 1.0 + per_value {
                self.compute(operand);
            }
        }
        while cost(x, &mut HashMap::new()) > MAX_COST {
            let most = x
                .operands()
                .into_iter()
                .filter(|operand| !is_leaf(operand))
                .max_by(|a, b| cost(a, &mut HashMap::new()).total_cmp(&cost(b, &mut HashMap::new())));
            let Some(most) = most else { break };
            self.compute(most);
        }
    }

    /// Stores operands until the kernel of `x` reads no more buffers than the device allows.
    fn limit_buffers(&self, x: &GpuTensor) {
        while buffers(x).len() > self.max_inputs() {
            let mut most = x;
            // The largest operand that fits a kernel, or the largest at all.
            while let Some(operand) = most
                .operands()
                .into_iter()
                .filter(|operand| !is_leaf(operand))
                .max_by_key(|operand| buffers(operand).len())
            {
                most = operand;
                if buffers(most).len() <= self.max_inputs() {
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

/// Estimates the loads of computing a value from stored ones; an operand of several operations counts once for each. `known`
/// caches the costs of tensors by their ids.
fn cost(x: &GpuTensor, known: &mut HashMap<usize, f32>) -> f32 {
    if x.is_stored() {
        return 1.0;
    }
    if let Some(cost) = known.get(&x.id()) {
        return *cost;
    }
    let operands: Vec<f32> = x
        .operands()
        .into_iter()
        .map(|operand| cost(operand, known))
        .collect();
    let found = match &x.0.op {
        // Parts are different channels.
        Op::Cat(_) => operands.into_iter().fold(0.0, f32::max),
        Op::Resize(..) => 4.0 * operands[0],
        Op::Warp(..) => 4.0 * operands[0] + operands[1],
        Op::WarpObmc(..) => 8.0 * operands[0] + 2.0 * operands[1],
        Op::CubicResidual(..) => 12.0 * operands[0] + operands[1],
        _ => operands.into_iter().sum(),
    };
    known.insert(x.id(), found);
    found
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
