"""The dense inverse search that tools/train_twin.py calls."""

import json

import numpy as np
import pytest

import rife
from rife._rife import dis_prior

OPTIONS = {
    "min_coarsest_area": 512,
    "gauss_newton_steps": 3,
    "propagation_rounds": 4,
    "finest_propagation_rounds": 2,
    "damping": 1e-4,
    "min_residual": 1 / 255,
    "max_step": 2.0,
}


def waves(shift: tuple[float, float]) -> np.ndarray:
    """Makes an image [3, 96, 128] of waves that moved by `shift`, x and y in pixels."""
    y, x = np.mgrid[0:96, 0:128].astype(np.float32)
    x, y = x - shift[0], y - shift[1]
    grey = 0.5 + 0.2 * np.sin(0.35 * x + 0.1 * y) + 0.2 * np.cos(0.07 * x - 0.3 * y)
    return np.repeat(grey[None], 3, 0).astype(np.float32)


@pytest.mark.parametrize("level", [0, 1])
def test_velocities_are_the_motion_of_each_pair(level: int) -> None:
    moves = [(3.0, -2.0), (0.0, 1.5)]
    first = np.stack([waves((0, 0))] * 2)
    second = np.stack([waves(move) for move in moves])
    found = dis_prior(first, second, np.array([0.5, 0.25], np.float32), json.dumps({**OPTIONS, "finest_level": level}))
    assert found.shape == (2, 4, 96, 128)
    inside = found[:, :, 16:-16, 16:-16]
    for pair, move in zip(inside, moves, strict=True):
        for k in range(4):
            assert abs(np.median(pair[k]) - move[k % 2]) < 0.1, (k, move, np.median(pair[k]))


def test_wrong_shapes_and_options_are_refused() -> None:
    images, times = np.zeros((1, 3, 33, 64), np.float32), np.zeros(1, np.float32)
    with pytest.raises(rife.UsageError, match="multiples of 2"):
        dis_prior(images, images, times, json.dumps({**OPTIONS, "finest_level": 1}))
    with pytest.raises(rife.UsageError, match="min_coarsest_area"):
        dis_prior(images, images, times, json.dumps({**OPTIONS, "min_coarsest_area": 0}))
    with pytest.raises(rife.UsageError, match="1 times"):
        dis_prior(images[:0], images[:0], times, json.dumps(OPTIONS))
