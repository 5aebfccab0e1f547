"""Streams of frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _rife, _values
from ._arrays import Order, is_bgr, packed, to_numpy
from ._model import Model
from .errors import UsageError
from .options import StreamOptions

if TYPE_CHECKING:
    from typing_extensions import Unpack

#: Frames per second of a stream without times.
_RATE = 25


@dataclass(frozen=True)
class Frame:
    """A frame of a stream.

    Attributes:
        image: the array or tensor, of the pushed frames' shape, type and kind.
        time: when the frame is shown first, in seconds.
        duration: how long it is shown, in seconds.
        made: whether it was computed; else it is a source frame.
        confidence: 0 (poor) to 1, of a computed frame if it is measured.
    """

    image: Any
    time: Fraction
    duration: Fraction
    made: bool
    confidence: float | None


def stream(
    frames: Iterable[Any],
    factor: float | Fraction | None = None,
    *,
    fps: float | Fraction | str | None = None,
    times: Iterable[float | Fraction] | None = None,
    input_fps: float | Fraction | None = None,
    model: Model | None = None,
    order: Order = "rgb",
    confidence: bool = False,
    **options: Unpack[StreamOptions],
) -> Iterator[Frame]:
    """Raises the rate of a stream of frames: yields frames as they become known.

    Cuts, pauses, repeated frames and static overlays are handled as by `video`. A source frame and those between it and the
    next are yielded 35 frames after it was taken; 25 with `cut_threshold=0`, 15 with `duplicates="keep"`, 5 with both; one
    more with a factor that is no whole number.

    Args:
        frames: arrays HxWxC or HxW of one shape and type, as for `Model.interpolate`, in order of time.
        factor: frames per source frame, 1 to 256 (2 unless `fps` is given).
        fps: instead, the rate of the result in frames per second; strings such as `"60000/1001"` are exact.
        times: the frames' times in seconds, in order. A frame whose time is not above the one before is left out.
        input_fps: instead, the frames' constant rate (25 unless given); needed with `fps`, or `times`.
        model: the model (a new default one unless given).
        order: `"rgb"`, or `"bgr"` as in OpenCV.
        confidence: whether the confidence of computed frames is measured.
        options: of the command line, such as `cut_threshold=0`, `cut_fill="blend"`, `duplicates="keep"`,
            `mask_static="off"`; see `rife.options.StreamOptions`.

    Raises:
        UsageError: invalid options or shapes, at the first step.
        InputError: a frame of another shape or type than the first one.
    """
    if fps is not None and times is None and input_fps is None:
        raise UsageError("fps needs the frames' times: give times or input_fps", "usage")
    if times is not None and input_fps is not None:
        raise UsageError("times and input_fps are not accepted together", "usage")
    given: dict[str, object] = {**options, "factor": factor, "fps": fps}
    known = [*StreamOptions.__annotations__, "factor", "fps"]
    pairs = _values.pairs("stream", given, known)
    native = _rife.Stream((model or Model())._native, pairs, confidence)
    return _frames(native, iter(frames), times, input_fps, is_bgr(order))


def _frames(
    native: _rife.Stream,
    frames: Iterator[Any],
    times: Iterable[float | Fraction] | None,
    rate: float | Fraction | None,
    bgr: bool,
) -> Iterator[Frame]:
    """Pushes the frames and yields the results."""
    clock = None if times is None else iter(times)
    interval = 1 / _values.fraction(rate or _RATE, "input_fps")
    shape: tuple[int, ...] | None = None
    restore: Any = None
    dtype: np.dtype[Any] | None = None

    def ready() -> Iterator[Frame]:
        while (facts := native.next()) is not None:
            time, duration, made, confidence = facts
            assert shape is not None
            image = np.empty(shape, dtype)
            native.take(image, bgr)
            yield Frame(restore(image), Fraction(*time), Fraction(*duration), made, confidence)

    for number, frame in enumerate(frames):
        array, restore = to_numpy(frame)
        if shape is None:
            shape, dtype = array.shape, array.dtype.newbyteorder("=")
        elif array.shape != shape or array.dtype.newbyteorder("=") != dtype:
            raise UsageError(
                f"frame {number} is {array.dtype} {array.shape} where the first was {dtype} {shape}", "usage"
            )
        if array.ndim not in (2, 3) or array.size == 0:
            raise UsageError(f"frame {number} has the shape {array.shape}; accepted are HxW and HxWxC", "usage")
        if clock is None:
            time = number * interval
        else:
            try:
                time = _values.fraction(next(clock), "times")
            except StopIteration:
                raise UsageError(f"times has {number} elements; there are more frames", "usage") from None
        native.push(packed(array), (time.numerator, time.denominator), bgr)
        yield from ready()
    native.finish()
    yield from ready()
