"""RIFE 4.25 networks and this project's variants (prior, synthesis), described by a recipe's `[network]` table, with the keys
and arithmetic of `rife-nets`.

Computation is saved without changing the result: bilinear downsampling by an even factor s (align_corners = false)
averages the four centre pixels of each s x s cell, so that a coarse block needs the warped image only at those pixels;
and upsampling by s, then downsampling by s/2, is upsampling by 2.
"""

import torch
import torch.nn.functional as F
from torch import nn

from .motion import luma, prior, shifted


def act():
    """Returns the activation of 4.x networks."""
    return nn.LeakyReLU(0.2, True)


class Head(nn.Module):
    """Encoder of one frame [n, 3, h, w]: `inner` channels at half resolution, `features` channels out at full resolution."""

    def __init__(self, inner, features):
        super().__init__()
        self.cnn0 = nn.Conv2d(3, inner, 3, 2, 1)
        self.cnn1 = nn.Conv2d(inner, inner, 3, 1, 1)
        self.cnn2 = nn.Conv2d(inner, inner, 3, 1, 1)
        self.cnn3 = nn.ConvTranspose2d(inner, features, 4, 2, 1)

    def forward(self, x):
        x = F.leaky_relu(self.cnn0(x), 0.2)
        x = F.leaky_relu(self.cnn1(x), 0.2)
        return self.cnn3(F.leaky_relu(self.cnn2(x), 0.2))


class ResConv(nn.Module):
    """ResConv: LeakyReLU(conv(x) * beta + x) with a factor beta per channel."""

    def __init__(self, c):
        super().__init__()
        self.conv = nn.Conv2d(c, c, 3, 1, 1)
        self.beta = nn.Parameter(torch.ones(1, c, 1, 1))

    def forward(self, x):
        return F.leaky_relu(self.conv(x) * self.beta + x, 0.2)


class IFBlock(nn.Module):
    """IFBlock at its own resolution: `planes` input channels to flow (4), mask (1) and `extra` channels, f32."""

    def __init__(self, planes, c, extra):
        super().__init__()
        self.conv0 = nn.Sequential(nn.Sequential(nn.Conv2d(planes, c // 2, 3, 2, 1), act()),
                                   nn.Sequential(nn.Conv2d(c // 2, c, 3, 2, 1), act()))
        self.convblock = nn.Sequential(*[ResConv(c) for _ in range(8)])
        self.lastconv = nn.Sequential(nn.ConvTranspose2d(c, 4 * (5 + extra), 4, 2, 1), nn.PixelShuffle(2))

    def forward(self, x):
        x = self.convblock(self.conv0(x))
        # Half precision would cause errors of tenths of a pixel in the flow.
        with torch.autocast(x.device.type, enabled=False):
            return self.lastconv(x.float())


def up(x, factor):
    """Upsamples by an integer factor, bilinear."""
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False) if factor > 1 else x


def centres(x, s):
    """Selects the 2x2 centre pixels of every cell of s x s pixels."""
    n, c, h, w = x.shape
    first = s // 2 - 1
    x = x.view(n, c, h // s, s, w // s, s)[:, :, :, first:first + 2, :, first:first + 2]
    return x.reshape(n, c, h // s * 2, w // s * 2)


def middles(size, s, device):
    """Returns the coordinates of the pixels of `centres` along one axis."""
    first = torch.arange(size // s, device=device) * s + s // 2 - 1
    return torch.stack([first, first + 1], 1).flatten()


def down(x, s):
    """Downsamples by s, which is even or 1, bilinear."""
    return x if s == 1 else F.avg_pool2d(centres(x.contiguous(), s), 2)


def warp_down(x, flow, s):
    """Computes down(warp(x, flow), s), evaluating the warp only at the needed pixels."""
    h, w = x.shape[2:]
    rows = middles(h, s, x.device) if s > 1 else torch.arange(h, device=x.device)
    columns = middles(w, s, x.device) if s > 1 else torch.arange(w, device=x.device)
    flow = centres(flow.contiguous(), s) if s > 1 else flow
    gx = (flow[:, 0] + columns) * (2 / (w - 1)) - 1
    gy = (flow[:, 1] + rows[:, None]) * (2 / (h - 1)) - 1
    x = F.grid_sample(x, torch.stack([gx, gy], -1), mode="bilinear", padding_mode="border", align_corners=True)
    return F.avg_pool2d(x, 2) if s > 1 else x


def with_cubic_residual(images, flow):
    """Warps images and appends the cubic residual of their luma as a fourth channel, [n, 4, h, w]: at a fraction f between
    two pixels, f (1 - f) / 2 times the negated second difference interpolated there, summed over both axes (Catmull-Rom)."""
    h, w = images.shape[2:]
    plane = luma(images)
    bent = [shifted(plane, i, j) + shifted(plane, -i, -j) - 2 * plane for i, j in ((0, 1), (1, 0))]
    seen = warp_down(torch.cat([images, *bent], 1), flow, 1)
    x = (flow[:, :1] + torch.arange(w, device=flow.device)).clamp(0, w - 1)
    y = (flow[:, 1:] + torch.arange(h, device=flow.device)[:, None]).clamp(0, h - 1)
    x, y = x - x.floor(), y - y.floor()
    residual = -0.5 * (x * (1 - x) * seen[:, 3:4] + y * (1 - y) * seen[:, 4:5])
    return torch.cat([seen[:, :3], residual], 1)


def warp_candidates(images, velocities, t, distance):
    """Warps both frames [2 n, 3, h, w] to t with OBMC: each result is the mean of four warps, by the velocities of the forward
    search at two neighbours `distance` rows and columns away along one diagonal, and of the backward search along the other."""
    made, d = 0, distance
    for k, share in enumerate((1 - t, t)):
        for down, right in (((d, d), (-d, -d)), ((d, -d), (-d, d)))[k]:
            v = shifted(velocities[:, 2 * k:2 * k + 2], down, right)
            made = made + torch.cat([share, share]) / 2 * warp_down(images, torch.cat([-t * v, (1 - t) * v]), 1)
    return made


def keep_static(img0, img1, made, threshold):
    """Replaces static pixels of `made` by the mean of the frames: fully where all channels differ by at most `threshold` - 1
    code values (of 255), not at all from `threshold` on, linearly in between."""
    apart = (img0 - img1).abs().amax(1, keepdim=True)
    share = (threshold - 255 * apart).clamp(0, 1)
    return made + share * (0.5 * (img0 + img1) - made)


# Keys of the description with a single supported value, and that value.
ONLY = {"trunk": {"res_conv": {"groups": 1}}, "head": {"pixel_shuffle": {"unused": 0}}, "mask": "replace",
        "ensemble": False, "restart": None}
KEYS = {*ONLY, "encoder", "blocks", "features", "flow", "prior", "synthesis"}


def check(spec):
    """Raises ValueError for a description that the twin does not support."""
    if "version" in spec:
        raise ValueError(f"network.version is {spec['version']!r}: the twin takes a description, the other keys of [network]")
    for key, only in ONLY.items():
        if spec.get(key, only) != only:
            raise ValueError(f"network.{key} is {spec[key]!r}, the twin has {only!r} alone")
    encoder = spec.get("encoder", {})
    if (encoder.get("layers"), encoder.get("keys")) != (4, "named"):
        raise ValueError(f"network.encoder is {encoder!r}, the twin has 4 layers with keys by name alone")
    unknown = sorted(set(spec) - KEYS)
    if unknown:
        raise ValueError(f"network.{unknown[0]}: no such key; there are {', '.join(sorted(KEYS))}")


class IFNet(nn.Module):
    """A network of the 4.25 family; `spec` is a recipe's `[network]` table (see rife-nets' `NetworkSpec`)."""

    def __init__(self, spec):
        super().__init__()
        check(spec)
        self.scales = [block["scale"] for block in spec["blocks"]]
        self.linear, self.dis = spec["flow"] == "linear", spec.get("prior", {}).get("dis")
        synthesis = spec.get("synthesis", {})
        self.residual, self.blend = synthesis.get("residual", False), synthesis.get("blend_prior")
        self.cubic, self.static = synthesis.get("cubic_residual"), synthesis.get("keep_static")
        features, encoder = spec.get("features", 0), spec["encoder"]
        self.encode = Head(encoder["inner"], encoder["features"])
        last = len(self.scales) - 1
        frames = 2 * (3 + encoder["features"]) + 1
        # Index after flow and mask of the first of the last block's two weights of the candidates.
        self.shares = 3 * self.residual
        extra = 3 * self.residual + 2 * (self.blend is not None) + (self.cubic is not None)
        for i, block in enumerate(spec["blocks"]):
            planes = frames + (10 if self.dis else 0) if i == 0 else frames + 1 + features + 4
            planes += 6 if self.blend and i == last else 0
            setattr(self, f"block{i}", IFBlock(planes, block["channels"], extra or features if i == last else features))

    def warp(self, images, flow):
        """Warps both frames, with the cubic residual as a fourth channel if the network has it."""
        flow = torch.cat([flow[:, :2], flow[:, 2:]])
        return with_cubic_residual(images, flow) if self.cubic else warp_down(images, flow, 1)

    def forward(self, img0, img1, t):
        """Returns flow [n, 4, h, w] and mask (before the sigmoid) at full resolution, the merged frame, and per stage but the
        last its scale, warped frames and mask at the next block's resolution. Images are [n, 3, h, w] in 0..1, t [n, 1, 1, 1]
        in 0..1; h and w are multiples of 4 * the largest scale."""
        n = img0.shape[0]
        images = torch.cat([img0, img1])
        frames = torch.cat([images, self.encode(images).float()], 1)
        flow = mask = coarse = None
        speed = torch.cat([2 * t, 2 * t, 2 - 2 * t, 2 - 2 * t], 1) if self.linear else 1
        stages = []
        if self.dis:
            velocities = prior(img0, img1, t, self.dis)
            velocity = (1 - t) * velocities[:, :2] + t * velocities[:, 2:]
            flow = torch.cat([-t * velocity, (1 - t) * velocity], 1)
        if self.blend:
            candidates = warp_candidates(images, velocities, t, self.blend["obmc_distance"])
            if self.cubic:
                candidates = torch.cat([candidates, self.warp(images, flow)[:, 3:]], 1)
        for i, s in enumerate(self.scales):
            if i == 0 and self.dis:
                both, still = warp_down(frames, torch.cat([flow[:, :2], flow[:, 2:]]), s), down(images, s)
                x = torch.cat([self.planes(both, n, t), still[:n], still[n:], down(flow, s) / s], 1)
            elif flow is None:
                x = self.planes(down(frames, s), n, t)
            else:
                both = warp_down(frames, torch.cat([flow[:, :2], flow[:, 2:]]), s)
                low = up(coarse, self.scales[i - 1] // s)
                stages.append((s, both[:n, :3], both[n:, :3], low[:, 4:5]))
                x = torch.cat([self.planes(both, n, t), low[:, 4:], down(flow, s) / s], 1)
            if self.blend and i == len(self.scales) - 1:
                seen = down(candidates[:, :3], s)
                x = torch.cat([x, seen[:n], seen[n:]], 1)
            out = getattr(self, f"block{i}")(x)
            # Flow in pixels of full resolution; mask and features as they are.
            coarse = torch.cat([out[:, :4] * (s * speed), out[:, 4:]], 1)
            delta = up(coarse[:, :4], s)
            flow = delta if flow is None else flow + delta
        fine = up(coarse[:, 4:], self.scales[-1])
        mask, extra = fine[:, :1], fine[:, 1:]
        warped = self.warp(images, flow)
        if self.blend:
            shares = torch.sigmoid(extra[:, self.shares:self.shares + 2])
            share = torch.cat([shares[:, :1], shares[:, 1:]])
            warped = candidates * share + warped * (1 - share)
        gate = torch.sigmoid(mask)
        merged = warped[:n] * gate + warped[n:] * (1 - gate)
        if self.cubic:
            merged = merged[:, :3] + self.cubic * torch.sigmoid(extra[:, -1:]) * merged[:, 3:]
        if self.residual:
            merged = merged + extra[:, :3]
        if self.static:
            merged = keep_static(img0, img1, merged, self.static)
        return flow, mask, merged, stages

    @staticmethod
    def planes(both, n, t):
        """Returns the channels [img0, img1, f0, f1, t] of both frames' images and features, concatenated along the batch."""
        a, b = both[:n], both[n:]
        plane = t.expand(-1, 1, *a.shape[2:])
        return torch.cat([a[:, :3], b[:, :3], a[:, 3:], b[:, 3:], plane], 1)


def build(recipe, weights=None):
    """Builds the recipe's network, randomly initialised or with given weights."""
    net = IFNet(recipe["network"])
    if weights is not None:
        net.load_state_dict(weights)
    return net.to(memory_format=torch.channels_last)
