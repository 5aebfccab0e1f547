"""Times RIFE 4.25.lite in PyTorch as its published definition evaluates it (warp at full resolution, then reduce):
the peer that `rife benchmark --time` is measured beside. Needs `pip install torch`.

usage: python bench/pytorch.py [--size 1280x768] [--threads 2] [--runs 7]
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))
from train_twin import IFNet  # noqa: E402


def resize(x, factor):
    """Bilinear, align_corners = False."""
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False) if factor != 1 else x


def warp(x, flow):
    """Samples x at (column + flow_x, row + flow_y)."""
    h, w = x.shape[2:]
    gx = (flow[:, 0] + torch.arange(w)) * (2 / (w - 1)) - 1
    gy = (flow[:, 1] + torch.arange(h)[:, None]) * (2 / (h - 1)) - 1
    return F.grid_sample(x, torch.stack([gx, gy], -1), mode="bilinear", padding_mode="border", align_corners=True)


def interpolate(net, img0, img1, t):
    """One frame at time t, encoder included."""
    f0, f1 = net.encode(img0), net.encode(img1)
    plane = torch.full_like(img0[:, :1], t)
    flow = mask = feat = None
    warped0, warped1 = img0, img1
    for i, s in enumerate(net.scales):
        if flow is None:
            x = resize(torch.cat([img0, img1, f0, f1, plane], 1), 1 / s)
        else:
            x = torch.cat([warped0, warped1, warp(f0, flow[:, :2]), warp(f1, flow[:, 2:]), plane, mask, feat], 1)
            x = torch.cat([resize(x, 1 / s), resize(flow, 1 / s) / s], 1)
        out = resize(getattr(net, f"block{i}")(x), s)
        flow = out[:, :4] * s if flow is None else flow + out[:, :4] * s
        mask, feat = out[:, 4:5], out[:, 5:]
        warped0, warped1 = warp(img0, flow[:, :2]), warp(img1, flow[:, 2:])
    gate = torch.sigmoid(mask)
    return warped0 * gate + warped1 * (1 - gate)


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1280x768")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=7)
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    net = IFNet((192, 128, 96, 64, 24), (32, 16, 8, 4, 1)).eval()
    for layout, name in ((torch.contiguous_format, "pytorch"), (torch.channels_last, "pytorch channels-last")):
        net = net.to(memory_format=layout)
        images = [torch.rand(1, 3, height, width).to(memory_format=layout) for _ in range(2)]
        times = []
        with torch.inference_mode():
            for run in range(args.runs + 1):
                began = time.perf_counter()
                interpolate(net, *images, 0.5)
                times.append((time.perf_counter() - began) * 1e3)
        print(json.dumps({"engine": name, "median_ms": round(statistics.median(times[1:]), 1),
                          "threads": args.threads, "size": args.size}))


if __name__ == "__main__":
    main()
