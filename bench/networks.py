"""PyTorch implementations of the measured networks, evaluated as their published definitions do: pictures are warped at full
resolution and then downsampled. Modules, the deterministic weights of `--random-weights`, the inputs of
`rife benchmark --time`, and the comparison with stored outputs of the published definitions.

usage: python bench/networks.py     checks every network (RIFE_SHARED: the folder that holds reference/)
"""

import os
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

SHARED = Path(os.environ.get("RIFE_SHARED", Path(__file__).resolve().parents[2] / "shared"))


def resize(x, factor):
    """Resizes bilinearly, align_corners = False."""
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False) if factor != 1 else x


def warp(x, flow):
    """Backward warp: samples x at (column + flow_x, row + flow_y), bilinear."""
    h, w = x.shape[2:]
    columns, rows = torch.linspace(-1, 1, w).expand(1, 1, h, w), torch.linspace(-1, 1, h)[:, None].expand(1, 1, h, w)
    flow = flow * torch.tensor([2 / (w - 1), 2 / (h - 1)]).view(1, 2, 1, 1)
    grid = (torch.cat([columns, rows], 1) + flow).permute(0, 2, 3, 1)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=True)


def warp_both(a, b, flow):
    """Warps `a` by the first two channels of the flow, `b` by the other two."""
    return warp(a, flow[:, :2]), warp(b, flow[:, 2:])


def conv(inputs, outputs, stride, act=None):
    """3x3 convolution with an activation (PReLU by default)."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), act or nn.PReLU(outputs))


class Head(nn.Module):
    """Encoder of one frame: 3 channels in, 4 out, at its resolution."""

    def __init__(self):
        super().__init__()
        self.cnn0, self.cnn1 = nn.Conv2d(3, 16, 3, 2, 1), nn.Conv2d(16, 16, 3, 1, 1)
        self.cnn2, self.cnn3 = nn.Conv2d(16, 16, 3, 1, 1), nn.ConvTranspose2d(16, 4, 4, 2, 1)

    def forward(self, x):
        for layer in (self.cnn0, self.cnn1, self.cnn2):
            x = F.leaky_relu(layer(x), 0.2)
        return self.cnn3(x)


class ResConv(nn.Module):
    """ResConv: act(conv(x) * beta + x)."""

    def __init__(self, c):
        super().__init__()
        self.conv, self.beta = nn.Conv2d(c, c, 3, 1, 1), nn.Parameter(torch.ones(1, c, 1, 1))

    def forward(self, x):
        return F.leaky_relu(self.conv(x) * self.beta + x, 0.2)


class Block4(nn.Module):
    """IFBlock of 4.25 and 4.26: planes at full resolution to flow (4), mask (1) and features (8) there."""

    def __init__(self, planes, c):
        super().__init__()
        self.conv0 = nn.Sequential(conv(planes, c // 2, 2, nn.LeakyReLU(0.2)), conv(c // 2, c, 2, nn.LeakyReLU(0.2)))
        self.convblock = nn.Sequential(*[ResConv(c) for _ in range(8)])
        self.lastconv = nn.Sequential(nn.ConvTranspose2d(c, 52, 4, 2, 1), nn.PixelShuffle(2))

    def forward(self, x, flow, s):
        x = resize(x, 1 / s)
        if flow is not None:
            x = torch.cat([x, resize(flow, 1 / s) / s], 1)
        x = resize(self.lastconv(self.convblock(self.conv0(x))), s)
        return x[:, :4] * s, x[:, 4:5], x[:, 5:]


class V4(nn.Module):
    """RIFE 4.25, 4.25.lite and 4.26, which differ in their blocks' channels and scales."""

    def __init__(self, channels, scales):
        super().__init__()
        self.scales, self.encode = scales, Head()
        for i, c in enumerate(channels):
            setattr(self, f"block{i}", Block4(15 if i == 0 else 28, c))

    def forward(self, img0, img1, f0, t=0.5, scale=1.0):
        """Computes the frame at t and the features of img1; f0 are those of img0, from the pair before, as in a video."""
        f1 = self.encode(img1)
        plane = torch.full_like(img0[:, :1], t)
        flow = mask = feat = None
        for i, s in enumerate(s / scale for s in self.scales):
            planes = [img0, img1, f0, f1, plane] if flow is None else \
                [*warped, *warp_both(f0, f1, flow), plane, mask, feat]
            delta, mask, feat = getattr(self, f"block{i}")(torch.cat(planes, 1), flow, s)
            flow = delta if flow is None else flow + delta
            warped = warp_both(img0, img1, flow)
        gate = torch.sigmoid(mask)
        return warped[0] * gate + warped[1] * (1 - gate), f1

    def context(self, img0):
        """Computes the features of the first frame, which the pair before provides."""
        return self.encode(img0)


class BlockM(nn.Module):
    """IFBlock of the paper: planes at full resolution to flow (4) and mask (1) there."""

    def __init__(self, planes, c):
        super().__init__()
        self.conv0 = nn.Sequential(conv(planes, c // 2, 2), conv(c // 2, c, 2))
        self.convblock = nn.Sequential(*[conv(c, c, 1) for _ in range(8)])
        self.lastconv = nn.ConvTranspose2d(c, 5, 4, 2, 1)

    def forward(self, x, flow, s):
        x = resize(x, 1 / s)
        if flow is not None:
            x = torch.cat([x, resize(flow, 1 / s) / s], 1)
        x = self.conv0(x)
        x = resize(self.lastconv(self.convblock(x) + x), 2 * s)
        return x[:, :4] * (2 * s), x[:, 4:5]


class Conv2(nn.Module):
    """Two convolutions, the first with stride 2."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv1, self.conv2 = conv(inputs, outputs, 2), conv(outputs, outputs, 1)

    def forward(self, x):
        return self.conv2(self.conv1(x))


class Contextnet(nn.Module):
    """Context network: four feature maps of a frame, warped, each at half the size of the one before."""

    def __init__(self, c=16):
        super().__init__()
        self.conv1, self.conv2 = Conv2(3, c), Conv2(c, 2 * c)
        self.conv3, self.conv4 = Conv2(2 * c, 4 * c), Conv2(4 * c, 8 * c)

    def forward(self, x, flow):
        features = []
        for stage in (self.conv1, self.conv2, self.conv3, self.conv4):
            x, flow = stage(x), resize(flow, 0.5) * 0.5
            features.append(warp(x, flow))
        return features


def deconv(inputs, outputs):
    """Transposed convolution to twice the size."""
    return nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), nn.PReLU(outputs))


class Unet(nn.Module):
    """U-Net that refines the merged frame."""

    def __init__(self, c=16):
        super().__init__()
        self.down0, self.down1 = Conv2(17, 2 * c), Conv2(4 * c, 4 * c)
        self.down2, self.down3 = Conv2(8 * c, 8 * c), Conv2(16 * c, 16 * c)
        self.up0, self.up1, self.up2, self.up3 = (deconv(n * c, n * c // 4) for n in (32, 16, 8, 4))
        self.conv = nn.Conv2d(c, 3, 3, 1, 1)

    def forward(self, x, c0, c1):
        s0 = self.down0(x)
        s1 = self.down1(torch.cat([s0, c0[0], c1[0]], 1))
        s2 = self.down2(torch.cat([s1, c0[1], c1[1]], 1))
        s3 = self.down3(torch.cat([s2, c0[2], c1[2]], 1))
        x = self.up0(torch.cat([s3, c0[3], c1[3]], 1))
        for up, skip in ((self.up1, s2), (self.up2, s1), (self.up3, s0)):
            x = up(torch.cat([x, skip], 1))
        return torch.sigmoid(self.conv(x))


class RifeM(nn.Module):
    """The paper's network for any timestep (IFNet_m)."""

    def __init__(self):
        super().__init__()
        self.block0, self.block1, self.block2 = BlockM(7, 240), BlockM(18, 150), BlockM(18, 90)
        self.contextnet, self.unet = Contextnet(), Unet()

    def forward(self, img0, img1, _known, t=0.5, scale=1.0):
        """Computes the frame at t."""
        plane = torch.full_like(img0[:, :1], t)
        flow = mask = None
        for block, s in ((self.block0, 4 / scale), (self.block1, 2 / scale), (self.block2, 1 / scale)):
            planes = [img0, img1, plane] if flow is None else [img0, img1, plane, *warped, mask]
            delta, dmask = block(torch.cat(planes, 1), flow, s)
            flow, mask = (delta, dmask) if flow is None else (flow + delta, mask + dmask)
            warped = warp_both(img0, img1, flow)
        c0, c1 = self.contextnet(img0, flow[:, :2]), self.contextnet(img1, flow[:, 2:])
        refined = self.unet(torch.cat([img0, img1, *warped, mask, flow], 1), c0, c1)
        gate = torch.sigmoid(mask)
        merged = warped[0] * gate + warped[1] * (1 - gate)
        return torch.clamp(merged + 2 * refined - 1, 0, 1), img1[:, :, :1, :1]

    def context(self, img0):
        """Returns nothing: this definition reuses no features."""
        return img0[:, :, :1, :1]


class Middle(nn.Module):
    """Wrapper of a network with a fixed timestep of 0.5."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, img0, img1, known):
        return self.net(img0, img1, known)


class Trunk(nn.Module):
    """The trunk of an IFBlock of the paper: eight convolutions and one residual."""

    def __init__(self, c):
        super().__init__()
        self.layers = nn.Sequential(*[conv(c, c, 1) for _ in range(8)])

    def forward(self, x):
        return self.layers(x) + x


# Version: constructor, and the version whose stored outputs it must reproduce.
NETWORKS = {
    "4.25.lite": (lambda: V4((192, 128, 96, 64, 24), (32, 16, 8, 4, 1)), "4.25.lite"),
    "4.26": (lambda: V4((192, 128, 96, 64, 32), (16, 8, 4, 2, 1)), "4.25"),
    "rife_m": (RifeM, "rife_m"),
}


def by_rule(key, tensor):
    """Generates a tensor as `deterministic` of `rife-nets`: SplitMix64 seeded by a hash of its key."""
    seed = 0xCBF29CE484222325
    for byte in f"rife-reference/{key}".encode():
        seed = (seed ^ byte) * 0x100000001B3 % (1 << 64)
    z = np.arange(1, tensor.numel() + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    v = 2 * ((z >> np.uint64(11)).astype(np.float64) * 2.0 ** -53) - 1
    if key.endswith("beta"):
        v = 0.5 + 0.25 * v
    elif key.endswith("bias"):
        v = 0.05 * v
    elif tensor.dim() == 1:
        v = 0.25 + 0.1 * v
    else:
        v = v * np.sqrt(3 / fan_in(key, tensor.shape))
    return torch.from_numpy(v.astype(np.float32)).reshape(tensor.shape)


def fan_in(key, shape):
    """Returns the number of inputs of one output value; a transposed convolution's weights have the inputs first."""
    up = len(shape) == 4 and shape[2] == 4
    return shape[0] * 4 if up else shape[1] * shape[2] * shape[3]


def build(version):
    """Builds the network with deterministic weights."""
    torch.manual_seed(1)
    net = NETWORKS[version][0]().eval()
    net.load_state_dict({key: by_rule(key, tensor) for key, tensor in net.state_dict().items()})
    return net


def picture(width, height, index):
    """Generates an image of smooth waves displaced by `index`, as `rife benchmark --time` does."""
    x, y, c = (np.arange(n, dtype=np.float32) for n in (width, height, 3))
    phase = (x + 3 * index) * 0.05 + y[:, None] * 0.03 + c[:, None, None]
    return torch.from_numpy((0.5 + 0.4 * np.sin(phase)).astype(np.float32))[None]


def inputs(net, width, height):
    """Generates two frames and the features of the first."""
    img0, img1 = picture(width, height, 0), picture(width, height, 1)
    with torch.no_grad():
        return img0, img1, net.context(img0).clone()


def check(version):
    """Returns the largest difference from the published definition's stored outputs; None if these are absent."""
    stored = SHARED / "reference" / f"{NETWORKS[version][1]}.safetensors"
    if not stored.exists():
        return None
    from safetensors.torch import load_file

    data, net, worst = load_file(stored), build(version), 0.0
    img0, img1 = data["img0"][None] / 255, data["img1"][None] / 255
    with torch.inference_mode():
        for name in (n for n in data if n.endswith("/merged") and "ensemble" not in n):
            scale, t = (float(part[1:]) for part in name.split("/")[0].split("_"))
            made = net(img0, img1, net.context(img0), t, scale)[0]
            worst = max(worst, float((made[0] - data[name]).abs().max()))
    return worst


if __name__ == "__main__":
    for name in NETWORKS:
        found = check(name)
        print(f"skipped: no stored outputs for {name} in {SHARED}" if found is None else
              f"{name}: largest difference {found:.1e} to the published definition's stored outputs")
        if found is not None and found > 5e-5:
            raise SystemExit(f"{name} is not the published network")
