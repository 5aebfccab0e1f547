"""Prints what the package's Python code costs: the CPU time of `Model.interpolate` at 1280x720 beside that of the Rust call in it.

    python crates/rife-python/tests/speed.py
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import rife
from generate_frames import moving_box

#: Runs of each; the fastest counts.
RUNS = 8


def fastest(work: Callable[[], object]) -> float:
    """Returns the CPU time in seconds of the fastest run."""
    times = []
    for _ in range(RUNS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    """Measures and prints."""
    model = rife.Model(threads=1)
    a, b = moving_box(1280, 720, 500), moving_box(1280, 720, 520)
    result = np.empty_like(a)
    inner = fastest(lambda: model._native.interpolate(a, b, [(1, 2)], [result], False))
    whole = fastest(lambda: model.interpolate(a, b))
    print(f"Rust call {1000 * inner:.1f} ms, Model.interpolate {1000 * whole:.1f} ms: {100 * (whole / inner - 1):+.2f} %")


if __name__ == "__main__":
    main()
