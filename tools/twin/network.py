"""The 4.25 kind of network, with the keys and the arithmetic of `rife-nets`.

The network is the published one, evaluated with less work: a bilinear reduction by an even factor s
(align_corners = false) averages the four centre pixels of each s x s cell, so a coarse block needs the warped
image at those pixels only; and enlarging by s, then reducing by s/2, is enlarging by 2.
"""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from .motion import grey, motion, shifted

FEAT = 8
# Rows down and columns right of the neighbours whose velocities either search's opinion is taken for a pixel.
NEAR = ((3, 3), (-3, -3)), ((3, -3), (-3, 3))
# The most that is given back of the detail lost by sampling; half of this where the last block says nothing.
SHARPEST = 1.4


def act():
    """The 4.x activation."""
    return nn.LeakyReLU(0.2, True)


class Head(nn.Module):
    """Encoder of one frame: 3 channels in, 4 out, at full resolution, `inner` channels at half of it."""

    def __init__(self, inner):
        super().__init__()
        self.cnn0 = nn.Conv2d(3, inner, 3, 2, 1)
        self.cnn1 = nn.Conv2d(inner, inner, 3, 1, 1)
        self.cnn2 = nn.Conv2d(inner, inner, 3, 1, 1)
        self.cnn3 = nn.ConvTranspose2d(inner, 4, 4, 2, 1)

    def forward(self, x):
        x = F.leaky_relu(self.cnn0(x), 0.2)
        x = F.leaky_relu(self.cnn1(x), 0.2)
        return self.cnn3(F.leaky_relu(self.cnn2(x), 0.2))


class ResConv(nn.Module):
    """act(conv(x) * beta + x)."""

    def __init__(self, c):
        super().__init__()
        self.conv = nn.Conv2d(c, c, 3, 1, 1)
        self.beta = nn.Parameter(torch.ones(1, c, 1, 1))

    def forward(self, x):
        return F.leaky_relu(self.conv(x) * self.beta + x, 0.2)


class IFBlock(nn.Module):
    """One stage at 1/s: input planes to flow (4), mask (1) and `extra` channels, all still at 1/s, f32."""

    def __init__(self, planes, c, extra):
        super().__init__()
        self.conv0 = nn.Sequential(nn.Sequential(nn.Conv2d(planes, c // 2, 3, 2, 1), act()),
                                   nn.Sequential(nn.Conv2d(c // 2, c, 3, 2, 1), act()))
        self.convblock = nn.Sequential(*[ResConv(c) for _ in range(8)])
        self.lastconv = nn.Sequential(nn.ConvTranspose2d(c, 4 * (5 + extra), 4, 2, 1), nn.PixelShuffle(2))

    def forward(self, x):
        x = self.convblock(self.conv0(x))
        # Flow in half precision would be off by tenths of a pixel.
        with torch.autocast(x.device.type, enabled=False):
            return self.lastconv(x.float())


def up(x, factor):
    """Bilinear enlargement."""
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False) if factor > 1 else x


def centres(x, s):
    """The two middle pixels of every cell of s pixels, along both axes."""
    n, c, h, w = x.shape
    first = s // 2 - 1
    x = x.view(n, c, h // s, s, w // s, s)[:, :, :, first:first + 2, :, first:first + 2]
    return x.reshape(n, c, h // s * 2, w // s * 2)


def middles(size, s, device):
    """Coordinates of those pixels along one axis."""
    first = torch.arange(size // s, device=device) * s + s // 2 - 1
    return torch.stack([first, first + 1], 1).flatten()


def down(x, s):
    """Bilinear reduction by s, which is even or 1."""
    return x if s == 1 else F.avg_pool2d(centres(x.contiguous(), s), 2)


def warp_down(x, flow, s):
    """down(warp(x, flow), s) with the warp evaluated at the needed pixels only."""
    h, w = x.shape[2:]
    rows = middles(h, s, x.device) if s > 1 else torch.arange(h, device=x.device)
    columns = middles(w, s, x.device) if s > 1 else torch.arange(w, device=x.device)
    flow = centres(flow.contiguous(), s) if s > 1 else flow
    gx = (flow[:, 0] + columns) * (2 / (w - 1)) - 1
    gy = (flow[:, 1] + rows[:, None]) * (2 / (h - 1)) - 1
    x = F.grid_sample(x, torch.stack([gx, gy], -1), mode="bilinear", padding_mode="border", align_corners=True)
    return F.avg_pool2d(x, 2) if s > 1 else x


def warp_detailed(images, flow):
    """warp(images, flow), and beside its three channels what bilinear sampling takes off a cubic, [n, 4, h, w]: at a
    share f of the way between two pixels a cubic through them and their neighbours (Catmull and Rom's) is
    f (1 - f) / 2 times the second difference that is there below the line between them. Of grey, along both axes."""
    h, w = images.shape[2:]
    plane = grey(images)
    bent = [shifted(plane, i, j) + shifted(plane, -i, -j) - 2 * plane for i, j in ((0, 1), (1, 0))]
    seen = warp_down(torch.cat([images, *bent], 1), flow, 1)
    x = (flow[:, :1] + torch.arange(w, device=flow.device)).clamp(0, w - 1)
    y = (flow[:, 1:] + torch.arange(h, device=flow.device)[:, None]).clamp(0, h - 1)
    x, y = x - x.floor(), y - y.floor()
    detail = -0.5 * (x * (1 - x) * seen[:, 3:4] + y * (1 - y) * seen[:, 4:5])
    return torch.cat([seen[:, :3], detail], 1)


def warp_hedged(images, opinions, t):
    """Both frames [2 n, 3, h, w] moved to t, each the mean of four samplings: by either opinion of the velocity, taken at
    two diagonal neighbours of the pixel. Where it is in doubt what moved how these differ, and their mean errs less."""
    made = 0
    for k, share in enumerate((1 - t, t)):
        for down, right in NEAR[k]:
            v = shifted(opinions[:, 2 * k:2 * k + 2], down, right)
            made = made + torch.cat([share, share]) / 2 * warp_down(images, torch.cat([-t * v, (1 - t) * v]), 1)
    return made


def kept_still(img0, img1, made):
    """`made` where the frames differ by 1.5 code values of 255 and more in some channel, their mean where they do by 0.5
    and less, and between these a share of each."""
    apart = (img0 - img1).abs().amax(1, keepdim=True)
    share = (1.5 - 255 * apart).clamp(0, 1)
    return made + share * (0.5 * (img0 + img1) - made)


class IFNet(nn.Module):
    """RIFE of the 4.25 kind. Returns flow and mask at full resolution, merged frame, each stage's coarse images.

    `channels` and `scales` are the blocks', coarse to fine; `encoder` is the width inside the encoder. With
    `residual` the last block gives, beside flow and mask, what is added to the blended frame. With `linear` what the
    blocks give as flow is of motion at an even speed, taken at t. With `still` a pixel that is the same in both frames
    stays. With `start` the first block begins with motion found without weights, and sees both what it moved and
    the frames as they are. With `choice` the last block sees what that motion moves as well, and says how much of it
    either frame's part of the blend takes. With `sharp` it says too how much of the detail that sampling loses is given
    back.
    """

    def __init__(self, channels, scales, encoder=16, residual=False, linear=False, still=False, start=False,
                 choice=False, sharp=False):
        super().__init__()
        self.scales, self.residual, self.linear, self.still, self.start = scales, residual, linear, still, start
        self.choice, self.sharp, self.warp = choice, sharp, warp_detailed if sharp else partial(warp_down, s=1)
        self.encode = Head(encoder)
        last = len(channels) - 1
        for i, c in enumerate(channels):
            extra = (3 if residual else FEAT) + (2 if choice else 0) + (1 if sharp else 0) if i == last else FEAT
            more = 6 if choice and i == last else 0
            setattr(self, f"block{i}", IFBlock((25 if start else 15) if i == 0 else 16 + FEAT + 4 + more, c, extra))

    def forward(self, img0, img1, t):
        """Images [n, 3, h, w] in [0, 1]; t [n, 1, 1, 1] in (0, 1). h and w are multiples of 4 * the largest scale."""
        n = img0.shape[0]
        images = torch.cat([img0, img1])
        frames = torch.cat([images, self.encode(images).float()], 1)
        flow = mask = coarse = None
        speed = torch.cat([2 * t, 2 * t, 2 - 2 * t, 2 - 2 * t], 1) if self.linear else 1
        stages = []
        if self.start:
            opinions = motion(img0, img1, t)
            velocity = (1 - t) * opinions[:, :2] + t * opinions[:, 2:]
            flow = torch.cat([-t * velocity, (1 - t) * velocity], 1)
        if self.choice:
            started = warp_hedged(images, opinions, t)
            if self.sharp:
                started = torch.cat([started, self.warp(images, torch.cat([flow[:, :2], flow[:, 2:]]))[:, 3:]], 1)
        for i, s in enumerate(self.scales):
            if i == 0 and self.start:
                both, still = warp_down(frames, torch.cat([flow[:, :2], flow[:, 2:]]), s), down(images, s)
                x = torch.cat([self.planes(both, n, t), still[:n], still[n:], down(flow, s) / s], 1)
            elif flow is None:
                x = self.planes(down(frames, s), n, t)
            else:
                both = warp_down(frames, torch.cat([flow[:, :2], flow[:, 2:]]), s)
                low = up(coarse, self.scales[i - 1] // s)
                stages.append((s, both[:n, :3], both[n:, :3], low[:, 4:5]))
                x = torch.cat([self.planes(both, n, t), low[:, 4:], down(flow, s) / s], 1)
            if self.choice and i == len(self.scales) - 1:
                x = torch.cat([x, started[:n, :3], started[n:, :3]], 1)
            out = getattr(self, f"block{i}")(x)
            # Flow in pixels of full resolution; mask and features as they are.
            coarse = torch.cat([out[:, :4] * (s * speed), out[:, 4:]], 1)
            delta = up(coarse[:, :4], s)
            flow = delta if flow is None else flow + delta
        mask = up(coarse[:, 4:5], self.scales[-1])
        warped = self.warp(images, torch.cat([flow[:, :2], flow[:, 2:]]))
        if self.choice:
            share = torch.sigmoid(torch.cat([coarse[:, 8:9], coarse[:, 9:10]]))
            warped = started * share + warped * (1 - share)
        gate = torch.sigmoid(mask)
        merged = warped[:n] * gate + warped[n:] * (1 - gate)
        if self.sharp:
            merged = merged[:, :3] + SHARPEST * torch.sigmoid(coarse[:, -1:]) * merged[:, 3:]
        if self.residual:
            merged = merged + coarse[:, 5:8]
        if self.still:
            merged = kept_still(img0, img1, merged)
        return flow, mask, merged, stages

    @staticmethod
    def planes(both, n, t):
        """[img0, img1, f0, f1, t] from the two frames' planes stacked along the batch."""
        a, b = both[:n], both[n:]
        plane = t.expand(-1, 1, *a.shape[2:])
        return torch.cat([a[:, :3], b[:, :3], a[:, 3:], b[:, 3:], plane], 1)


def build(recipe, weights=None):
    """The recipe's network, fresh or with given weights."""
    r = recipe["network"]
    net = IFNet(r["channels"], r["scales"], r.get("encoder", 16), r.get("residual", False), r.get("linear", False),
                r.get("still", False), r.get("start", False), r.get("choice", False), r.get("sharp", False))
    if weights is not None:
        net.load_state_dict(weights)
    return net.to(memory_format=torch.channels_last)
