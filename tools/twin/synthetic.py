"""Synthetic samples with exact flow: textured layers, each moving linearly in time by a smooth velocity field."""

import cv2
import numpy as np
import torch
import torch.nn.functional as F

LAYERS = 4


def overlays(count, side, seed, device):
    """Draws overlays of text and boxes, [count, 4, side, side] (RGB in 0..255, alpha in 0..1)."""
    rng = np.random.default_rng(seed)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.,:!?- "
    made = np.zeros((count, side, side, 4), np.float32)
    for picture in made:
        colour, alpha = np.zeros((side, side, 3), np.uint8), np.zeros((side, side), np.uint8)
        for _ in range(rng.integers(1, 4)):
            ink = tuple(int(v) for v in rng.choice([rng.integers(0, 256, 3), [255] * 3, [0] * 3]))
            at = tuple(int(v) for v in rng.integers(-side // 8, side, 2))
            if rng.random() < 0.7:
                text = "".join(rng.choice(list(letters), rng.integers(3, 24)))
                size, thick = rng.uniform(0.4, 1.8), int(rng.integers(1, 4))
                font = int(rng.integers(0, 8))
                for canvas, shade, more in ((alpha, 255, 2), (colour, (255 - ink[0],) * 3, 2), (colour, ink, 0), (alpha, 255, 0)):
                    cv2.putText(canvas, text, at, font, size, shade, thick + more, cv2.LINE_AA)
            else:
                end = tuple(int(v) for v in np.array(at) + rng.integers(8, side // 2, 2))
                for canvas, shade in ((colour, ink), (alpha, 255)):
                    cv2.rectangle(canvas, at, end, shade, -1 if rng.random() < 0.5 else 2)
        picture[..., :3], picture[..., 3] = colour, alpha / 255.0
    return torch.from_numpy(made).permute(0, 3, 1, 2).contiguous().to(device)


class Synthetic:
    """Generator of synthetic samples."""

    def __init__(self, device, generator, bank):
        self.device, self.generator, self.bank = device, generator, bank

    def uniform(self, low, high, *shape):
        """Draws uniform numbers."""
        return low + (high - low) * torch.rand(shape, device=self.device, generator=self.generator)

    def normal(self, deviation, *shape):
        """Draws normal numbers with mean 0."""
        return deviation * torch.randn(shape, device=self.device, generator=self.generator)

    def noise(self, k, channels, grid, side):
        """Draws smooth noise [k, channels, side, side]: normal numbers on a grid x grid lattice, bicubic in between."""
        return F.interpolate(self.normal(1.0, k, channels, grid, grid), (side, side), mode="bicubic", align_corners=True)

    def fields(self, n, side):
        """Draws velocity fields in pixels from the first frame to the second: [n * LAYERS, 2, side, side]."""
        k = n * LAYERS
        speed = torch.exp2(self.uniform(-2, 6, k, 1)) * (self.uniform(0, 1, k, 1) > 0.12)
        speed = speed.view(n, LAYERS, 1)
        speed[:, 0] *= 0.5
        heading = self.uniform(0, 2 * torch.pi, n, LAYERS, 1)
        shift = (speed * torch.cat([heading.cos(), heading.sin()], -1)).view(k, 2, 1, 1)
        moving = (speed > 0).float().view(k, 1, 1, 1)
        turn, zoom = self.normal(0.06, k, 1, 1), self.normal(0.04, k, 1, 1)
        centre = self.uniform(0.25 * side, 0.75 * side, 2, k, 1, 1)
        y, x = torch.meshgrid(*(torch.arange(side, device=self.device, dtype=torch.float32),) * 2, indexing="ij")
        x, y = x - centre[0], y - centre[1]
        affine = torch.stack([zoom * x - turn * y, turn * x + zoom * y], 1)
        bend = self.noise(k, 2, 5, side) * torch.relu(self.uniform(-3, 4, k, 1, 1, 1)) * side / 256
        return shift + (affine + bend) * moving

    def shapes(self, n, side):
        """Draws opacities of the layers, [n * LAYERS, 1, side, side] in 0..1: full (lowest), blobs, thin lines, text."""
        k = n * LAYERS
        wide, fine = self.noise(k, 1, 4, side), self.noise(k, 1, 10, side)
        blobs = ((wide + 0.25 * fine - self.uniform(0.2, 0.9, k, 1, 1, 1)) * side / 8 + 0.5).clamp(0, 1)
        lines = (1.2 - wide.abs() * side / self.uniform(6, 24, k, 1, 1, 1)).clamp(0, 1)
        choice = torch.randint(len(self.bank), (k,), device=self.device, generator=self.generator)
        text = self.bank[choice, 3:, :side, :side]
        kind = self.uniform(0, 1, k, 1, 1, 1)
        shape = torch.where(kind < 0.6, blobs, torch.where(kind < 0.8, lines, text)).view(n, LAYERS, 1, side, side)
        shape[:, 0] = 1
        # Fewer layers in some samples.
        shape[:, 2:] *= (self.uniform(0, 1, n, LAYERS - 2, 1, 1, 1) < 0.5)
        return shape.view(k, 1, side, side)

    @staticmethod
    def sample(x, u, mode, padding):
        """Samples x at pixel coordinates u [k, 2, h, w]."""
        grid = (u * (2 / (x.shape[-1] - 1)) - 1).permute(0, 2, 3, 1)
        return F.grid_sample(x, grid, mode=mode, padding_mode=padding, align_corners=True)

    def origins(self, velocity, after):
        """Finds, by fixed-point iteration, the position at the middle time of the point that is at each pixel `after`
        [k, 1, 1, 1] later; returns these positions and the velocities there."""
        side = velocity.shape[-1]
        y, x = torch.meshgrid(*(torch.arange(side, device=self.device, dtype=torch.float32),) * 2, indexing="ij")
        here = torch.stack([x, y])[None]
        u = here - velocity * after
        for _ in range(5):
            u = here - self.sample(velocity, u, "bilinear", "border") * after
        return u, self.sample(velocity, u, "bilinear", "border")

    def frame(self, texture, shape, velocity, time):
        """Composites the layers at `time` [n, 1, 1, 1]: image [n, 3, ...] and velocity of the visible layer [n, 2, ...]."""
        n = len(time)
        u, moved = self.origins(velocity, (time - 0.5).repeat_interleave(LAYERS, 0))
        picture = self.sample(texture, u, "bicubic", "reflection").view(n, LAYERS, 3, *u.shape[2:])
        alpha = self.sample(shape, u, "bilinear", "border").view(n, LAYERS, 1, *u.shape[2:])
        moved = moved.view(n, LAYERS, 2, *u.shape[2:])
        image, flow = picture[:, 0], moved[:, 0]
        for layer in range(1, LAYERS):
            a = alpha[:, layer]
            image = picture[:, layer] * a + image * (1 - a)
            flow = torch.where(a > 0.5, moved[:, layer], flow)
        return image, flow

    def draw(self, texture, times):
        """Renders three frames [n, 3, 3, side, side] in 0..255 at times 0, `times` [n, 1, 1, 1] and 1, and the true flow
        [n, 4, ...] of the middle frame. `texture` is [n * LAYERS, 3, side, side]."""
        n, side = len(times), texture.shape[-1]
        soft = F.avg_pool2d(F.pad(texture, (2,) * 4, mode="reflect"), 5, 1)
        texture = torch.where(self.uniform(0, 1, len(texture), 1, 1, 1) < 0.15, soft, texture)
        velocity, shape = self.fields(n, side), self.shapes(n, side)
        light = self.normal(0.15, n, 1, 1, 1) * (self.uniform(0, 1, n, 1, 1, 1) < 0.2)
        frames, flow = [], None
        for time in (torch.zeros_like(times), times, torch.ones_like(times)):
            image, speed = self.frame(texture, shape, velocity, time)
            frames.append((image * (1 + light * (time - 0.5))).round().clamp(0, 255))
            if len(frames) == 2:
                flow = torch.cat([-speed * times, speed * (1 - times)], 1)
        return torch.stack(frames, 1), flow
