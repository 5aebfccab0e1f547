"""Cuts windows of consecutive frames out of video clips: the training corpus of tools/train_twin.py.

Writes OUT/windows.npy (uint8 [n, window, size, size, 3]) and OUT/index.json. Windows without motion, with repeated frames
or with cuts are left out; clips named in the recipe's `held_out` go to OUT/held_out.npy.
"""

import argparse
import json
import random
import subprocess
import tomllib
from pathlib import Path

import numpy as np


def probe(path):
    """Returns width and height of the first video stream as stored, without rotation."""
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "stream=width,height",
               "-of", "json", str(path)]
    stream = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["streams"][0]
    return stream["width"], stream["height"]


def decode(path, short_side):
    """Decodes up to 300 frames as uint8 [n, h, w, 3], scaled to the shorter side `short_side`."""
    width, height = probe(path)
    factor = short_side / min(width, height)
    width, height = round(width * factor), round(height * factor)
    command = ["ffmpeg", "-nostdin", "-v", "error", "-noautorotate", "-i", str(path), "-map", "0:v:0",
               "-frames:v", "300", "-vf", f"scale={width}:{height}:flags=area", "-fps_mode", "passthrough",
               "-pix_fmt", "rgb24", "-f", "rawvideo", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def usable(diffs):
    """Reports whether a window has even motion, no repeated frame and no cut, by the mean absolute differences `diffs` of
    consecutive frames in code values."""
    typical = np.median(diffs)
    return 0.8 < typical < 35 and diffs.min() > 0.3 * typical and diffs.max() < 3.0 * typical + 1


def cut_windows(frames, count, window, size, rng):
    """Cuts up to `count` windows at random positions, preferring motion."""
    candidates = []
    for _ in range(count * 4):
        if len(frames) < window:
            break
        i = rng.randrange(len(frames) - window + 1)
        y, x = rng.randrange(frames.shape[1] - size + 1), rng.randrange(frames.shape[2] - size + 1)
        cut = frames[i:i + window, y:y + size, x:x + size]
        small = cut[:, ::4, ::4].astype(np.float32)
        diffs = np.abs(np.diff(small, axis=0)).mean(axis=(1, 2, 3))
        if usable(diffs):
            candidates.append((min(float(np.median(diffs)), 12.0) * rng.random() ** 0.5, cut))
    candidates.sort(key=lambda c: -c[0])
    # Copies, since a view would keep all frames of its clip in memory.
    return [cut.copy() for _, cut in candidates[:count]]


def write(path, windows):
    """Writes windows to a memory-mapped .npy file."""
    out = np.lib.format.open_memmap(path, "w+", np.uint8, (len(windows), *windows[0].shape))
    for i, window in enumerate(windows):
        out[i] = window
    out.flush()


def main():
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="recipes/default.toml")
    parser.add_argument("--clips", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    args = parser.parse_args()
    data = tomllib.loads(Path(args.recipe).read_text())["data"]
    rng = random.Random(data["seed"])
    train, held, index = [], [], []
    for path in sorted(args.clips.iterdir()):
        native = min(probe(path))
        sides = sorted({max(data["size"], min(native, 540)), max(data["size"], min(native, 540) * 2 // 3)})
        cuts = []
        for side in sides:
            frames = decode(path, side)
            cuts += cut_windows(frames, data["windows_per_clip"] // len(sides), data["window"], data["size"], rng)
        (held if path.stem in data["held_out"] else train).extend(cuts)
        index.append({"clip": path.name, "frames": len(frames), "windows": len(cuts)})
        print(index[-1], flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    rng.shuffle(train)
    write(args.out / "windows.npy", train)
    write(args.out / "held_out.npy", held)
    (args.out / "index.json").write_text(json.dumps(index, indent=1))
    print(f"{len(train)} windows for training, {len(held)} held out")


if __name__ == "__main__":
    main()
