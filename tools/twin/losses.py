"""Training losses, equal to those of `rife-train`'s `loss` module."""

import torch
import torch.nn.functional as F

from .network import down

BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
# Maximum flow error in pixels: larger ones are clamped to it.
MAX_FLOW_ERROR = 40


def blur(x):
    """Applies the 5x5 binomial filter, edges reflected."""
    h, w = x.shape[2:]
    x = F.pad(x, (2, 2, 2, 2), mode="reflect")
    x = sum(k * x[:, :, i:i + h] for i, k in enumerate(BINOMIAL))
    return sum(k * x[..., i:i + w] for i, k in enumerate(BINOMIAL))


def spread(x):
    """Upsamples by 2 by inserting zeros."""
    x = torch.stack([x, torch.zeros_like(x)], -1).flatten(-2)
    return torch.stack([x, torch.zeros_like(x)], -2).flatten(-3, -2)


def laplacian(a, b, levels=5):
    """Computes the Laplacian pyramid loss: the sum over levels of the mean absolute difference. Sides are multiples of
    2^(levels - 1)."""
    x, loss = a - b, 0.0
    for _ in range(levels - 1):
        small = blur(x)[:, :, ::2, ::2]
        loss = loss + (x - 4 * blur(spread(small))).abs().mean()
        x = small
    return loss + x.abs().mean()


def flow_loss(flow, truth, known):
    """Computes the mean absolute flow error in pixels where `known` is 1, errors clamped to MAX_FLOW_ERROR."""
    error = (flow - truth).abs().clamp(max=MAX_FLOW_ERROR) * known
    return error.sum() / (4 * known.sum()).clamp(min=1)


def decibels(a, b):
    """Computes the negative PSNR: the mean over samples of 10 log10(MSE + 1e-5)."""
    return 10 * torch.log10((a - b).square().mean((1, 2, 3)) + 1e-5).mean()


def loss_of(output, truth, flow_truth, weights, flow_weight):
    """Computes the total loss and its Laplacian term. `flow_truth` is the flow [n, 4, h, w] and a mask of known pixels, or
    None."""
    flow, _, merged, stages = output
    final = laplacian(merged, truth)
    total = final
    if weights.get("psnr_weight", 0) > 0:
        total = total + weights["psnr_weight"] * decibels(merged, truth)
    for s, warped0, warped1, mask in stages:
        gate = torch.sigmoid(mask)
        blend = warped0 * gate + warped1 * (1 - gate)
        total = total + weights["stage_weight"] * (blend - down(truth, s)).abs().mean()
    if flow_truth is not None:
        total = total + flow_weight * flow_loss(flow, *flow_truth)
    return total, final
