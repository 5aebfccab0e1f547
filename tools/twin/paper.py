"""IFNet and IFNet_m of the RIFE paper (Huang et al., ECCV 2022) for training, with teacher block and distillation. Keys are
those of the published checkpoints."""

import torch
import torch.nn.functional as F
from torch import nn

from .network import up, warp_down

TRUNKS, SCALES = (240, 150, 90), (4, 2, 1)
# Margin by which a stage's error must exceed the teacher block's to be distilled, in units of full scale.
NEARER = 0.01


def conv(i, o, stride=1):
    """Makes a 3x3 convolution with PReLU."""
    return nn.Sequential(nn.Conv2d(i, o, 3, stride, 1), nn.PReLU(o))


def deconv(i, o):
    """Makes a 4x4 transposed convolution with stride 2."""
    return nn.ConvTranspose2d(i, o, 4, 2, 1)


def resize(x, factor):
    """Resizes by any factor, bilinear."""
    return x if factor == 1 else F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


class Block(nn.Module):
    """IFBlock: input planes (and a flow) to corrections of flow and mask, computed at 1/s of their size."""

    def __init__(self, planes, c):
        super().__init__()
        self.conv0 = nn.Sequential(conv(planes, c // 2, 2), conv(c // 2, c, 2))
        self.convblock = nn.Sequential(*[conv(c, c) for _ in range(8)])
        self.lastconv = deconv(c, 5)

    def forward(self, x, flow, s):
        x = resize(x, 1 / s)
        if flow is not None:
            x = torch.cat([x, resize(flow, 1 / s) / s], 1)
        x = self.conv0(x)
        x = up(self.lastconv(self.convblock(x) + x), 2 * s)
        return x[:, :4] * 2 * s, x[:, 4:5]


class Pair(nn.Module):
    """Two convolutions with PReLU, the first with stride 2."""

    def __init__(self, i, o):
        super().__init__()
        self.conv1, self.conv2 = conv(i, o, 2), conv(o, o)

    def forward(self, x):
        return self.conv2(self.conv1(x))


class Context(nn.Module):
    """Context network: four features of a frame, each warped by the flow at its size."""

    def __init__(self, c):
        super().__init__()
        self.conv1, self.conv2, self.conv3, self.conv4 = Pair(3, c), Pair(c, 2 * c), Pair(2 * c, 4 * c), Pair(4 * c, 8 * c)

    def forward(self, x, flow):
        features = []
        for stage in (self.conv1, self.conv2, self.conv3, self.conv4):
            x, flow = stage(x), resize(flow, 0.5) * 0.5
            features.append(warp_down(x, flow, 1))
        return features


class Unet(nn.Module):
    """U-Net that outputs the RGB residual of the blend, before the sigmoid."""

    def __init__(self, planes, c):
        super().__init__()
        self.down0, self.down1 = Pair(planes, 2 * c), Pair(4 * c, 4 * c)
        self.down2, self.down3 = Pair(8 * c, 8 * c), Pair(16 * c, 16 * c)
        for i, (many, few) in enumerate(((32, 8), (16, 4), (8, 2), (4, 1))):
            setattr(self, f"up{i}", nn.Sequential(deconv(many * c, few * c), nn.PReLU(few * c)))
        self.conv = nn.Conv2d(c, 3, 3, 1, 1)

    def forward(self, x, context0, context1):
        kept = []
        for down, *context in zip((self.down0, self.down1, self.down2, self.down3), context0, context1):
            x = down(x)
            kept.append(x)
            x = torch.cat([x, *context], 1)
        for i in range(3):
            x = torch.cat([getattr(self, f"up{i}")(x), kept[2 - i]], 1)
        return self.conv(self.up3(x))


class PaperNet(nn.Module):
    """IFNet, or IFNet_m with `timestep`."""

    def __init__(self, timestep):
        super().__init__()
        self.timestep = timestep
        planes = [p + timestep for p in (6, 17, 17, 20)]
        for i in range(3):
            setattr(self, f"block{i}", Block(planes[i], TRUNKS[i]))
        self.block_tea = Block(planes[3], TRUNKS[2])
        self.contextnet, self.unet = Context(16), Unet(17, 16)

    def forward(self, img0, img1, t, truth):
        """Returns the merged frame, every stage's flow, every stage's blend, and flow and blend of the teacher block."""
        images = [img0, img1] + ([t.expand(-1, 1, *img0.shape[2:])] if self.timestep else [])
        flow = mask = warped = None
        flows, blends = [], []
        for i, s in enumerate((*SCALES, 1)):
            if i == 3:
                student = flow, mask, warped
                block, x = self.block_tea, [*images, *warped, mask, truth]
            else:
                block, x = getattr(self, f"block{i}"), images if i == 0 else [*images, *warped, mask]
            dflow, dmask = block(torch.cat(x, 1), flow, s)
            flow, mask = (dflow, dmask) if flow is None else (flow + dflow, mask + dmask)
            warped = warp_down(img0, flow[:, :2], 1), warp_down(img1, flow[:, 2:], 1)
            gate = torch.sigmoid(mask)
            flows.append(flow)
            blends.append(warped[0] * gate + warped[1] * (1 - gate))
        flow, mask, warped = student
        context = self.contextnet(img0, flow[:, :2]), self.contextnet(img1, flow[:, 2:])
        sums = self.unet(torch.cat([img0, img1, *warped, mask, flow], 1), *context)
        merged = (blends[2] + 2 * torch.sigmoid(sums) - 1).clamp(0, 1)
        return merged, flows[:3], blends[:3], (flows[3], blends[3])


def distillation(flows, blends, taught, truth):
    """Computes the distance of all stages' flow from the teacher block's, at pixels where the teacher's blend is nearer to the
    truth."""
    flow, blend = taught
    total, error = 0.0, lambda x: (x - truth).abs().mean(1, True)
    for student, made in zip(flows, blends):
        follows = (error(made) > error(blend) + NEARER).float().detach()
        distance = ((flow.detach() - student) ** 2).mean(1, True).sqrt()
        total = total + (distance * follows).mean()
    return total
