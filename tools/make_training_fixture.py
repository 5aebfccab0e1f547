"""Numbers for rife-train's tests: loss and gradients of tools/train_twin.py on a fixed batch.

The network's weights follow the rule of rife-nets' `deterministic` module, the pictures are sums of sines, so that
the test makes both itself; of every gradient the norm, one projection and a few values are kept.
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch

from train_twin import IFNet, down, laplacian, loss_of, up, warp_down

CROP, TIMES = 64, (0.5, 0.25)
CHANNELS, SCALES = (160, 96, 64, 24), (16, 8, 4, 1)
MASK = (1 << 64) - 1


def tensor(key, shape, kind, fan_in):
    """One tensor by the rule of rife-nets' deterministic module."""
    seed = 0xcbf29ce484222325
    for byte in f"rife-reference/{key}".encode():
        seed = (seed ^ byte) * 0x100000001b3 & MASK
    i = np.arange(1, math.prod(shape) + 1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + i * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    v = (z >> np.uint64(11)).astype(np.float64) * 2.0 ** -53 * 2 - 1
    value = {"weight": v * math.sqrt(3 / max(fan_in, 1)), "bias": v * 0.05, "beta": 0.5 + 0.25 * v}[kind]
    return torch.from_numpy(value.astype(np.float32).reshape(shape))


def weights(net):
    """Every tensor of the network."""
    state = {}
    for key, value in net.state_dict().items():
        kind = key.rsplit(".", 1)[1]
        shape = tuple(value.shape)
        up_conv = kind == "weight" and shape[2] == 4
        fan_in = (shape[0] * 4 if up_conv else math.prod(shape[1:])) if kind == "weight" else 0
        state[key] = tensor(key, shape, kind, fan_in)
    return state


def pictures(phase):
    """[2, 3, CROP, CROP] of smooth waves in 0.1 to 0.9; `phase` moves them."""
    n, c, y, x = np.meshgrid(*(np.arange(k, dtype=np.float64) for k in (2, 3, CROP, CROP)), indexing="ij")
    wave = np.sin(0.23 * (x + phase) + 0.5 * c + n) + np.sin(0.17 * (y - 2 * phase) + 0.31 * x * (c + 1) / 3 + 2 * n)
    return torch.from_numpy((0.5 + 0.2 * wave).astype(np.float32))


def flow():
    """[2, 4, CROP, CROP]: a flow of up to 6 pixels."""
    n, c, y, x = np.meshgrid(*(np.arange(k, dtype=np.float64) for k in (2, 4, CROP, CROP)), indexing="ij")
    return torch.from_numpy((6 * np.sin(0.05 * x + 0.07 * y + c + n)).astype(np.float32))


def summary(gradient):
    """Norm, projection on cosines, and five values spread over the tensor."""
    flat = gradient.double().flatten().numpy()
    places = np.linspace(0, len(flat) - 1, 5).astype(int)
    return {"norm": float(np.linalg.norm(flat)), "projection": float(flat @ np.cos(np.arange(len(flat)) * 0.7)),
            "values": [float(flat[p]) for p in places]}


def operations():
    """Single operations on the pictures."""
    image, field = pictures(1.0), flow()[:, :2]
    return {"laplacian": laplacian(pictures(0.0), pictures(1.0)).item(),
            "warp": summary(warp_down(image, field, 1)), "warp_down4": summary(warp_down(image, field, 4)),
            "down8": summary(down(image, 8)), "up4": summary(up(image, 4))}


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="crates/rife-train/tests/twin.json", type=Path)
    args = parser.parse_args()
    torch.manual_seed(0)
    net = IFNet(CHANNELS, SCALES)
    net.load_state_dict(weights(net))
    output = net(pictures(0.0), pictures(2.0), torch.tensor(TIMES).view(2, 1, 1, 1))
    total, final = loss_of(output, pictures(1.0), flow(), {"stage_weight": 0.25}, 0.02)
    total.backward()
    result = {"total": total.item(), "laplacian": final.item(),
              "merged": summary(output[2].detach()), "flow": summary(output[0].detach()),
              "gradients": {key: summary(p.grad) for key, p in net.named_parameters()},
              "operations": operations()}
    args.out.write_text(json.dumps(result, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
