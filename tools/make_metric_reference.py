#!/usr/bin/env python3
"""Numbers for the tests of rife's metrics: crates/rife/tests/metrics.json.

    python tools/make_metric_reference.py crates/rife/tests/metrics.json [--original ECCV2022-RIFE]

PSNR, luma PSNR, interpolation error, SSIM over the picture as a volume, LPIPS (AlexNet), and RGB of raw 4:2:0 frames,
each by its published formula in PyTorch, NumPy, Pillow and scikit-image. Pictures and weights follow integer rules
that the test repeats, so that none are stored. With --original, the original's own ssim_matlab runs on the same
pictures and must agree to 1e-5. Needs `pip install torch numpy pillow scikit-image`.
"""

import argparse
import json
import math
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from skimage.color import rgb2yuv, yuv2rgb

SIZES = [(48, 64), (37, 53), (96, 80)]
MASK = (1 << 64) - 1


def triangle(n, half):
    """0, 1, ... half, ... 1, 0 and so on."""
    return abs(n % (2 * half) - half)


def mixed(i):
    """A number of 64 bits that looks random (splitmix64)."""
    z = (i + 1) * 0x9E3779B97F4A7C15 & MASK
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
    return z ^ z >> 31


def pictures(height, width):
    """The truth in 8 bits, and a prediction in steps of 1/1020: shifted by a pixel, with noise."""
    truth = np.zeros((3, height, width), np.int64)
    made = np.zeros_like(truth)
    value = lambda c, y, x: 30 + 2 * triangle(x + 2 * y + 5 * c, 37) + 3 * triangle(3 * x - y + 11 * c + 500, 40)
    for c in range(3):
        for y in range(height):
            for x in range(width):
                truth[c, y, x] = min(value(c, y, x), 255)
                noise = mixed((c * height + y) * width + x) % 41 - 20
                made[c, y, x] = min(max(4 * value(c, y, x + 1) + noise, 0), 1020)
    return torch.from_numpy(truth).double() / 255, torch.from_numpy(made).double() / 1020


def weights(key, shape, low, high):
    """Values between two, by the key's hash and the index."""
    seed = 0xCBF29CE484222325
    for byte in key.encode():
        seed = (seed ^ byte) * 0x100000001B3 & MASK
    i = np.arange(1, math.prod(shape) + 1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + i * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    unit = (z >> np.uint64(40)).astype(np.float64) / (1 << 24)
    return torch.from_numpy((low + (high - low) * unit).astype(np.float32)).double().reshape(shape)


def ssim(a, b):
    """The 3-D form: window 11, sigma 1.5, 5 replicated samples around every axis, colour the first of them."""
    line = torch.tensor([math.exp(-((i - 5) ** 2) / 4.5) for i in range(11)], dtype=torch.double)
    line = line / line.sum()
    window = (line[:, None, None] * line[None, :, None] * line[None, None, :])[None, None]
    mean = lambda x: F.conv3d(F.pad(x[None, None], (5,) * 6, mode="replicate"), window)[0, 0]
    ma, mb = mean(a), mean(b)
    va, vb, cov = mean(a * a) - ma * ma, mean(b * b) - mb * mb, mean(a * b) - ma * mb
    return (
        ((2 * ma * mb + 1e-4) * (2 * cov + 9e-4)) / ((ma * ma + mb * mb + 1e-4) * (va + vb + 9e-4))
    ).mean().item()


def luma_psnr(a, b):
    """As the HD script: Y of scikit-image's rgb2yuv in levels."""
    y = lambda x: rgb2yuv(x.permute(1, 2, 0).numpy())[:, :, 0] * 255
    return 20 * math.log10(255 / math.sqrt(np.mean((y(a) - y(b)) ** 2)))


# Index in AlexNet's features, shape, stride, padding, pooled before.
STAGES = [
    (0, (64, 3, 11, 11), 4, 2, False),
    (3, (192, 64, 5, 5), 1, 2, True),
    (6, (384, 192, 3, 3), 1, 1, True),
    (8, (256, 384, 3, 3), 1, 1, False),
    (10, (256, 256, 3, 3), 1, 1, False),
]


def lpips(a, b):
    """LPIPS 0.1 of AlexNet with made-up weights."""
    shift = torch.tensor([-0.030, -0.088, -0.188]).double()[:, None, None]
    scale = torch.tensor([0.458, 0.448, 0.450]).double()[:, None, None]
    a, b = (((2 * x - 1 - shift) / scale)[None] for x in (a, b))
    total = 0.0
    for index, (layer, shape, stride, padding, pooled) in enumerate(STAGES):
        reach = math.sqrt(6 / math.prod(shape[1:]))
        weight = weights(f"features.{layer}.weight", shape, -reach, reach)
        bias = weights(f"features.{layer}.bias", shape[:1], -0.1, 0.1)
        linear = weights(f"lin{index}.model.1.weight", (1, shape[0], 1, 1), 0, 0.2)
        pool = (lambda x: F.max_pool2d(x, 3, 2)) if pooled else (lambda x: x)
        a, b = (F.relu(F.conv2d(pool(x), weight, bias, stride, padding)) for x in (a, b))
        unit = lambda x: x / (x.pow(2).sum(1, keepdim=True).sqrt() + 1e-10)
        total += F.conv2d((unit(a) - unit(b)).pow(2), linear).mean().item()
    return total


def raw_frame(height, width):
    """A raw 4:2:0 frame by rule, and its RGB as the HD script reads it: chroma enlarged by Pillow, cut to 8 bits."""
    codes = np.array([mixed(i) >> 56 for i in range(height * width * 3 // 2)], np.uint8)
    luma, u, v = np.split(codes, [height * width, height * width * 5 // 4])
    luma = luma.reshape(height, width)
    enlarge = lambda plane: np.array(Image.fromarray(plane.reshape(height // 2, width // 2)).resize([width, height]))
    yuv = np.stack((luma / 255.0, enlarge(u) / 255.0 - 0.5, enlarge(v) / 255.0 - 0.5), axis=-1)
    rgb = (255.0 * np.clip(yuv2rgb(yuv), 0.0, 1.0)).astype("uint8")
    return rgb.transpose(2, 0, 1).tobytes().hex()


def case(height, width, original):
    truth, made = pictures(height, width)
    rounded = torch.round(made * 255) / 255
    if original:
        for picture in (made, rounded):
            theirs = original(truth[None].float(), picture[None].float()).item()
            assert abs(theirs - ssim(truth, picture)) < 1e-5, (theirs, ssim(truth, picture))
    return {
        "height": height,
        "width": width,
        "psnr": -10 * math.log10(((truth - rounded) ** 2).mean()),
        "psnr_luma": luma_psnr(truth, rounded),
        "ie": (255 * (truth - rounded).abs()).mean().item(),
        "ssim": ssim(truth, rounded),
        "ssim_unrounded": ssim(truth, made),
        "lpips": lpips(truth, rounded),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--original", type=Path, help="a checkout of hzwer/ECCV2022-RIFE")
    args = parser.parse_args()
    original = None
    if args.original:
        warnings.simplefilter("ignore")
        sys.path.insert(0, str(args.original))
        from model.pytorch_msssim import ssim_matlab as original
    cases = [case(height, width, original) for height, width in SIZES]
    raw = {"height": 12, "width": 16, "rgb": raw_frame(12, 16)}
    args.output.write_text(json.dumps({"cases": cases, "raw": raw}, indent=1) + "\n")
    print("the original's ssim_matlab agrees" if original else "written; compare with --original, too")


if __name__ == "__main__":
    main()
