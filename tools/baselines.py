#!/usr/bin/env python3
"""Interpolates the frames of a benchmark set with OpenCV's DIS optical flow, for `rife benchmark --beside`.

    python tools/baselines.py ucf101 dis_pictures
    rife benchmark ucf101 --beside dis=dis_pictures

Flow is estimated in both directions (preset "medium" by default); half the difference of the two is the motion at each
pixel of the interpolated frame, both frames are warped to the timestep and blended linearly. Occlusions are not handled.
Sets: those of `rife benchmark`, except HD's raw clips. Needs `pip install opencv-python-headless numpy`.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

# First and second frame in the layouts whose triplets are folders.
FLAT = [("frame_00.png", "frame_02.png"), ("frame10.png", "frame11.png"), ("frame1.png", "frame3.png")]
LEVELS = ("easy", "medium", "hard", "extreme")
PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}


def pairs(folder, factor):
    """Yields the paths of the two frames of each sample, and names and timesteps of the frames to interpolate."""
    listed = [p / f"test-{level}.txt" for level in LEVELS for p in (folder, folder / "eval_modes")]
    listed = [path for path in listed if path.is_file()]
    if (folder / "tri_testlist.txt").is_file():
        yield from vimeo(folder)
    elif listed:
        for path in listed:
            yield from snu_film(folder, path)
    else:
        yield from folders(folder, factor)


def vimeo(folder):
    """Yields the samples of Vimeo90K's test list."""
    frames = next(path for path in (folder / "sequences", folder / "target") if path.is_dir())
    for name in (folder / "tri_testlist.txt").read_text().split():
        yield frames / name / "im1.png", frames / name / "im3.png", [(name, 0.5)]


def snu_film(folder, path):
    """Yields the samples of one of SNU-FILM's lists."""
    level = path.stem.removeprefix("test-")
    for line in path.read_text().splitlines():
        if line.strip():
            first, truth, second = line.split()
            name = "/".join(Path(truth).with_suffix("").parts[-3:])
            yield located(folder, first), located(folder, second), [(f"{level}/{name}", 0.5)]


def located(folder, name):
    """Finds an image that a list names from another root, by dropping leading folders until the file exists."""
    parts = Path(name).parts
    places = [root.joinpath(*parts[skip:]) for skip in range(len(parts)) for root in (folder, folder / "test")]
    return next((place for place in places if place.is_file()), folder / name)


def folders(folder, factor):
    """Yields the samples of folders of triplets and of X-TEST's folders of scenes."""
    for place in ("other-data", "test_2k_540p", "test"):
        if (folder / place).is_dir():
            folder = folder / place
    for path in sorted(path for path in folder.iterdir() if path.is_dir()):
        names = [pair for pair in FLAT if all((path / name).is_file() for name in pair)]
        if names:
            yield path / names[0][0], path / names[0][1], [(path.name, 0.5)]
            continue
        for scene in sorted(scene for scene in path.iterdir() if scene.is_dir()):
            frames = sorted(scene.glob("*.png"))
            for start in range(0, len(frames) - 32, 32):
                places = [(start + 32 * i // factor, i / factor) for i in range(1, factor)]
                targets = [(f"{path.name}/{scene.name}/{frames[at].stem}", time) for at, time in places]
                yield frames[start], frames[start + 32], targets


def read(path):
    """Reads an image; exits with a message if that fails."""
    picture = cv2.imread(str(path))
    if picture is None:
        raise SystemExit(f"{path} cannot be read")
    return picture


def warp(picture, flow):
    """Backward warp: samples the image at each pixel's position plus `flow`, bilinear, border clamped."""
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return cv2.remap(
        picture.astype(np.float32), x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def flow(first, second, dis):
    """Computes the mean of forward flow and negated backward flow, as the motion from the first frame to the second."""
    grays = [cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) for picture in (first, second)]
    return (dis.calc(grays[0], grays[1], None) - dis.calc(grays[1], grays[0], None)) / 2


def between(first, second, motion, time):
    """Interpolates the frame at `time` by warping both frames and blending linearly."""
    return warp(first, -motion * time) * (1 - time) + warp(second, motion * (1 - time)) * time


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", type=Path, help="the folder of the set")
    parser.add_argument("output", type=Path, help="where the pictures go: OUTPUT/NAME.png")
    parser.add_argument("--factor", type=int, default=8, help="X-TEST: one frame in so many is given [default: 8]")
    parser.add_argument("--preset", choices=PRESETS, default="medium")
    parser.add_argument("--finest-scale", type=int, help="0 is full resolution [default: the preset's]")
    args = parser.parse_args()
    dis = cv2.DISOpticalFlow_create(PRESETS[args.preset])
    if args.finest_scale is not None:
        dis.setFinestScale(args.finest_scale)
    count = 0
    for first, second, targets in pairs(args.set, args.factor):
        first, second = read(first), read(second)
        motion = flow(first, second, dis)
        for name, time in targets:
            made = np.clip(np.round(between(first, second, motion, time)), 0, 255).astype(np.uint8)
            path = args.output / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            if not cv2.imwrite(str(path), made):
                raise SystemExit(f"{path} cannot be written")
            count += 1
    if not count:
        raise SystemExit(f"{args.set} holds no set known here")
    print(f"{count} pictures in {args.output}")


if __name__ == "__main__":
    main()
