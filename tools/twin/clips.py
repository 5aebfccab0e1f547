"""Decoded clips, or packed windows of clips, in device memory (or a memory-mapped file) at several sizes, and weighted sampling of crops with motion."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F

# Side in pixels of the grid cells on which motion is measured and crops are aligned.
CELL = 32
# Number of clips decoded in parallel.
DECODERS = 8
# Kinds of real samples: distance of the two frames in frame intervals, and the possible indices of the true frame.
KINDS = {"adjacent": (2, (1,)), "wide": (4, (2,)), "quarter": (4, (1, 3)), "eighth": (8, (1, 2, 3, 4, 5, 6, 7))}


def decode(path, most):
    """Decodes up to `most` frames as uint8 [n, h, w, 3], RGB."""
    if path.suffix == ".webp":
        return unpacked(path)
    clip, frames = cv2.VideoCapture(str(path)), []
    clip.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
    while len(frames) < most:
        more, frame = clip.read()
        if not more:
            break
        frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
    return np.stack(frames) if frames else np.zeros((0, 1, 1, 3), np.uint8)


def unpacked(path):
    """Reads a window of square frames that tools/prepare_corpus.py packed from top to bottom into one picture."""
    strip = cv2.imread(str(path))
    if strip is None or strip.shape[0] % strip.shape[1]:
        raise ValueError(f"{path} is not a window packed by tools/prepare_corpus.py --megabytes")
    side = strip.shape[1]
    return np.ascontiguousarray(strip[..., ::-1]).reshape(-1, side, side, 3)


def listed(folder, names, held_out):
    """Lists the files of a folder of clips, or of one with packed windows: those held out for validation (in a folder of
    clips the ones with `names`), or the others."""
    if (folder / "train").is_dir():
        return sorted((folder / ("held_out" if held_out else "train")).glob("*.webp"))
    return [f for f in sorted(folder.iterdir()) if (f.stem in names) == held_out]


def resized(frames, short):
    """Scales frames [n, h, w, 3] so that their shorter side is `short` pixels."""
    h, w = frames.shape[1:3]
    if min(h, w) == short:
        return frames
    size = [round(side * short / min(h, w)) for side in (h, w)]
    parts = [F.interpolate(part.permute(0, 3, 1, 2).float(), size, mode="bilinear", antialias=True)
             .round().clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous() for part in frames.split(32)]
    return torch.cat(parts)


def motion(frames):
    """Computes the mean absolute difference of consecutive frames per cell: [n - 1, h / CELL, w / CELL]."""
    parts = []
    for i in range(0, len(frames) - 1, 32):
        grey = frames[i:i + 33].float().mean(-1)
        parts.append(F.avg_pool2d((grey[1:] - grey[:-1]).abs()[None], CELL)[0])
    return torch.cat(parts)


def crops(cells, intervals, side):
    """Finds crops of `side` cells over `intervals` frame intervals with even motion (no repeated frame, no cut): positions
    [k, 3] (frame, row, column in cells) and sampling weights, which grow with motion."""
    over = F.avg_pool2d(cells[None], side, 1)[0].unfold(0, intervals, 1)
    typical = over.median(-1).values
    usable = (typical > 0.8) & (typical < 35) & (over.amin(-1) > 0.3 * typical) & (over.amax(-1) < 3 * typical + 1)
    return usable.nonzero(), typical[usable].clamp(max=12)


def decoded(files, most):
    """Decodes files in parallel."""
    with ThreadPoolExecutor(DECODERS) as pool:
        return list(pool.map(lambda f: decode(f, most), files))


class Store:
    """Concatenated pixels of all frames, on the device or in a file that later runs reuse.

    `key` identifies the content; the file `PATH.index` stores it with metadata of the frames.
    """

    def __init__(self, path, key):
        self.path, self.key, self.parts, self.file, self.found = path, key, [], None, None
        self.index = Path(f"{path}.index") if path else None
        if path and self.index.exists():
            kept = torch.load(self.index, weights_only=True)
            self.found = kept["about"] if kept["key"] == key else None
        if path and self.found is None:
            self.index.unlink(missing_ok=True)
            self.file = open(path, "wb")

    def add(self, frames):
        """Appends frames [n, h, w, 3]."""
        if self.file:
            self.file.write(frames.cpu().numpy().tobytes())
        else:
            self.parts.append(frames.reshape(-1, 3))

    def pixels(self, about):
        """Returns all pixels [n, 3], uint8; `about` is stored in the index if the file was just written."""
        if not self.path:
            return torch.cat(self.parts)
        if self.file:
            self.file.close()
            torch.save({"key": self.key, "about": about}, self.index)
        size = Path(self.path).stat().st_size
        return torch.from_file(str(self.path), shared=True, size=size, dtype=torch.uint8).view(-1, 3)


class Clips:
    """All frames of the clips in `folders`, scaled to each of `data["short_sides"]`, on the device or in the file `store`.

    `held_out` selects the clips listed in `data["held_out"]`, else the others.
    """

    def __init__(self, folders, data, crop_sides, device, held_out=False, store=None, most_samples=4_000_000):
        # In the order of the folders, so that the samples do not depend on their paths.
        files = [f for folder in folders for f in listed(Path(folder), data["held_out"], held_out)]
        if not files:
            kind = "held-out" if held_out else "training"
            raise ValueError(f"no {kind} clips in {', '.join(map(str, folders))}")
        kept = Store(store, [str(f) for f in files] + [str(data["short_sides"]), str(data["most_frames"]), str(data["size"])])
        shapes, cells, self.report = kept.found or ([], [], [])
        for group in (files[i:i + DECODERS] for i in range(0, 0 if kept.found else len(files), DECODERS)):
            for path, frames in zip(group, decoded(group, data["most_frames"])):
                self.report.append((path.name, len(frames)))
                if len(frames) < 3:
                    continue
                frames = torch.from_numpy(frames).to(device)
                native = min(frames.shape[1:3])
                for short in sorted({max(min(native, side), data["size"]) for side in data["short_sides"]}):
                    small = resized(frames, short)
                    shapes.append(list(small.shape[:3]))
                    cells.append(motion(small))
                    kept.add(small)
        self.pixels = kept.pixels((shapes, cells, self.report))
        self.device = device
        sizes = torch.tensor(shapes, device=device)
        self.widths, self.heights = sizes[:, 2], sizes[:, 1]
        self.starts = F.pad(sizes.prod(1).cumsum(0), (1, 0))[:-1]
        self.tables = {(side, n): self.table(cells, side // CELL, n, most_samples)
                       for side in crop_sides for n in {n for n, _ in KINDS.values()}}

    def table(self, cells, side, intervals, most):
        """Lists crops of all clips [k, 4] (clip, frame, row, column) and the cumulative sum of their weights."""
        places, weights = [], []
        for clip, grid in enumerate(cells):
            if len(grid) < intervals or min(grid.shape[1:]) < side:
                continue
            at, weight = crops(grid, intervals, side)
            if len(at):
                places.append(F.pad(at, (1, 0), value=clip))
                # A clip's total weight is the square root of its sum, so that long clips do not dominate.
                weights.append(weight / weight.sum().sqrt())
        places, weights = torch.cat(places).int(), torch.cat(weights)
        if len(places) > most:
            keep = torch.randperm(len(places), device=self.device)[:most]
            places, weights = places[keep], weights[keep]
        return places, weights.double().cumsum(0)

    def rows(self, side, intervals, count, generator):
        """Draws `count` rows of a table by weight."""
        places, sums = self.tables[side, intervals]
        draw = torch.rand(count, device=self.device, generator=generator, dtype=torch.float64) * sums[-1]
        return places[torch.searchsorted(sums, draw).clamp(max=len(places) - 1)].long()

    def cut(self, rows, picks, side, turns):
        """Gathers pixels [n, k, 3, side, side] in 0..255, f32, of frames `rows` + `picks` [n, k]; each sample is rotated or
        flipped by its number in `turns` (0 to 7)."""
        n = len(rows)
        i, j = torch.meshgrid(*(torch.arange(side, device=self.device),) * 2, indexing="ij")
        bit = [(turns >> k & 1).bool().view(n, 1, 1) for k in range(3)]
        y, x = torch.where(bit[0], j, i), torch.where(bit[0], i, j)
        y, x = torch.where(bit[1], side - 1 - y, y), torch.where(bit[2], side - 1 - x, x)
        clip = rows[:, 0]
        width, height = (size[clip].view(n, 1, 1) for size in (self.widths, self.heights))
        y, x = y + CELL * rows[:, 2].view(n, 1, 1), x + CELL * rows[:, 3].view(n, 1, 1)
        frame = (rows[:, 1, None] + picks).view(n, -1, 1, 1)
        at = self.starts[clip].view(n, 1, 1, 1) + (frame * height[:, None] + y[:, None]) * width[:, None] + x[:, None]
        return self.pixels[at].permute(0, 1, 4, 2, 3).float()
