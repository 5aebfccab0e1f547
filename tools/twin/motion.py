"""Motion between two frames without weights: pyramidal Lucas-Kanade, seen from the frame between them.

At every pixel of the frame at t one velocity v is sought for which the first frame at -t v and the second at (1 - t) v
look the same; the same as `Backend::motion` of `rife-nets`, which explains it.
"""

import torch
import torch.nn.functional as F

STEPS = 3
WINDOW, AROUND = 1, 4
DAMPING = 1e-3
FURTHEST = 2.0


def box(x, r):
    """Means of squares of 2 r + 1 pixels, edges repeated."""
    return F.avg_pool2d(F.pad(x, (r,) * 4, mode="replicate"), 2 * r + 1, 1)


def slopes(x):
    """Half the difference of the neighbours, along rows and along columns, edges repeated."""
    p = F.pad(x, (1,) * 4, mode="replicate")
    return (p[:, :, 1:-1, 2:] - p[:, :, 1:-1, :-2]) / 2, (p[:, :, 2:, 1:-1] - p[:, :, :-2, 1:-1]) / 2


def median(x):
    """Medians of 3 x 3 pixels, edges repeated."""
    n, c, h, w = x.shape
    p = F.pad(x, (1,) * 4, mode="replicate")
    around = torch.stack([p[:, :, i:i + h, j:j + w] for i in range(3) for j in range(3)])
    return around.median(0).values


def moved(x, flow):
    """x at each pixel's place moved by `flow`, bilinear, edges repeated."""
    h, w = x.shape[2:]
    gx = (flow[:, 0] + torch.arange(w, device=x.device)) * (2 / max(w - 1, 1)) - 1
    gy = (flow[:, 1] + torch.arange(h, device=x.device)[:, None]) * (2 / max(h - 1, 1)) - 1
    return F.grid_sample(x, torch.stack([gx, gy], -1), mode="bilinear", padding_mode="border", align_corners=True)


def improved(a, b, t, v):
    """One step of Gauss-Newton on one level, drawn towards the mean of the velocities around."""
    wa, wb = moved(a, -t * v), moved(b, (1 - t) * v)
    (ax, ay), (bx, by) = slopes(wa), slopes(wb)
    ix, iy = t * ax + (1 - t) * bx, t * ay + (1 - t) * by
    mean = box(v, AROUND)
    off = wb - wa + ix * (mean[:, :1] - v[:, :1]) + iy * (mean[:, 1:] - v[:, 1:])
    xx, xy, yy, xd, yd = box(torch.cat([ix * ix, ix * iy, iy * iy, ix * off, iy * off], 1), WINDOW).split(1, 1)
    xx, yy = xx + DAMPING, yy + DAMPING
    found = torch.cat([xy * yd - yy * xd, xy * xd - xx * yd], 1) / (xx * yy - xy * xy)
    return mean + found.clamp(-FURTHEST, FURTHEST)


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
        for _ in range(STEPS):
            v = improved(a[level], b[level], t, v)
        v = median(v)
    return v
