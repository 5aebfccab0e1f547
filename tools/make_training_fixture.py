"""Reference values for rife-train's tests, computed with PyTorch: loss and gradients of tools/train_twin.py on a fixed batch
(twin.json); all loss terms, AdamW, and the paper's networks with their teacher block (terms.json).

Weights are those of rife-nets' `deterministic` module and images are sums of sines, so that the tests can generate both; of
each gradient the norm, one projection and five values are stored.
"""

import argparse
import json
import math
import tomllib
from pathlib import Path

import numpy as np
import torch

from train_twin import IFNet, down, laplacian, loss_of, up, warp_down
from twin.losses import decibels, flow_loss
from twin.network import with_cubic_residual
from twin.paper import NEARER, PaperNet, distillation
from twin.terms import census, charbonnier

CROP, TIMES = 64, (0.5, 0.25)
MASK = (1 << 64) - 1


def tensor(key, shape, kind, fan_in):
    """Generates one tensor as rife-nets' `deterministic::tensor` does."""
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
    value = {"weight": v * math.sqrt(3 / max(fan_in, 1)), "bias": v * 0.05, "beta": 0.5 + 0.25 * v,
             "slope": 0.25 + 0.1 * v}[kind]
    return torch.from_numpy(value.astype(np.float32).reshape(shape))


def weights(net):
    """Generates all tensors of a network."""
    state = {}
    for key, value in net.state_dict().items():
        kind = key.rsplit(".", 1)[1]
        shape = tuple(value.shape)
        kind = "slope" if kind == "weight" and len(shape) == 1 else kind
        up_conv = kind == "weight" and shape[2] == 4
        fan_in = (shape[0] * 4 if up_conv else math.prod(shape[1:])) if kind == "weight" else 0
        state[key] = tensor(key, shape, kind, fan_in)
    return state


def pictures(phase):
    """Generates images [2, 3, CROP, CROP] of smooth waves in 0.1..0.9, displaced by `phase`."""
    n, c, y, x = np.meshgrid(*(np.arange(k, dtype=np.float64) for k in (2, 3, CROP, CROP)), indexing="ij")
    wave = np.sin(0.23 * (x + phase) + 0.5 * c + n) + np.sin(0.17 * (y - 2 * phase) + 0.31 * x * (c + 1) / 3 + 2 * n)
    return torch.from_numpy((0.5 + 0.2 * wave).astype(np.float32))


def flow():
    """Generates a flow [2, 4, CROP, CROP] of up to 6 pixels."""
    n, c, y, x = np.meshgrid(*(np.arange(k, dtype=np.float64) for k in (2, 4, CROP, CROP)), indexing="ij")
    return torch.from_numpy((6 * np.sin(0.05 * x + 0.07 * y + c + n)).astype(np.float32))


def summary(gradient):
    """Summarises a tensor: norm, projection on cosines, and five evenly spaced values."""
    flat = gradient.double().flatten().numpy()
    places = np.linspace(0, len(flat) - 1, 5).astype(int)
    return {"norm": float(np.linalg.norm(flat)), "projection": float(flat @ np.cos(np.arange(len(flat)) * 0.7)),
            "values": [float(flat[p]) for p in places]}


def operations():
    """Computes the results of single operations."""
    image, field = pictures(1.0), flow()[:, :2]
    return {"laplacian": laplacian(pictures(0.0), pictures(1.0)).item(),
            "warp": summary(warp_down(image, field, 1)),
            "detail": summary(with_cubic_residual(image[:, :1].expand(-1, 3, -1, -1), field)[:, 3:]),
            "warp_down4": summary(warp_down(image, field, 4)),
            "down8": summary(down(image, 8)), "up4": summary(up(image, 4))}


def known():
    """Generates the mask of known flow, [2, 1, CROP, CROP]: a checkerboard of 8 x 8 pixels."""
    n, _, y, x = np.meshgrid(*(np.arange(k) for k in (2, 1, CROP, CROP)), indexing="ij")
    return torch.from_numpy(((x // 8 + y // 8 + n) % 2).astype(np.float32))


def terms():
    """Computes each loss term that compares two frames or flows."""
    a, b = pictures(0.0), pictures(1.0)
    return {"laplacian": laplacian(a, b).item(), "l1": (a - b).abs().mean().item(),
            "charbonnier": charbonnier(a, b).item(), "census": census(a, b).item(), "decibels": decibels(a, b).item(),
            "flow": flow_loss(flow(), 9 * flow().flip(1), known()).item()}


def adamw():
    """Runs six steps of AdamW with gradient clipping and averaged weights on two small tensors; gradients are cosines."""
    values = [torch.nn.Parameter(torch.sin(torch.arange(n, dtype=torch.float32) + n)) for n in (7, 4)]
    optimizer = torch.optim.AdamW(values, lr=1.0, betas=(0.9, 0.99), weight_decay=0.01)
    average = [v.detach().clone() for v in values]
    for step in range(6):
        for value in values:
            n = len(value)
            value.grad = (step + 1) * torch.cos(torch.arange(n, dtype=torch.float32) * (step + 2) + n) * 0.2
        torch.nn.utils.clip_grad_norm_(values, 1.0)
        optimizer.param_groups[0]["lr"] = 1e-2 / (step + 1)
        optimizer.step()
        for mean, value in zip(average, values):
            mean.lerp_(value.detach(), 1 - min(0.9, (step + 1) / (step + 11)))
    return {"values": [v.tolist() for v in values], "average": [v.tolist() for v in average]}


def margin(blends, blend, truth):
    """Returns the minimum distance of a pixel's error difference from the threshold of the distillation's mask."""
    error = lambda x: (x - truth).abs().mean(1, True)
    return min((error(made) - error(blend) - NEARER).abs().min().item() for made in blends)


def paper(timestep):
    """Computes loss terms and gradients of IFNet or IFNet_m. The second image's phase is the first at which no pixel is near
    enough to the distillation's threshold for rounding to matter."""
    net = PaperNet(timestep)
    net.load_state_dict(weights(net))
    truth = pictures(1.0)
    times = torch.tensor(TIMES if timestep else (0.5, 0.5)).view(2, 1, 1, 1)
    for phase in range(2, 100):
        merged, flows, blends, taught = net(pictures(0.0), pictures(phase), times, truth)
        if margin(blends, taught[1], truth) > 3e-6:
            break
    values = {"laplacian": laplacian(merged, truth), "teacher_block": laplacian(taught[1], truth),
              "distillation": distillation(flows, blends, taught, truth)}
    (values["laplacian"] + values["teacher_block"] + 0.01 * values["distillation"]).backward()
    gradients = {key: summary(p.grad) for key, p in net.named_parameters() if key.endswith("weight") and p.dim() == 4}
    return {"phase": phase, **{key: value.item() for key, value in values.items()}, "gradients": gradients}


def network(spec):
    """Computes loss and gradients of a network of the 4.25 family."""
    torch.manual_seed(0)
    net = IFNet(spec)
    net.load_state_dict(weights(net))
    output = net(pictures(0.0), pictures(2.0), torch.tensor(TIMES).view(2, 1, 1, 1))
    terms_of = {"stage_weight": 0.25, "psnr_weight": 0.005}
    total, final = loss_of(output, pictures(1.0), (flow(), torch.ones(2, 1, CROP, CROP)), terms_of, 0.02)
    total.backward()
    return {"total": total.item(), "laplacian": final.item(),
            "gradients": {key: summary(p.grad) for key, p in net.named_parameters()}}


def main():
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="crates/rife-train/tests", type=Path, help="folder")
    args = parser.parse_args()
    r7 = tomllib.loads((Path(__file__).parent.parent / "recipes/default.toml").read_text())["network"]
    r3 = {key: value for key, value in r7.items() if key != "prior"}
    r3["synthesis"] = {key: r7["synthesis"][key] for key in ("residual", "keep_static")}
    result = {"networks": {"r3.lite": network(r3), "r7.lite": network(r7)}, "operations": operations()}
    rest = {"terms": terms(), "adamw": adamw(), "rife": paper(False), "rife_m": paper(True)}
    for name, numbers in (("twin", result), ("terms", rest)):
        (args.out / f"{name}.json").write_text(json.dumps(numbers, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
