"""Synthetic frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def moving_box(width: int, height: int, left: int) -> npt.NDArray[Any]:
    """Returns a frame of height x width x RGB with a bright box of 24x24 on a gradient."""
    x = np.linspace(40, 90, width, dtype=np.float32)
    frame = np.repeat(np.tile(x, (height, 1))[..., None], 3, 2)
    frame[16:40, left : left + 24] = (220, 200, 60)
    return frame.round().astype(np.uint8)
