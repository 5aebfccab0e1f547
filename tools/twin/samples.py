"""Batches of real and synthetic samples with the recipe's frequencies, augmented on the device."""

import numpy as np
import torch

from .clips import KINDS
from .synthetic import LAYERS, Synthetic, overlays


class Samples:
    """Draws batches from clips by the recipe's `[sampling]` table."""

    def __init__(self, clips, sampling, crop_sides, seed):
        device = clips.device
        self.clips, self.shares = clips, {k: sampling[k] for k in (*KINDS, "synthetic") if sampling.get(k, 0) > 0}
        self.overlay, self.still = sampling.get("overlay", 0), sampling.get("still", 0)
        self.generator = torch.Generator(device).manual_seed(seed)
        self.rng = np.random.default_rng(seed)
        self.bank = overlays(512, max(crop_sides), seed, device)
        self.synthetic = Synthetic(device, self.generator, self.bank)

    def integers(self, low, high, *shape):
        """Draws integers uniformly from low..high - 1."""
        return torch.randint(low, high, shape, device=self.clips.device, generator=self.generator)

    def chance(self, share, n):
        """Draws n booleans, each true with probability `share`."""
        return torch.rand(n, device=self.clips.device, generator=self.generator) < share

    def real(self, kind, n, crop):
        """Draws real samples: frames [n, 3, 3, crop, crop] in 0..255 and timesteps [n]."""
        intervals, middles = KINDS[kind]
        rows = self.clips.rows(crop, intervals, n, self.generator)
        middle = torch.tensor(middles, device=self.clips.device)[self.integers(0, len(middles), n)]
        picks = torch.stack([torch.zeros_like(middle), middle, torch.full_like(middle, intervals)], 1)
        back = self.chance(0.5, n)
        picks = torch.where(back[:, None], picks.flip(1), picks)
        times = torch.where(back, intervals - middle, middle) / intervals
        return self.clips.cut(rows, picks, crop, self.integers(0, 8, n)), times

    def made(self, n, crop):
        """Draws synthetic samples: frames, timesteps and flow [n, 4, crop, crop] from the middle frame."""
        rows = self.clips.rows(crop, 2, n * LAYERS, self.generator)
        texture = self.clips.cut(rows, torch.zeros_like(rows[:, :1]), crop, self.integers(0, 8, len(rows)))[:, 0]
        times = self.integers(1, 8, n) / 8
        frames, flow = self.synthetic.draw(texture, times.view(n, 1, 1, 1))
        return frames, times, flow

    def overlaid(self, frames):
        """Composites static overlays over some samples and removes motion from some; returns the frames and a mask of unchanged
        pixels, [n, 1, crop, crop]."""
        n, crop = len(frames), frames.shape[-1]
        choice = self.bank[self.integers(0, len(self.bank), n)][..., :crop, :crop].unsqueeze(1)
        alpha = choice[:, :, 3:] * self.chance(self.overlay, n).view(n, 1, 1, 1, 1)
        frames = (frames * (1 - alpha) + choice[:, :, :3] * alpha).round()
        still = self.chance(self.still, n).view(n, 1, 1, 1, 1)
        own = (alpha == 0) & ~still
        return torch.where(still, frames[:, :1], frames), own[:, 0].float()

    def batch(self, n, crop):
        """Draws a batch: img0, truth, img1 [n, 3, crop, crop] in 0..1, t [n, 1, 1, 1], and the true flow with a mask of known
        pixels."""
        counts = self.rng.multinomial(n, np.array(list(self.shares.values())) / sum(self.shares.values()))
        frames, times = [], []
        flow = torch.zeros(n, 4, crop, crop, device=self.clips.device)
        known = torch.zeros(n, 1, 1, 1, device=self.clips.device)
        at = 0
        for kind, k in zip(self.shares, counts):
            if kind == "synthetic" and k > 0:
                some, when, flow[at:at + k] = self.made(k, crop)
                known[at:at + k] = 1
            elif k > 0:
                some, when = self.real(kind, k, crop)
            else:
                continue
            frames.append(some)
            times.append(when)
            at += k
        frames, own = self.overlaid(torch.cat(frames))
        swap = self.chance(0.5, n).view(n, 1, 1, 1, 1)
        frames = torch.where(swap, frames.flip(2), frames) / 255
        layout = torch.channels_last
        img0, truth, img1 = (frames[:, i].contiguous(memory_format=layout) for i in range(3))
        return img0, truth, img1, torch.cat(times).view(n, 1, 1, 1).float(), (flow, known * own)
