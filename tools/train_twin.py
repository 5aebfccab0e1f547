"""PyTorch twin of `rife-train` for the 4.25 kind of networks: the same network, keys and recipe, for machines where PyTorch
trains faster. Weights are interchangeable (`.safetensors`, PyTorch key names).

The network is the published one, evaluated with less work: a bilinear reduction by an even factor s
(align_corners = false) averages the four centre pixels of each s x s cell, so a coarse block needs the warped
image at those pixels only; and enlarging by s, then reducing by s/2, is enlarging by 2.
"""

import argparse
import json
import math
import random
import time
import tomllib
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

FEAT = 8


def act():
    """The 4.x activation."""
    return nn.LeakyReLU(0.2, True)


class Head(nn.Module):
    """Encoder of one frame: 3 channels in, 4 out, at full resolution."""

    def __init__(self):
        super().__init__()
        self.cnn0 = nn.Conv2d(3, 16, 3, 2, 1)
        self.cnn1 = nn.Conv2d(16, 16, 3, 1, 1)
        self.cnn2 = nn.Conv2d(16, 16, 3, 1, 1)
        self.cnn3 = nn.ConvTranspose2d(16, 4, 4, 2, 1)

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
    """One stage at 1/s: input planes to flow (4), mask (1), features (8), all still at 1/s."""

    def __init__(self, planes, c):
        super().__init__()
        self.conv0 = nn.Sequential(nn.Sequential(nn.Conv2d(planes, c // 2, 3, 2, 1), act()),
                                   nn.Sequential(nn.Conv2d(c // 2, c, 3, 2, 1), act()))
        self.convblock = nn.Sequential(*[ResConv(c) for _ in range(8)])
        self.lastconv = nn.Sequential(nn.ConvTranspose2d(c, 4 * (5 + FEAT), 4, 2, 1), nn.PixelShuffle(2))

    def forward(self, x):
        return self.lastconv(self.convblock(self.conv0(x)))


def up(x, factor):
    """Bilinear enlargement."""
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False) if factor > 1 else x


def centres(n, s):
    """Indices of the two middle pixels of every cell of s pixels."""
    first = torch.arange(n // s) * s + s // 2 - 1
    return torch.stack([first, first + 1], 1).flatten()


def down(x, s):
    """Bilinear reduction by s, which is even or 1."""
    if s == 1:
        return x
    rows, columns = centres(x.shape[2], s), centres(x.shape[3], s)
    return F.avg_pool2d(x[:, :, rows][:, :, :, columns], 2)


def warp_down(x, flow, s):
    """down(warp(x, flow), s) with the warp evaluated at the needed pixels only."""
    h, w = x.shape[2:]
    rows = centres(h, s) if s > 1 else torch.arange(h)
    columns = centres(w, s) if s > 1 else torch.arange(w)
    flow = flow[:, :, rows][:, :, :, columns] if s > 1 else flow
    gx = (flow[:, 0] + columns) * (2 / (w - 1)) - 1
    gy = (flow[:, 1] + rows[:, None]) * (2 / (h - 1)) - 1
    x = F.grid_sample(x, torch.stack([gx, gy], -1), mode="bilinear", padding_mode="border", align_corners=True)
    return F.avg_pool2d(x, 2) if s > 1 else x


class IFNet(nn.Module):
    """RIFE of the 4.25 kind. Returns flow and mask at full resolution, merged frame, each stage's coarse images.

    `channels` and `scales` are the blocks', coarse to fine; 4.25.lite is (192, 128, 96, 64, 24), (32, 16, 8, 4, 1).
    """

    def __init__(self, channels, scales):
        super().__init__()
        self.scales = scales
        self.encode = Head()
        for i, c in enumerate(channels):
            setattr(self, f"block{i}", IFBlock(15 if i == 0 else 16 + FEAT + 4, c))

    def forward(self, img0, img1, t):
        """Images [n, 3, h, w] in [0, 1]; t [n, 1, 1, 1] in (0, 1). h and w are multiples of 4 * the largest scale."""
        n = img0.shape[0]
        frames = torch.cat([img0, img1])
        frames = torch.cat([frames, self.encode(frames)], 1)
        flow = mask = coarse = None
        stages = []
        for i, s in enumerate(self.scales):
            if flow is None:
                both = down(frames, s)
                x = self.planes(both, n, t)
            else:
                pair = torch.cat([flow[:, :2], flow[:, 2:]])
                both = warp_down(frames, pair, s)
                ratio = self.scales[i - 1] // s
                low = up(coarse, ratio)
                stages.append((s, both[:n, :3], both[n:, :3], low[:, 4:5]))
                x = torch.cat([self.planes(both, n, t), low[:, 4:], down(flow, s) / s], 1)
            out = getattr(self, f"block{i}")(x)
            # Flow in pixels of full resolution; mask and features as they are.
            coarse = torch.cat([out[:, :4] * s, out[:, 4:]], 1)
            delta = up(coarse[:, :4], s)
            flow = delta if flow is None else flow + delta
            mask = up(coarse[:, 4:5], s)
        warped = warp_down(frames[:, :3], torch.cat([flow[:, :2], flow[:, 2:]]), 1)
        gate = torch.sigmoid(mask)
        return flow, mask, warped[:n] * gate + warped[n:] * (1 - gate), stages

    @staticmethod
    def planes(both, n, t):
        """[img0, img1, f0, f1, t] from the two frames' planes stacked along the batch."""
        a, b = both[:n], both[n:]
        plane = t.expand(-1, 1, *a.shape[2:])
        return torch.cat([a[:, :3], b[:, :3], a[:, 3:], b[:, 3:], plane], 1)


KERNEL = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16


def blur(x):
    """5x5 binomial filter, reflected edges."""
    c = x.shape[1]
    x = F.pad(x, (2, 2, 2, 2), mode="reflect")
    x = F.conv2d(x, KERNEL.view(1, 1, 5, 1).expand(c, -1, -1, -1), groups=c)
    return F.conv2d(x, KERNEL.view(1, 1, 1, 5).expand(c, -1, -1, -1), groups=c)


def laplacian(a, b, levels=5):
    """Laplacian pyramid loss: mean L1 of each level of the difference's pyramid, summed (it is linear)."""
    x, loss = a - b, 0.0
    for level in range(levels):
        if level == levels - 1:
            return loss + x.abs().mean()
        small = blur(x)[:, :, ::2, ::2]
        spread = torch.zeros_like(x)
        spread[:, :, ::2, ::2] = small
        loss = loss + (x - 4 * blur(spread)).abs().mean()
        x = small
    return loss


def loss_of(output, truth, teacher, recipe, flow_weight):
    """Total loss and its final Laplacian term."""
    flow, _, merged, stages = output
    final = laplacian(merged, truth)
    total = final
    for s, warped0, warped1, mask in stages:
        gate = torch.sigmoid(mask)
        blend = warped0 * gate + warped1 * (1 - gate)
        total = total + recipe["stage_weight"] * (blend - down(truth, s)).abs().mean()
    if teacher is not None and flow_weight > 0:
        total = total + flow_weight * (flow - teacher).abs().clamp(max=40).mean()
    return total, final


class Samples:
    """Random triplets with augmentation from windows of frames."""

    def __init__(self, windows, recipe, seed):
        self.windows, self.kinds = windows, recipe["sampling"]
        self.rng = random.Random(seed)
        self.dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def real(self, crop, kind):
        """Three frames of one window and the middle one's time."""
        window = self.windows[self.rng.randrange(len(self.windows))]
        size = window.shape[1]
        y, x = self.rng.randrange(size - crop + 1), self.rng.randrange(size - crop + 1)
        first = self.rng.randrange(3)
        picks = {"adjacent": (first, first + 1, first + 2, 0.5), "wide": (0, 2, 4, 0.5),
                 "quarter": self.rng.choice([(0, 1, 4, 0.25), (0, 3, 4, 0.75)])}[kind]
        frames = [np.array(window[i, y:y + crop, x:x + crop]) for i in picks[:3]]
        return frames, picks[3]

    def affine(self, size, reach):
        """A random small similarity about the centre, as the matrix at time t in [-0.5, 0.5]."""
        angle, zoom = self.rng.gauss(0, 3), math.exp(self.rng.gauss(0, 0.04))
        dx, dy = self.rng.gauss(0, reach), self.rng.gauss(0, reach)

        def at(t):
            m = cv2.getRotationMatrix2D((size / 2, size / 2), angle * t, zoom ** t)
            m[:, 2] += (dx * t, dy * t)
            return m
        return at

    def synthetic(self, crop):
        """Two textured layers, each in its own uniform motion: background and a cut-out before it."""
        rng = self.rng
        t = rng.choice([0.25, 0.5, 0.5, 0.75])
        picture = [np.array(self.windows[rng.randrange(len(self.windows))][0]) for _ in range(2)]
        size = picture[0].shape[0]
        shape = np.zeros((size, size), np.uint8)
        for _ in range(rng.randrange(1, 4)):
            points = np.array([[size * rng.uniform(0.25, 0.75), size * rng.uniform(0.25, 0.75)]
                               for _ in range(rng.randrange(3, 7))], np.int32)
            cv2.fillConvexPoly(shape, cv2.convexHull(points), 255, cv2.LINE_AA)
        moves = self.affine(size, crop / 8), self.affine(size, crop / 6)
        y, x = (rng.randrange((size - crop) // 4, size - crop - (size - crop) // 4 + 1) for _ in range(2))
        still = rng.random() < 0.15
        frames = []
        for at in (-0.5, t - 0.5, 0.5):
            layer = [cv2.warpAffine(p, m(0.0 if still and i else at), (size, size), flags=cv2.INTER_CUBIC,
                                    borderMode=cv2.BORDER_REFLECT_101)
                     for i, (p, m) in enumerate(zip(picture, moves))]
            alpha = cv2.warpAffine(shape, moves[1](0.0 if still else at), (size, size))[..., None] / 255.0
            image = layer[1] * alpha + layer[0] * (1 - alpha)
            frames.append(image[y:y + crop, x:x + crop].round().astype(np.uint8))
        return frames, t

    def augment(self, frames, t):
        """Flips, quarter turns, time reversal, channel order."""
        rng = self.rng
        if rng.random() < 0.5:
            frames, t = frames[::-1], 1 - t
        turns, flip, swap = rng.randrange(4), rng.random() < 0.5, rng.random() < 0.5
        out = []
        for f in frames:
            f = np.rot90(f, turns)
            f = f[:, ::-1] if flip else f
            out.append(np.ascontiguousarray(f[..., ::-1] if swap else f))
        return out, t

    def teacher(self, frames):
        """DIS flow from the true middle frame to both ends, [4, h, w]."""
        grey = [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in frames]
        flows = [self.dis.calc(grey[1], grey[i], None) for i in (0, 2)]
        return np.concatenate(flows, 2).transpose(2, 0, 1)

    def batch(self, n, crop, with_teacher):
        """img0, truth, img1 [n, 3, h, w] in [0, 1], t [n, 1, 1, 1], teacher flow or None."""
        images, times, flows = [], [], []
        for kind in self.rng.choices(list(self.kinds), list(self.kinds.values()), k=n):
            frames, t = self.synthetic(crop) if kind == "synthetic" else self.real(crop, kind)
            frames, t = self.augment(frames, t)
            images.append(np.stack(frames))
            times.append(t)
            if with_teacher:
                flows.append(self.teacher(frames))
        x = torch.from_numpy(np.stack(images)).permute(1, 0, 4, 2, 3).float() / 255
        teacher = torch.from_numpy(np.stack(flows)) if with_teacher else None
        return x[0], x[1], x[2], torch.tensor(times).float().view(n, 1, 1, 1), teacher


def pad(image, multiple):
    """Replicated on the right and below to a multiple."""
    h, w = image.shape[2:]
    return F.pad(image, (0, -w % multiple, 0, -h % multiple), mode="replicate")


def psnr(net, img0, truth, img1, t=0.5):
    """PSNR of the rounded middle frame. Inputs uint8 [h, w, 3]."""
    tensors = [pad(torch.from_numpy(np.array(i)).permute(2, 0, 1)[None].float() / 255, 4 * net.scales[0])
               for i in (img0, img1)]
    with torch.no_grad():
        merged = net(*tensors, torch.full((1, 1, 1, 1), t))[2]
    h, w = truth.shape[:2]
    merged = (merged[0, :, :h, :w].clamp(0, 1) * 255).round().permute(1, 2, 0).numpy()
    return 10 * math.log10(255 ** 2 / max(((merged - truth.astype(np.float32)) ** 2).mean(), 1e-6))


def evaluate(net, held_out, folders):
    """Mean PSNR over held-out windows (t = 0.5 adjacent, wide; t = 0.25) and over folders of triplets."""
    windows = held_out[::4]
    result = {"adjacent": np.mean([psnr(net, w[1], w[2], w[3]) for w in windows]),
              "wide": np.mean([psnr(net, w[0], w[2], w[4]) for w in windows]),
              "quarter": np.mean([psnr(net, w[0], w[1], w[4], 0.25) for w in windows])}
    for folder in folders:
        scores = []
        for triplet in sorted(p for p in Path(folder).iterdir() if p.is_dir()):
            first, middle, last = (cv2.imread(str(f))[..., ::-1] for f in ordered(triplet))
            scores.append(psnr(net, first, middle, last))
        result[Path(folder).name] = np.mean(scores)
    return {k: round(float(v), 3) for k, v in result.items()}


def ordered(triplet):
    """First, true middle, last picture of a UCF101 or Middlebury style folder."""
    names = sorted(triplet.iterdir())
    return [names[0], names[1], names[2]]


def rate(step, o):
    """Learning rate: linear warm-up, then cosine."""
    total = sum(s[0] for s in o["stages"])
    if step < o["warmup"]:
        return o["learning_rate"] * (step + 1) / o["warmup"]
    done = min((step - o["warmup"]) / max(total - o["warmup"], 1), 1)
    low = o["final_learning_rate"]
    return low + (o["learning_rate"] - low) * 0.5 * (1 + math.cos(math.pi * done))


def save(path, net, average, optimizer, step, log):
    """Checkpoint, atomically."""
    state = {"net": net.state_dict(), "ema": average, "optimizer": optimizer.state_dict(), "step": step, "log": log}
    torch.save(state, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def build(recipe, weights=None):
    """The recipe's network, fresh or with given weights."""
    net = IFNet(recipe["network"]["channels"], recipe["network"]["scales"]).to(memory_format=torch.channels_last)
    if weights is not None:
        net.load_state_dict(weights)
    return net


def stage_at(step, stages):
    """Crop and batch at a step."""
    for steps, crop, batch in stages:
        if step < steps:
            return crop, batch
        step -= steps
    return stages[-1][1:]


def export(checkpoint, path, recipe):
    """The averaged weights as f16, as they are shipped."""
    state = torch.load(checkpoint, weights_only=True)
    weights = {k: v.half().contiguous() for k, v in state["ema"].items()}
    save_file(weights, path, {"version": recipe["network"]["version"], "steps": str(state["step"]),
                              "trained-by": "rife tools/train_twin.py"})


def train(args, recipe):
    """Runs or resumes training until the recipe's last step."""
    o = recipe["optimizer"]
    windows = np.load(args.corpus / "windows.npy", mmap_mode="r")
    held_out = np.load(args.corpus / "held_out.npy", mmap_mode="r")
    net = build(recipe)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4, betas=(0.9, 0.99), weight_decay=o["weight_decay"])
    average, step, log = {k: v.clone() for k, v in net.state_dict().items()}, 0, []
    if args.checkpoint.exists():
        state = torch.load(args.checkpoint, weights_only=True)
        net.load_state_dict(state["net"])
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({**state["optimizer"], "param_groups": groups})
        average, step, log = state["ema"], state["step"], state["log"]
    elif args.start:
        net.load_state_dict(load_file(args.start))
    samples = Samples(windows, recipe, recipe["data"]["seed"] + step)
    began, sums, usual, skipped = time.time(), np.zeros(3), None, 0
    total = sum(s[0] for s in o["stages"])
    while step < total:
        flow_weight = recipe["loss"]["flow_weight"] * max(0.0, 1 - step / max(recipe["loss"]["flow_steps"], 1))
        for group in optimizer.param_groups:
            group["lr"] = rate(step, o)
        crop, batch = stage_at(step, o["stages"])
        waited = time.time()
        img0, truth, img1, t, teacher = samples.batch(batch, crop, flow_weight > 0)
        waited = time.time() - waited
        loss, final = loss_of(net(img0, img1, t), truth, teacher, recipe["loss"], flow_weight)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = float(nn.utils.clip_grad_norm_(net.parameters(), o["clip_norm"]))
        # A batch far out of the ordinary (blocks without normalisation can run away on one) is left out.
        usual = norm if usual is None else usual
        if norm < 8 * usual:
            optimizer.step()
        else:
            skipped += 1
        usual = 0.99 * usual + 0.01 * min(norm, 8 * usual)
        step += 1
        decay = min(o["ema"], step / (step + 10))
        with torch.no_grad():
            for k, v in net.state_dict().items():
                average[k].lerp_(v, 1 - decay)
        sums += (loss.item(), final.item(), waited)
        if step % args.report == 0:
            mean = sums / args.report
            print(f"step {step} loss {mean[0]:.5f} laplacian {mean[1]:.5f} data {mean[2] * 1e3:.0f} ms "
                  f"{args.report / (time.time() - began):.2f} steps/s lr {rate(step, o):.2e} "
                  f"norm {usual:.2f} skipped {skipped}", flush=True)
            began, sums = time.time(), np.zeros(3)
        if step % args.validate == 0 or step == total:
            scores = evaluate(build(recipe, average), held_out, args.eval)
            log.append({"step": step, **scores})
            print(log[-1], flush=True)
            save(args.checkpoint, net, average, optimizer, step, log)
            save_file({k: v.contiguous() for k, v in average.items()}, args.checkpoint.with_suffix(".safetensors"))
            began = time.time()
    args.checkpoint.with_suffix(".json").write_text(json.dumps(log, indent=1))


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="recipes/default.toml", type=Path)
    parser.add_argument("--corpus", type=Path, help="folder written by prepare_corpus.py")
    parser.add_argument("--checkpoint", required=True, type=Path, help="resumed from where it exists")
    parser.add_argument("--start", type=Path, help=".safetensors to start from")
    parser.add_argument("--export", type=Path, help="write the checkpoint's weights as f16 .safetensors and stop")
    parser.add_argument("--eval", nargs="*", default=[], help="folders of triplets, for the log only")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--report", type=int, default=100)
    parser.add_argument("--validate", type=int, default=1000)
    args = parser.parse_args()
    recipe = tomllib.loads(args.recipe.read_text())
    if args.export:
        return export(args.checkpoint, args.export, recipe)
    torch.set_num_threads(args.threads)
    # Denormals make early steps many times slower on a CPU.
    torch.set_flush_denormal(True)
    cv2.setNumThreads(1)
    torch.manual_seed(recipe["data"]["seed"])
    train(args, recipe)


if __name__ == "__main__":
    main()
