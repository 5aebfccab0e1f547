"""The model on arrays."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np

from . import _rife, _values
from ._arrays import Array, Order, is_bgr, packed, to_numpy
from .errors import UsageError
from .options import ModelOptions

if TYPE_CHECKING:
    from typing_extensions import Unpack

F = TypeVar("F")


class Model:
    """A network on a device, ready to interpolate. Threads may share it.

    Args:
        model: `"default"` or `"fast"` (about half the time), embedded; the path of a weights file or folder
            (.safetensors, .pkl, ncnn); or the name of a downloaded model.
        options: the model's options of the command line, such as `device="cpu"`, `scale=0.5`, `threads=4`,
            `precision="int8"`, `tta=True`, `ensemble=True`, `memory_limit="2G"`; see `rife.options.ModelOptions`.

    Raises:
        UsageError: an option has an invalid value.
        ModelError: the model cannot be found or used.
    """

    def __init__(self, model: str | os.PathLike[str] = "default", **options: Unpack[ModelOptions]) -> None:
        pairs = _values.pairs("Model", options, ModelOptions.__annotations__)
        self._native = _rife.Model([("model", os.fspath(model)), *pairs])

    @overload
    def interpolate(self, a: F, b: F, t: float | Fraction = 0.5, *, order: Order = "rgb") -> F: ...

    @overload
    def interpolate(self, a: F, b: F, t: Sequence[float | Fraction], *, order: Order = "rgb") -> list[F]: ...

    def interpolate(
        self, a: Any, b: Any, t: float | Fraction | Sequence[float | Fraction] = 0.5, *, order: Order = "rgb"
    ) -> Any:
        """Computes the frames at the times `t` between two frames.

        Args:
            a, b: frames of the same shape and type: arrays HxW (grey), HxWxC with 1 (grey), 3 (RGB) or 4 (RGBA, colours
                not premultiplied) channels, or batches NxHxWxC, of uint8 (0..255), uint16 (0..65535), float16 or float32
                (0..1; values outside are clamped), 16 to 16384 pixels a side. Rows may have any stride; other strides
                are copied first. Tensors are read by DLPack. Do not write to the frames during the call.
            t: times from 0 (`a`) to 1 (`b`). Fractions are exact.
            order: `"rgb"`, or `"bgr"` as in OpenCV.

        Returns:
            A frame or batch of the same shape, type and kind (array or tensor); for several times a list of them. The
            interpreter's lock is released meanwhile.

        Raises:
            UsageError: shapes, types or times that are not accepted.
        """
        times = [t] if isinstance(t, (int, float, Fraction)) else list(t)
        exact = [_time(time) for time in times]
        (first, restore), (second, _) = to_numpy(a), to_numpy(b)
        if first.shape != second.shape or first.dtype != second.dtype:
            raise UsageError(
                f"the frames differ: {first.dtype} {first.shape} and {second.dtype} {second.shape}", "usage"
            )
        results = [np.empty(first.shape, first.dtype.newbyteorder("=")) for _ in exact]
        self._between(first, second, exact, results, is_bgr(order))
        made = [restore(result) for result in results]
        return made[0] if isinstance(t, (int, float, Fraction)) else made

    def _between(
        self, first: Array, second: Array, times: list[tuple[int, int]], results: list[Array], bgr: bool
    ) -> None:
        """Fills the results; batches pair by pair."""
        if first.ndim == 4:
            for index in range(first.shape[0]):
                self._between(first[index], second[index], times, [result[index] for result in results], bgr)
            return
        if first.ndim not in (2, 3) or first.size == 0:
            raise UsageError(
                f"the array's shape is {first.shape}; accepted are HxW, HxWxC and NxHxWxC with C of 1, 3 or 4", "usage"
            )
        self._native.interpolate(packed(first), packed(second), times, results, bgr)

    @property
    def version(self) -> str:
        """The network's version, such as `4.25`."""
        return self._native.version

    @property
    def engine(self) -> str:
        """Device, instruction set, precision and number of threads."""
        return self._native.engine

    def __repr__(self) -> str:
        return f"<rife.Model {self._native.describe()}, {self._native.engine}>"


def _time(time: float | Fraction) -> tuple[int, int]:
    """Checks a time; returns it as numerator and denominator."""
    exact = _values.fraction(time, "t")
    if not 0 <= exact <= 1 or exact.denominator > 1 << 31:
        raise UsageError(f"t is {time}: it is from 0 to 1, as a fraction with a denominator up to 2**31", "usage")
    return exact.numerator, exact.denominator
