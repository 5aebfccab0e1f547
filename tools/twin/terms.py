"""Loss terms of `rife-train` that the default recipe does not use."""

import torch
import torch.nn.functional as F


def charbonnier(a, b, epsilon=1e-3):
    """Computes the Charbonnier loss (smooth L1)."""
    return ((a - b) ** 2 + epsilon ** 2).sqrt().mean()


def ternary(x, patch=7):
    """Computes the soft ternary census transform of RGB in 0..1: [n, patch^2, h - patch + 1, w - patch + 1] in -1..1."""
    grey = 255 * (0.2989 * x[:, 0:1] + 0.5870 * x[:, 1:2] + 0.1140 * x[:, 2:3])
    n, _, h, w = grey.shape
    neighbours = F.unfold(grey, patch).view(n, patch * patch, h - patch + 1, w - patch + 1)
    off = neighbours - neighbours[:, patch * patch // 2][:, None]
    return off / torch.sqrt(0.81 + off ** 2)


def census(a, b):
    """Computes the mean soft Hamming distance of two census transforms."""
    square = (ternary(a) - ternary(b)) ** 2
    return (square / (0.1 + square)).mean()
