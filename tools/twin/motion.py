"""Motion between two frames without weights: pyramidal Lucas-Kanade, seen from the frame between them.

At every pixel of the frame at t one velocity v is sought for which the first frame at -t v and the second at (1 - t) v
look the same; the same as `Backend::motion` of `rife-nets`, which explains it.
"""

import torch
import torch.nn.functional as F

STEPS, LAST_STEPS = 3, 1
WINDOW, AROUND = 2, 4
DAMPING = 3e-4
FURTHEST = 2.0
DOUBT = 0.005


def box(x, r):
    """Means of squares of 2 r + 1 pixels, edges repeated. As sums of slices: PyTorch's pooling is slow on a CPU."""
    h, w = x.shape[2:]
    x = F.pad(x, (r,) * 4, mode="replicate")
    x = sum(x[:, :, i:i + h] for i in range(2 * r + 1))
    return sum(x[..., i:i + w] for i in range(2 * r + 1)) * (2 * r + 1) ** -2


def slopes(x):
    """Half the difference of the neighbours, along rows and along columns, edges repeated."""
    p = F.pad(x, (1,) * 4, mode="replicate")
    return (p[:, :, 1:-1, 2:] - p[:, :, 1:-1, :-2]) / 2, (p[:, :, 2:, 1:-1] - p[:, :, :-2, 1:-1]) / 2


def ordered(a, b, c):
    """Three pictures, pixel by pixel in order."""
    less, more = torch.minimum(a, b), torch.maximum(a, b)
    return torch.minimum(less, c), torch.maximum(less, torch.minimum(more, c)), torch.maximum(more, c)


def median(x):
    """Medians of 3 x 3 pixels, edges repeated: of the columns' least the most, of their middles the middle, of their
    most the least; and of these the middle."""
    h, w = x.shape[2:]
    x = F.pad(x, (1,) * 4, mode="replicate")
    low, middle, high = ordered(*(x[:, :, i:i + h] for i in range(3)))
    along = [[part[..., i:i + w] for i in range(3)] for part in (low, middle, high)]
    return ordered(ordered(*along[0])[2], ordered(*along[1])[1], ordered(*along[2])[0])[1]


def moved(x, flow):
    """x at each pixel's place moved by `flow`, bilinear, edges repeated."""
    h, w = x.shape[2:]
    gx = (flow[:, 0] + torch.arange(w, device=x.device)) * (2 / max(w - 1, 1)) - 1
    gy = (flow[:, 1] + torch.arange(h, device=x.device)[:, None]) * (2 / max(h - 1, 1)) - 1
    return F.grid_sample(x, torch.stack([gx, gy], -1), mode="bilinear", padding_mode="border", align_corners=True)


def improved(a, b, t, v):
    """One step of Gauss-Newton on one level."""
    wa, wb = moved(a, -t * v), moved(b, (1 - t) * v)
    (ax, ay), (bx, by) = slopes(wa), slopes(wb)
    ix, iy, off = t * ax + (1 - t) * bx, t * ay + (1 - t) * by, wb - wa
    xx, xy, yy, xd, yd = box(torch.cat([ix * ix, ix * iy, iy * iy, ix * off, iy * off], 1), WINDOW).split(1, 1)
    xx, yy = xx + DAMPING, yy + DAMPING
    found = torch.cat([xy * yd - yy * xd, xy * xd - xx * yd], 1) / (xx * yy - xy * xy)
    return v + found.clamp(-FURTHEST, FURTHEST)


def agreed(a, b, t, v):
    """Means of the velocities around, each counted as the frames it moves agree."""
    apart = (moved(b, (1 - t) * v) - moved(a, -t * v)).abs()
    weight = 1 / (box(apart, 1) + DOUBT)
    total, weighted = box(torch.cat([weight, weight * v], 1), AROUND).split((1, 2), 1)
    return weighted / total


@torch.no_grad()
def motion(img0, img1, t, finest, coarsest):
    """Velocity [n, 2, h >> finest, w >> finest] in pixels of that size, from the first frame to the second."""
    grey = torch.tensor([0.299, 0.587, 0.114], device=img0.device).view(1, 3, 1, 1)
    a, b = ([(x.float() * grey).sum(1, keepdim=True)] for x in (img0, img1))
    for _ in range(coarsest):
        a.append(F.avg_pool2d(a[-1], 2))
        b.append(F.avg_pool2d(b[-1], 2))
    v = torch.zeros_like(a[-1]).repeat(1, 2, 1, 1)
    for level in range(coarsest, finest - 1, -1):
        if level < coarsest:
            v = 2 * F.interpolate(v, scale_factor=2, mode="bilinear", align_corners=False)
        for _ in range(STEPS if level > finest else LAST_STEPS):
            v = improved(a[level], b[level], t, v)
        if level > finest:
            v = agreed(a[level], b[level], t, v)
        v = median(v)
    return v
