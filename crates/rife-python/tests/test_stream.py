"""`rife.stream`."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import rife
from generate_frames import moving_box

FRAMES = [moving_box(96, 64, 8 + 4 * i) for i in range(5)]


def test_twice_the_frames(model: rife.Model) -> None:
    made = list(rife.stream(FRAMES, model=model))
    assert [frame.time for frame in made] == [Fraction(i, 50) for i in range(10)]
    assert {frame.duration for frame in made} == {Fraction(1, 50)}
    assert all((frame.image == source).all() for frame, source in zip(made[::2], FRAMES))
    assert [frame.made for frame in made[:8]] == [False, True] * 4
    assert (made[1].image == model.interpolate(FRAMES[0], FRAMES[1])).all()


def test_times_rates_and_types(model: rife.Model) -> None:
    times = [0, 0.1, Fraction(1, 4), 0.3, 0.5]
    frames = [frame.astype(np.float32) / 255 for frame in FRAMES]
    made = list(rife.stream(frames, times=times, model=model, confidence=True, cut_threshold=0, duplicates="keep"))
    assert [frame.time for frame in made[::2]] == [0, Fraction(1, 10), Fraction(1, 4), Fraction(3, 10), Fraction(1, 2)]
    assert made[1].time == Fraction(1, 20) and made[1].image.dtype == np.float32
    assert made[1].confidence is not None and 0 <= made[1].confidence <= 1
    faster = list(rife.stream(FRAMES, fps="60000/1001", input_fps=30, model=model))
    assert faster[1].time == Fraction(1001, 60000)


@pytest.mark.parametrize("factor", [2.5, 1.5, Fraction(7, 3)])
def test_every_frame_lasts_until_the_next(model: rife.Model, factor: float | Fraction) -> None:
    made = list(rife.stream(FRAMES, factor, model=model))
    step = 1 / (25 * Fraction(factor))
    assert [frame.time for frame in made] == [i * step for i in range(len(made))]
    assert {frame.duration for frame in made[:-1]} == {step}
    assert made[-1].time + made[-1].duration == Fraction(len(FRAMES), 25)


@pytest.mark.parametrize(
    ("options", "delay"),
    [
        ({}, 35),
        ({"cut_threshold": 0}, 25),
        ({"duplicates": "keep"}, 15),
        ({"cut_threshold": 0, "duplicates": "keep", "mask_static": "off"}, 5),
    ],
)
def test_frames_are_yielded_after_the_documented_delay(model: rife.Model, options: Any, delay: int) -> None:
    taken = 0

    def endless() -> Any:
        nonlocal taken
        while True:
            taken += 1
            yield moving_box(96, 64, 8 + taken % 40)

    frames = rife.stream(endless(), model=model, **options)
    for source in range(3):
        for _ in range(2):
            next(frames)
            assert taken == source + 1 + delay


def test_refused(model: rife.Model) -> None:
    with pytest.raises(rife.UsageError, match="times has 1 elements"):
        list(rife.stream(FRAMES, times=[0], model=model))
    with pytest.raises(rife.UsageError, match="frame 1 is"):
        list(rife.stream([FRAMES[0], FRAMES[1][:32]], model=model))
    with pytest.raises(rife.UsageError, match="factor"):
        rife.stream(FRAMES, 0, model=model)
    with pytest.raises(rife.UsageError, match="fps needs"):
        rife.stream(FRAMES, fps=50, model=model)
    with pytest.raises(rife.UsageError, match="target frame rate and a factor"):
        rife.stream(FRAMES, 2, fps=50, input_fps=25, model=model)
    with pytest.raises(TypeError, match="did you mean 'cut_fill'"):
        rife.stream(FRAMES, model=model, cut_fil="blend")  # type: ignore[call-arg]
    assert list(rife.stream([], model=model)) == []
