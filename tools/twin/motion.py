"""Dense inverse search (DIS) optical flow in both directions, projected to a timestep: the prior of a network.

Equal to `rife_backend::dis`, in tensor operations over all 8x8 patches (stride 4) at once. `dis` are the constants of a
recipe's `[network.prior.dis]`.
"""

import json

import torch
import torch.nn.functional as F

try:
    # The Python package of this project: the same search, compiled for the CPU.
    from rife._rife import dis_prior
except ImportError:
    dis_prior = None

STRIDE, SIDE = 4, 8


def coarser_levels(height, width, dis):
    """Returns the number of pyramid levels above the finest."""
    return (max(max(height, width) ** 2 // dis["min_coarsest_area"], 1).bit_length() - 1) // 2


def shifted(x, down, right):
    """Shifts: each pixel becomes the one `down` rows below and `right` columns to the right, edges replicated."""
    h, w = x.shape[2:]
    rows = (torch.arange(h, device=x.device) + down).clamp(0, h - 1)
    columns = (torch.arange(w, device=x.device) + right).clamp(0, w - 1)
    return x[:, :, rows][..., columns]


def luma(images):
    """Computes BT.601 luma, [n, 1, h, w]."""
    return (images * torch.tensor([0.299, 0.587, 0.114], device=images.device).view(1, 3, 1, 1)).sum(1, keepdim=True)


def ordered(a, b, c):
    """Sorts three tensors elementwise: minimum, median, maximum."""
    less, more = torch.minimum(a, b), torch.maximum(a, b)
    return torch.minimum(less, c), torch.maximum(less, torch.minimum(more, c)), torch.maximum(more, c)


def median(x):
    """Applies a 3x3 median filter, edges replicated: the median of the maximum of the columns' minima, the median of their
    medians and the minimum of their maxima."""
    h, w = x.shape[2:]
    x = F.pad(x, (1,) * 4, mode="replicate")
    low, middle, high = ordered(*(x[:, :, i:i + h] for i in range(3)))
    along = [[part[..., i:i + w] for i in range(3)] for part in (low, middle, high)]
    return ordered(ordered(*along[0])[2], ordered(*along[1])[1], ordered(*along[2])[0])[1]


def moved(x, flow):
    """Backward warp: samples x at each pixel's position plus `flow`, bilinear, border clamped."""
    h, w = x.shape[2:]
    gx = (flow[:, 0] + torch.arange(w, device=x.device)) * (2 / max(w - 1, 1)) - 1
    gy = (flow[:, 1] + torch.arange(h, device=x.device)[:, None]) * (2 / max(h - 1, 1)) - 1
    return F.grid_sample(x, torch.stack([gx, gy], -1), mode="bilinear", padding_mode="border", align_corners=True)


def filled(x):
    """Pads to multiples of STRIDE by replicating the last row and column."""
    h, w = x.shape[2:]
    return F.pad(x, (0, -w % STRIDE, 0, -h % STRIDE), mode="replicate")


class Patches:
    """The patches of frame `a`, searched in frame `b`, both luma of one level."""

    def __init__(self, a, b, dis):
        self.a, self.b, self.dis = a, b, dis
        h, w = a.shape[2:]
        self.y, self.x = (self.places(side, a.device) for side in (h, w))
        rows, columns = (p.clamp(0, side - 1) for p, side in ((self.y, h), (self.x, w)))
        at = lambda down, right: a[:, :, (self.y + down).clamp(0, h - 1)][..., (self.x + right).clamp(0, w - 1)]
        self.pixels = a[:, :, rows][..., columns]
        self.along, self.down = (self.centred((at(*i) - at(*j)) / 2)
                                 for i, j in (((0, 1), (0, -1)), ((1, 0), (-1, 0))))
        xx, yy = (self.mean(s * s) + dis["damping"] for s in (self.along, self.down))
        xy = self.mean(self.along * self.down)
        self.inverse = [part / (xx * yy - xy * xy) for part in (xx, xy, yy)]

    @staticmethod
    def places(side, device):
        """Returns the coordinates along an axis of the pixels of all patches, patch by patch."""
        first = torch.arange(side // STRIDE, device=device) * STRIDE - STRIDE // 2
        return (first[:, None] + torch.arange(SIDE, device=device)).flatten()

    @staticmethod
    def mean(x):
        """Averages over each patch."""
        return F.avg_pool2d(x, SIDE)

    @staticmethod
    def wide(x):
        """Expands a value per patch to all of its pixels."""
        return x.repeat_interleave(SIDE, 2).repeat_interleave(SIDE, 3)

    def centred(self, x):
        """Subtracts the mean over each patch."""
        return x - self.wide(self.mean(x))

    def off(self, v):
        """Computes the differences of displaced patches, minus their means (invariance to brightness)."""
        h, w = self.a.shape[2:]
        v = self.wide(v)
        gx, gy = (v[:, 0] + self.x) * (2 / max(w - 1, 1)) - 1, (v[:, 1] + self.y[:, None]) * (2 / max(h - 1, 1)) - 1
        seen = F.grid_sample(self.b, torch.stack([gx, gy], -1), mode="bilinear", padding_mode="border", align_corners=True)
        return self.centred(seen - self.pixels)

    def descend(self, v):
        """Runs Gauss-Newton steps from velocities v and returns, per patch, the velocity of lowest cost and that cost."""
        best = least = None
        (xx, xy, yy), most = self.inverse, self.dis["max_step"]
        for _ in range(self.dis["gauss_newton_steps"] + 1):
            off = self.off(v)
            cost = self.mean(off * off)
            best, least = (v, cost) if best is None else better(best, least, v, cost)
            x, y = self.mean(off * self.along), self.mean(off * self.down)
            v = v + torch.cat([xy * y - yy * x, xy * x - xx * y], 1).clamp(-most, most)
        return best, least

    def propagate(self, best, least):
        """Runs one propagation round: each patch takes the velocity of lowest cost among its own and its four neighbours'."""
        had = best
        for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            offer = shifted(had, down, right)
            off = self.off(offer)
            best, least = better(best, least, offer, self.mean(off * off))
        return best, least

    def dense(self, best):
        """Densification: averages, per pixel, the velocities of the patches that cover it, weighted by the inverse of the
        absolute difference that each leaves at the pixel."""
        half = STRIDE // 2
        wide = best.repeat_interleave(STRIDE, 2).repeat_interleave(STRIDE, 3)
        total = weighted = 0
        for down, right in ((-half, -half), (-half, half), (half, -half), (half, half)):
            v = shifted(wide, down, right)
            weight = 1 / (moved(self.b, v) - self.a).abs().clamp(self.dis["min_residual"], 1)
            total, weighted = total + weight, weighted + weight * v
        return weighted / total


def better(best, least, v, cost):
    """Selects per patch the velocity of lower cost, and its cost."""
    return torch.where(cost < least, v, best), torch.minimum(cost, least)


def searched(a, b, v, finest, dis):
    """Refines the velocities v of one level: search, propagation, densification, median filter."""
    patches = Patches(a, b, dis)
    best, least = patches.descend(F.avg_pool2d(v, STRIDE))
    fraction, rounds = None, dis["propagation_rounds"]
    if finest:
        fraction, rounds = dis.get("zero_start"), dis["finest_propagation_rounds"]
    if fraction:
        found, cost = patches.descend(torch.zeros_like(best))
        taken = cost < fraction * least
        best, least = torch.where(taken, found, best), torch.where(taken, cost, least)
    for _ in range(rounds):
        best, least = patches.propagate(best, least)
    return median(patches.dense(best))


def project(forward, backward, t):
    """Projects forward and backward flow to timestep t: [n, 4, h, w], see `rife_backend::Backend::project_flow`."""
    v = (1 - t) * forward - t * backward
    return torch.cat([moved(forward, -t * v), -moved(backward, (1 - t) * v)], 1)


@torch.no_grad()
def prior(img0, img1, t, dis):
    """Computes the motion in pixels from the first frame to the second of the scene points at timestep t: [n, 4, h, w],
    from the forward search, then from the backward search."""
    if dis_prior and img0.device.type == "cpu":
        first, second = (x.detach().float().contiguous(memory_format=torch.contiguous_format).numpy() for x in (img0, img1))
        times = t.float().reshape(-1).expand(len(first)).contiguous().numpy()
        return torch.from_numpy(dis_prior(first, second, times, json.dumps(dis)))
    return composed_prior(img0, img1, t, dis)


def composed_prior(img0, img1, t, dis):
    """Computes `prior` in tensor operations, on any device."""
    n, _, h, w = img0.shape
    factor = 2 ** dis.get("finest_level", 0)
    h, w = h // factor, w // factor
    # Both directions are concatenated along the batch.
    levels = [filled(F.avg_pool2d(luma(torch.cat([img0, img1]).float()), factor))]
    for _ in range(coarser_levels(h, w, dis)):
        levels.append(filled(F.avg_pool2d(levels[-1], 2)))
    v = None
    for level, a in reversed(list(enumerate(levels))):
        if v is None:
            v = torch.zeros_like(a).repeat(1, 2, 1, 1)
        else:
            v = 2 * F.interpolate(v, scale_factor=2, mode="bilinear", align_corners=False)[..., :a.shape[2], :a.shape[3]]
        v = searched(a, a.roll(n, 0), v, level == 0, dis)
    velocities = project(v[:n], v[n:], t)[..., :h, :w]
    if factor > 1:
        velocities = factor * F.interpolate(velocities, scale_factor=factor, mode="bilinear", align_corners=False)
    return velocities
