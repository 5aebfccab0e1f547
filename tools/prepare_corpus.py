"""Cuts windows of consecutive frames out of video clips: the training corpus of rife-train (`--corpus`), or a packed one
for tools/train_twin.py (`--clips`).

Writes OUT/windows.npy (uint8 [n, window, size, size, 3]) and OUT/index.json. Windows without motion, with repeated frames
or with cuts are left out; clips named in the recipe's `held_out` go to OUT/held_out.npy.

With `--megabytes N` it writes WebP files of together at most N MB instead: OUT/train/NAME.webp and OUT/held_out/NAME.webp,
the frames of one window from top to bottom. Every clip gives its best window, then its second best, until N is reached.
"""

import argparse
import json
import random
import subprocess
import tomllib
from pathlib import Path

import cv2
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


def packed(window, quality):
    """Encodes a window [n, size, size, 3] as one WebP picture, frames from top to bottom."""
    strip = np.ascontiguousarray(window.reshape(-1, *window.shape[2:])[..., ::-1])
    done, data = cv2.imencode(".webp", strip, [cv2.IMWRITE_WEBP_QUALITY, quality])
    if not done:
        raise OSError(f"a window of {strip.shape[1]} x {strip.shape[0]} pixels cannot be written as WebP")
    return data.tobytes()


def in_turn(clips):
    """Yields (name, number, item) of lists of items by name: the first of every list, then the second, and so on."""
    for number in range(max(map(len, clips.values()), default=0)):
        for name, items in clips.items():
            if number < len(items):
                yield name, number, items[number]


def write_packed(out, train, held_out, most):
    """Writes packed windows, lists of bytes by clip, of together at most `most` bytes; returns number and size by folder.
    Held-out windows get at most a tenth."""
    counts = {}
    left = most
    for folder, clips, limit in (("held_out", held_out, most // 10), ("train", train, most)):
        place, used, count = out / folder, 0, 0
        place.mkdir(parents=True)
        for name, number, data in in_turn(clips):
            if used + len(data) > min(left, limit):
                break
            (place / f"{name}_{number:03}.webp").write_bytes(data)
            used, count = used + len(data), count + 1
        left -= used
        counts[folder] = (count, used)
    return counts


def pack(args, data, rng):
    """Cuts and packs windows of all clips."""
    for folder in ("train", "held_out"):
        if (args.out / folder).exists():
            raise SystemExit(f"{args.out / folder} exists; --out takes a folder without train and held_out")
    clips = {True: {}, False: {}}
    for path in sorted(args.clips.iterdir()):
        cuts = [packed(cut, args.quality) for cut in clip_windows(path, data, args.per_clip, rng)[0]]
        clips[path.stem in data["held_out"]][path.stem] = cuts
        print({"clip": path.name, "windows": len(cuts), "bytes": sum(map(len, cuts))}, flush=True)
    counts = write_packed(args.out, clips[False], clips[True], int(args.megabytes * 1e6))
    for folder, (count, size) in counts.items():
        print(f"{folder}: {count} windows, {size / 1e6:.1f} MB")


def clip_windows(path, data, count, rng):
    """Cuts up to `count` windows of a clip, of two sizes in turn; returns them and the number of frames."""
    native = min(probe(path))
    sides = sorted({max(data["size"], min(native, 540)), max(data["size"], min(native, 540) * 2 // 3)})
    cuts = {}
    for side in sides:
        frames = decode(path, side)
        cuts[side] = cut_windows(frames, count // len(sides), data["window"], data["size"], rng)
    return [cut for _, _, cut in in_turn(cuts)], len(frames)


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
    parser.add_argument("--megabytes", type=float, help="write packed windows of at most this size in MB")
    parser.add_argument("--per-clip", type=int, default=24, help="packed windows of a clip at most")
    parser.add_argument("--quality", type=int, default=90, help="quality of packed windows, 1 to 100")
    args = parser.parse_args()
    data = tomllib.loads(Path(args.recipe).read_text())["data"]
    rng = random.Random(data["seed"])
    if args.megabytes:
        pack(args, data, rng)
        return
    train, held, index = [], [], []
    for path in sorted(args.clips.iterdir()):
        cuts, frames = clip_windows(path, data, data["windows_per_clip"], rng)
        (held if path.stem in data["held_out"] else train).extend(cuts)
        index.append({"clip": path.name, "frames": frames, "windows": len(cuts)})
        print(index[-1], flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    rng.shuffle(train)
    write(args.out / "windows.npy", train)
    write(args.out / "held_out.npy", held)
    (args.out / "index.json").write_text(json.dumps(index, indent=1))
    print(f"{len(train)} windows for training, {len(held)} held out")


if __name__ == "__main__":
    main()
