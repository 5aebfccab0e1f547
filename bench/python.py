"""Measures what the Python package costs beside the program it contains, on this machine:

- `rife.Model.interpolate` on numpy arrays of 1280x720 beside the Rust call in it, which gets the same arrays;
- `rife.video` beside the command line `rife video`, of the same clip.

Both in interleaved pairs of runs: the median of the ratios of pairs, and the ratio of the fastest runs, of wall time and of the
processor time that this process and its children took. Needs the package, numpy and ffmpeg.

usage: python bench/python.py [--runs 12] [--videos 4] [--size 1280x720] [--threads 1]
                              [--video-size 320x180] [--frames 40]
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rife


def measured(work):
    """Returns the wall and processor seconds of a call, those of ended children included."""
    def used():
        return sum(usage.ru_utime + usage.ru_stime for usage in
                   (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
    start, before = time.perf_counter(), used()
    work()
    return time.perf_counter() - start, used() - before


def compare(name, target, base, with_python, runs):
    """Runs both in turns, the one first that was second before, and prints the ratios."""
    pairs = []
    for run in range(runs + 1):
        order = [base, with_python] if run % 2 else [with_python, base]
        times = [measured(work) for work in order]
        if run:  # The first pair warms caches.
            pairs.append(times if run % 2 else times[::-1])
    for kind, what in enumerate(["wall", "processor"]):
        ratios = [python[kind] / other[kind] for other, python in pairs]
        fastest = [min(pair[side][kind] for pair in pairs) for side in (0, 1)]
        print(f"{name}, {what}: {1000 * fastest[0]:.1f} ms and {1000 * fastest[1]:.1f} ms with Python at best; ratio of these "
              f"{fastest[1] / fastest[0]:.4f}, median of {runs} ratios {statistics.median(ratios):.4f} (target {target})", flush=True)


def main():
    """Measures and prints."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--runs", type=int, default=12)
    options.add_argument("--videos", type=int, default=4)
    options.add_argument("--size", default="1280x720")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--frames", type=int, default=40)
    options.add_argument("--video-size", default="320x180")
    given = options.parse_args()
    width, height = map(int, given.size.split("x"))

    model = rife.Model(threads=given.threads)
    random = np.random.default_rng(1)
    texture = np.kron(random.integers(0, 256, (height // 8 + 1, width // 8 + 8, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    a, b = (np.ascontiguousarray(texture[:height, shift:shift + width]) for shift in (0, 6))
    result = np.empty_like(a)
    compare(f"interpolate {given.size}, {given.threads} thread(s)", 1.03,
            lambda: model._native.interpolate(a, b, [(1, 2)], [result], False), lambda: model.interpolate(a, b), given.runs)

    program = Path(sys.executable).with_name("rife")
    with tempfile.TemporaryDirectory() as folder:
        clip, out = Path(folder, "clip.mp4"), Path(folder, "out.mp4")
        subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"testsrc2=size={given.video_size}:rate=25", "-frames:v",
                        str(given.frames), "-pix_fmt", "yuv420p", str(clip)], check=True)
        command = [program, "video", clip, "-o", out, "--overwrite", "--quiet", "--threads", str(given.threads)]
        compare(f"video {given.video_size}, {given.frames} frames", 1,
                lambda: subprocess.run(command, check=True),
                lambda: rife.video(str(clip), str(out), overwrite=True, threads=given.threads), given.videos)


if __name__ == "__main__":
    main()
