"""PyTorch twin of `rife-train` for networks of the 4.25 family: same networks, keys and recipe, for machines where PyTorch
trains faster. Weights are interchangeable (`.safetensors` with PyTorch's keys).

Clips, or windows packed by tools/prepare_corpus.py, are decoded once and stay on the device, where samples are drawn,
augmented and synthesised. Needed are this file, the folder twin, a recipe and the clips or windows.
"""

import argparse
import json
import math
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from twin.clips import KINDS, Clips
from twin.losses import laplacian, loss_of  # noqa: F401 (laplacian: for make_training_fixture)
from twin.network import IFNet, build, down, up, warp_down  # noqa: F401
from twin.samples import Samples


def rate(progress, step, o):
    """Returns the learning rate: linear warm-up over steps times cosine decay over the run's progress in 0..1."""
    low = o["final_learning_rate"]
    cosine = low + (o["learning_rate"] - low) * 0.5 * (1 + math.cos(math.pi * min(progress, 1)))
    return cosine * min((step + 1) / o["warmup"], 1)


def stage_at(progress, stages):
    """Returns crop and batch size at a progress in 0..1; stages have lengths in proportion to their first numbers."""
    left = progress * sum(share for share, _, _ in stages)
    for share, crop, batch in stages:
        if left < share:
            return crop, batch
        left -= share
    return stages[-1][1:]


def psnr(made, truth):
    """Computes the PSNR in dB of each of n images [n, 3, h, w] in 0..1 after rounding to 8 bits."""
    off = (made.clamp(0, 1) * 255).round() - (truth * 255).round()
    return 10 * torch.log10(255 ** 2 / off.square().mean((1, 2, 3)).clamp(min=1e-6))


class Trainer:
    """Training state: network, averaged weights and optimizer."""

    def __init__(self, recipe, device, half, compiled):
        self.recipe, self.device, self.half = recipe, device, half
        o = recipe["optimizer"]
        self.net = build(recipe).to(device)
        self.average = {k: v.clone() for k, v in self.net.state_dict().items()}
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=o["learning_rate"], fused=True,
                                           betas=o.get("betas", (0.9, 0.99)), weight_decay=o["weight_decay"])
        self.step_count, self.progress, self.usual = 0, 0.0, torch.zeros((), device=device)
        self.loss = torch.compile(self.plain_loss) if compiled else self.plain_loss

    def plain_loss(self, img0, truth, img1, t, flow, known, flow_weight):
        """Computes the total loss and its Laplacian term of a batch."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            output = self.net(img0, img1, t)
        return loss_of(output, truth, (flow, known), self.recipe["loss"], flow_weight)

    def draw(self, samples):
        """Draws a batch of the current stage's size."""
        crop, batch = stage_at(self.progress, self.recipe["optimizer"]["stages"])
        return samples.batch(batch, crop)

    def step(self, batch):
        """Trains one step; returns total loss, its Laplacian term and the gradient norm as tensors."""
        o, loss = self.recipe["optimizer"], self.recipe["loss"]
        img0, truth, img1, t, (flow, known) = batch
        weight = loss["flow_weight"] * max(0.0, 1 - self.progress / loss["flow_until"])
        total, final = self.loss(img0, truth, img1, t, flow, known, torch.tensor(weight, device=self.device))
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        norm = torch.nn.utils.get_total_norm([p.grad for p in self.net.parameters()])
        usual = self.usual if self.step_count > 0 else norm
        # Batches with outlying gradients are skipped: networks without normalisation layers may diverge on a single one.
        self.optimizer.found_inf = (~(norm < 8 * usual)).float()
        self.optimizer.grad_scale = (norm / o["clip_norm"]).clamp(min=1)
        self.usual = 0.99 * usual + 0.01 * torch.minimum(norm.nan_to_num(0, 0, 0), 8 * usual)
        for group in self.optimizer.param_groups:
            group["lr"] = rate(self.progress, self.step_count, o)
        self.optimizer.step()
        self.step_count += 1
        decay = min(o["ema"], self.step_count / (self.step_count + 10))
        with torch.no_grad():
            state = self.net.state_dict()
            torch._foreach_lerp_(list(self.average.values()), [state[k] for k in self.average], 1 - decay)
        return total.detach(), final.detach(), norm

    def state(self):
        """Returns the content of a checkpoint."""
        return {"net": self.net.state_dict(), "average": self.average, "optimizer": self.optimizer.state_dict(),
                "step": self.step_count, "progress": self.progress, "usual": self.usual}

    def load(self, state):
        """Restores the state of a checkpoint."""
        self.net.load_state_dict(state["net"])
        self.average = {k: state["average"][k].clone() for k in self.average}
        self.optimizer.load_state_dict(state["optimizer"])
        self.step_count, self.progress = state["step"], state["progress"]
        self.usual = state["usual"].to(self.device)


@torch.no_grad()
def evaluate(net, samples, crop, count):
    """Computes the mean PSNR of `count` fixed held-out samples of each kind."""
    samples.generator.manual_seed(1)
    scores = {}
    for kind in (*KINDS, "synthetic"):
        frames, times, *_ = samples.made(count, crop) if kind == "synthetic" else samples.real(kind, count, crop)
        frames, times = frames / 255, times.view(-1, 1, 1, 1).float()
        made = torch.cat([net(a[:, 0], a[:, 2], t)[2] for a, t in zip(frames.split(16), times.split(16))])
        scores[kind] = round(float(psnr(made, frames[:, 1]).mean()), 3)
    return scores


def score_folders(net, folders, multiple, device):
    """Computes the mean PSNR over each folder of triplets, for the log."""
    scores = {}
    for folder in folders:
        found = []
        for triplet in sorted(p for p in Path(folder).iterdir() if p.is_dir()):
            pictures = [torch.from_numpy(cv2.imread(str(f))[..., ::-1].copy()).permute(2, 0, 1)[None].float() / 255
                        for f in sorted(triplet.iterdir())[:3]]
            h, w = pictures[0].shape[2:]
            a, truth, b = (F.pad(p, (0, -w % multiple, 0, -h % multiple), mode="replicate").to(device) for p in pictures)
            with torch.no_grad():
                made = net(a, b, torch.full((1, 1, 1, 1), 0.5, device=device))[2]
            found.append(float(psnr(made[..., :h, :w], truth[..., :h, :w])))
        scores[Path(folder).name] = round(float(np.mean(found)), 3)
    return scores


def export(state, path, recipe):
    """Writes the averaged weights in f16, as shipped."""
    weights = {k: v.half().contiguous().cpu() for k, v in state["average"].items()}
    save_file(weights, path, {"rife_network": json.dumps(recipe["network"]), "steps": str(state["step"]),
                              "trained-by": "rife tools/train_twin.py"})


def grown(weights, into):
    """Extends the weights of a smaller network to the state dict `into`: what a wider layer adds to its outputs stays as
    initialised, the weights of added inputs are zero, so that the first output is nearly the smaller network's. A network with
    fewer blocks gives its last block to the last one; the added blocks before it stay as initialised."""
    count = lambda keys: 1 + max(int(k[5:].split(".")[0]) for k in keys if k.startswith("block"))  # noqa: E731
    last, new = count(weights) - 1, count(into) - 1
    weights = {k.replace(f"block{last}.", f"block{new}.", 1): v.float() for k, v in weights.items()}
    made = {k: v.clone() for k, v in into.items()}
    for k, narrow in weights.items():
        inputs = 0 if "cnn3" in k or "lastconv" in k else 1
        if narrow.dim() == 4 and narrow.shape[inputs] < made[k].shape[inputs]:
            made[k].narrow(inputs, narrow.shape[inputs], made[k].shape[inputs] - narrow.shape[inputs]).zero_()
        made[k][tuple(slice(n) for n in narrow.shape)] = narrow
    return made


def keep(trainer, args, recipe, log):
    """Writes checkpoint, weights and log, each atomically."""
    for name, write in (("checkpoint.pt", lambda p: torch.save(trainer.state(), p)),
                        ("weights.f16.safetensors", lambda p: export(trainer.state(), p, recipe)),
                        ("log.json", lambda p: p.write_text(json.dumps(log, indent=1)))):
        part = args.out / f"{name}.part"
        write(part)
        part.replace(args.out / name)


def train(args, recipe):
    """Starts or resumes training until the recipe's last step or for `args.seconds`."""
    o, data = recipe["optimizer"], recipe["data"]
    device = torch.device(args.device)
    sides = sorted({crop for _, crop, _ in o["stages"]})
    began = time.time()
    clips = Clips(args.clips, data, sides, device, store=args.store)
    held_out = Clips(args.clips, data, [data["size"]], device, held_out=True)
    print(f"{len(clips.report)} clips, {sum(n for _, n in clips.report)} frames, {len(clips.pixels) * 3 / 1e9:.1f} GB, "
          f"crops {[(k, len(t[0])) for k, t in clips.tables.items()]}, {time.time() - began:.0f} s", flush=True)
    trainer, log = Trainer(recipe, device, args.half, args.compile), []
    if args.resume:
        trainer.load(torch.load(args.resume, weights_only=True, map_location=device))
    elif args.start:
        trainer.net.load_state_dict(grown(load_file(args.start), trainer.net.state_dict()))
    samples = Samples(clips, recipe["sampling"], sides, data["seed"] + trainer.step_count)
    judged = Samples(held_out, recipe["sampling"], [data["size"]], 1)
    total = sum(steps for steps, _, _ in o["stages"])
    began, last, sums = time.time(), time.time(), torch.zeros(3, device=device)
    gone, kept = trainer.progress, began
    # Prefetches the next batch, whose pixels may have to be read from disk.
    ahead = ThreadPoolExecutor(1)
    coming = ahead.submit(trainer.draw, samples)
    while trainer.progress < 1:
        batch, coming = coming.result(), ahead.submit(trainer.draw, samples)
        sums += torch.stack(trainer.step(batch))
        if args.seconds:
            trainer.progress = gone + (time.time() - began) / args.seconds
        else:
            trainer.progress = trainer.step_count / total
        done = trainer.progress >= 1
        if time.time() - kept >= args.keep_seconds and not done:
            keep(trainer, args, recipe, log)
            kept = time.time()
        if trainer.step_count % args.report == 0:
            mean = (sums / args.report).tolist()
            print(f"step {trainer.step_count} loss {mean[0]:.5f} laplacian {mean[1]:.5f} norm {mean[2]:.3f} "
                  f"{args.report / (time.time() - last):.2f} steps/s at {trainer.progress:.3f}", flush=True)
            sums.zero_()
            last = time.time()
        if trainer.step_count % args.validate == 0 or done:
            net = build(recipe, {k: v.clone() for k, v in trainer.average.items()}).to(device)
            multiple = 4 * recipe["network"]["blocks"][0]["scale"]
            log.append({"step": trainer.step_count, "progress": round(trainer.progress, 4),
                        **evaluate(net, judged, data["size"], args.judged), **score_folders(net, args.eval, multiple, device)})
            print(log[-1], flush=True)
            keep(trainer, args, recipe, log)
            last = kept = time.time()


def main():
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="recipes/default.toml", type=Path)
    parser.add_argument("--clips", nargs="+", required=True, type=Path, help="folders of video clips or of packed windows")
    parser.add_argument("--out", required=True, type=Path, help="the run's folder")
    parser.add_argument("--resume", type=Path, help="checkpoint.pt to go on from, where its schedule was")
    parser.add_argument("--start", type=Path, help=".safetensors to start from, of this network or a smaller one")
    parser.add_argument("--seconds", type=float, help="the whole schedule's time, instead of the recipe's steps")
    parser.add_argument("--store", type=Path, help="keep the decoded frames in this file instead of memory")
    parser.add_argument("--threads", type=int, help="of the CPU")
    parser.add_argument("--eval", nargs="*", default=[], help="folders of triplets, for the log only")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--half", action="store_true", help="trunks in bfloat16")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=torch.cuda.is_available(),
                        help="compile the step with torch.compile; by default on a GPU")
    parser.add_argument("--keep-seconds", type=float, default=60, metavar="S",
                        help="write checkpoint and weights at least every S seconds")
    parser.add_argument("--report", type=int, default=200)
    parser.add_argument("--validate", type=int, default=2000)
    parser.add_argument("--judged", type=int, default=48, metavar="N", help="held-out samples of each kind at a validation")
    args = parser.parse_args()
    recipe = tomllib.loads(args.recipe.read_text())
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_float32_matmul_precision("high")
    torch.set_flush_denormal(True)
    torch.backends.cudnn.benchmark = True
    # A step that cannot be compiled runs as it is.
    torch._dynamo.config.suppress_errors = True
    cv2.setNumThreads(1)
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(recipe["data"]["seed"])
    train(args, recipe)


if __name__ == "__main__":
    main()
