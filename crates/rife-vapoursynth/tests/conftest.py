"""Clips that the tests share."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import vapoursynth as vs
from vapoursynth import core

Picture = np.ndarray


def picture(number: int, width: int, height: int) -> Picture:
    """A textured background that moves slowly, and a box that moves by 4 pixels a frame; floats from 0.1 to 0.9."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    moved = x - 1.5 * number
    rgb = [0.5 + 0.3 * np.sin(0.11 * moved + phase) * np.cos(0.07 * y + phase) for phase in (0.0, 1.0, 2.0)]
    frame = np.stack(rgb)
    left = (8 + 4 * number) % (width - 24)
    frame[:, height // 4 : height // 2, left : left + 16] = 0.85
    return frame


def codes(values: np.ndarray, depth: int) -> np.ndarray:
    """Limited-range codes of values from 0 to 1."""
    unit = 1 << (depth - 8)
    return np.round(16 * unit + 219 * unit * values).astype(np.uint8 if depth == 8 else np.uint16)


def made(
    count: int = 6,
    format: vs.PresetVideoFormat = vs.YUV420P8,
    size: tuple[int, int] = (96, 64),
    rate: Fraction = Fraction(10),
    draw: Callable[[int, int, int], Picture] = picture,
) -> vs.VideoNode:
    """A clip of moving pictures in any format; YUV planes are the colours' codes, so that chroma has motion, too."""
    width, height = size
    blank = core.std.BlankClip(
        None, width, height, format, count, rate.numerator, rate.denominator, keep=False
    )

    def fill(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame = f.copy()
        drawn = draw(n, width, height)
        for plane in range(frame.format.num_planes):
            target = np.asarray(frame[plane])
            rows, columns = target.shape
            values = drawn[plane][:: height // rows, :: width // columns]
            if frame.format.sample_type == vs.FLOAT:
                target[:] = values.astype(target.dtype)
            else:
                target[:] = codes(values, frame.format.bits_per_sample)
        frame.props["_Range"] = 0
        return frame

    return blank.std.ModifyFrame(blank, fill)


def planes(frame: vs.VideoFrame) -> list[np.ndarray]:
    """The planes of a frame as arrays."""
    return [np.asarray(frame[plane]).copy() for plane in range(frame.format.num_planes)]


@pytest.fixture(scope="session")
def rife() -> Callable[..., None]:
    """The command line."""

    def run(*arguments: str | Path) -> None:
        subprocess.run([os.environ["RIFE_BINARY"], *map(str, arguments)], check=True, capture_output=True)

    return run
