#!/usr/bin/env python3
"""Makes the middle frames of a set of triplets with OpenCV's DIS optical flow, for `rife benchmark --beside`.

    python tools/baselines.py ucf101 dis_pictures
    rife benchmark ucf101 --beside dis=dis_pictures

The flow is estimated both ways (preset "medium" unless told otherwise); half the difference of the two is taken as
the motion of each pixel of the middle frame, both frames are warped by half of it, and their mean is the result.
Nothing is done about occlusion. Sets: folders of triplets as UCF101, Middlebury or ATD-12K name them, Middlebury
OTHER (other-data), and Vimeo90K (tri_testlist.txt). Needs `pip install opencv-python-headless numpy`.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

# First and second frame in the layouts whose triplets are folders.
FLAT = [("frame_00.png", "frame_02.png"), ("frame10.png", "frame11.png"), ("frame1.png", "frame3.png")]
PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}


def pairs(folder):
    """Yields the name and the two frames of each triplet."""
    names = folder / "tri_testlist.txt"
    if names.is_file():
        frames = next(p for p in (folder / "sequences", folder / "target") if p.is_dir())
        for name in names.read_text().split():
            yield name, frames / name / "im1.png", frames / name / "im3.png"
        return
    for place in ("other-data", "test_2k_540p"):
        if (folder / place).is_dir():
            folder = folder / place
    for path in sorted(folder.iterdir()):
        for first, second in FLAT:
            if (path / first).is_file() and (path / second).is_file():
                yield path.name, path / first, path / second
                break


def read(path):
    picture = cv2.imread(str(path))
    if picture is None:
        raise SystemExit(f"{path} cannot be read")
    return picture


def warp(picture, flow):
    """The picture sampled at each pixel's place moved by `flow`, edges repeated."""
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return cv2.remap(
        picture.astype(np.float32), x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def middle(first, second, dis):
    grays = [cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) for picture in (first, second)]
    there = dis.calc(grays[0], grays[1], None)
    back = dis.calc(grays[1], grays[0], None)
    motion = (there - back) / 2
    return (warp(first, -motion / 2) + warp(second, motion / 2)) / 2


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", type=Path, help="the folder of the set")
    parser.add_argument("output", type=Path, help="where the pictures go: OUTPUT/NAME.png")
    parser.add_argument("--preset", choices=PRESETS, default="medium")
    parser.add_argument("--finest-scale", type=int, help="0 is full resolution [default: the preset's]")
    args = parser.parse_args()
    dis = cv2.DISOpticalFlow_create(PRESETS[args.preset])
    if args.finest_scale is not None:
        dis.setFinestScale(args.finest_scale)
    count = 0
    for name, first, second in pairs(args.set):
        made = np.clip(np.round(middle(read(first), read(second), dis)), 0, 255).astype(np.uint8)
        path = args.output / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not cv2.imwrite(str(path), made):
            raise SystemExit(f"{path} cannot be written")
        count += 1
    if not count:
        raise SystemExit(f"{args.set} holds no triplets known here")
    print(f"{count} pictures in {args.output}")


if __name__ == "__main__":
    main()
