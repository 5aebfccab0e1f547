"""Numpy arrays and DLPack tensors as packed arrays, and results in the caller's kind."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from .errors import UsageError

Array: TypeAlias = npt.NDArray[Any]
Order: TypeAlias = Literal["rgb", "bgr"]


def is_bgr(order: str) -> bool:
    """Checks the order of the colour channels."""
    if order not in ("rgb", "bgr"):
        raise UsageError(f"order is {order!r}: it is 'rgb' or 'bgr'", "usage")
    return order == "bgr"


def to_numpy(frame: object) -> tuple[Array, Callable[[Array], Any]]:
    """Returns a frame as a numpy array, and a function that converts a result to the frame's kind.

    A tensor on the CPU shares its memory by DLPack; a torch tensor on another device is copied to the CPU.
    """
    if isinstance(frame, np.ndarray):
        return frame, lambda made: made
    if not hasattr(frame, "__dlpack__"):
        raise UsageError(f"a frame is a numpy array or a tensor with DLPack, not {type(frame).__name__}", "usage")
    tensor: Any = frame
    package = type(tensor).__module__.partition(".")[0]
    restore: Callable[[Array], Any] = _same
    if package == "torch":
        restore = partial(_torch, tensor.device)
        tensor = tensor.detach().cpu()
    try:
        return np.from_dlpack(tensor), restore
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise UsageError(f"the tensor cannot be read by DLPack on the CPU: {error}", "usage") from error


def _same(made: Array) -> Array:
    """Returns a result as it is."""
    return made


def _torch(device: Any, made: Array) -> Any:
    """Returns a result as a torch tensor on a device."""
    import torch  # type: ignore[import-not-found, unused-ignore]

    return torch.from_dlpack(made).to(device)


def packed(frame: Array) -> Array:
    """Returns the frame if its pixels are packed in rows, else a copy that is."""
    pixel = frame.itemsize * (frame.shape[2] if frame.ndim == 3 else 1)
    wanted = (frame.strides[0], pixel, frame.itemsize)[: frame.ndim]
    native = frame.dtype.isnative
    if frame.strides == wanted and frame.strides[0] >= pixel * frame.shape[1] and native:
        return frame
    return np.ascontiguousarray(frame, dtype=frame.dtype.newbyteorder("="))
