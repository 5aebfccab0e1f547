"""The filter in a real VapourSynth."""

from __future__ import annotations

import random
import re
import resource
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import vapoursynth as vs
from conftest import made, picture, planes
from vapoursynth import core

FORMATS = [
    vs.YUV420P8, vs.YUV422P8, vs.YUV444P8, vs.YUV420P10, vs.YUV422P12, vs.YUV444P16, vs.YUV420P16,
    vs.RGB24, vs.RGB30, vs.RGB48, vs.RGBH, vs.RGBS, vs.GRAY8, vs.GRAY16,
]  # fmt: skip


def center(plane: np.ndarray) -> float:
    """The mean column of the brightest pixels."""
    return float(np.argwhere(plane > plane.min() + 0.9 * (float(plane.max()) - plane.min()))[:, 1].mean())


def box(number: int, width: int, height: int) -> np.ndarray:
    """A bright box on grey, 8 pixels further each frame."""
    frame = np.full((3, height, width), 0.3)
    frame[:, 16:40, 8 + 8 * number : 32 + 8 * number] = 0.9
    return frame


@pytest.mark.parametrize("format", FORMATS, ids=lambda format: vs.PresetVideoFormat(format).name)
def test_the_box_is_half_way(format: vs.PresetVideoFormat) -> None:
    clip = core.rife.RIFE(made(3, format, draw=box))
    assert (clip.num_frames, clip.fps, clip.format.id) == (6, 20, int(format))
    a, middle, b = (planes(clip.get_frame(n))[0].astype(np.float64) for n in range(3))
    assert abs(center(middle) - (center(a) + center(b)) / 2) < 0.75


@pytest.mark.parametrize(
    ("format", "name"),
    [(vs.YUV420P8, "420mpeg2"), (vs.YUV422P8, "422"), (vs.YUV444P8, "444"), (vs.YUV420P10, "420p10")],
)
@pytest.mark.parametrize("factor", [Fraction(2), Fraction(5, 2)])
def test_equal_to_the_command_line(
    tmp_path: Path, rife: Callable[..., None], format: vs.PresetVideoFormat, name: str, factor: Fraction
) -> None:
    def scenes(number: int, width: int, height: int) -> np.ndarray:
        drawn = picture(number, width, height)
        return drawn if number < 14 else 0.2 + 0.3 * drawn[:, ::-1]

    clip = made(28, format, draw=scenes)
    source = tmp_path / "clip.y4m"
    with source.open("wb") as file:
        clip.output(file, y4m=True)
    rife("video", source, "-o", tmp_path / "out.y4m", "--factor", factor, "--duplicates", "keep", "--mask-static", "off")
    result = core.rife.RIFE(clip, factor_num=factor.numerator, factor_den=factor.denominator)
    written = (tmp_path / "out.y4m").read_bytes()
    head, written = written.split(b"\n", 1)
    assert f"C{name}".encode() in head
    dtype = np.uint8 if result.format.bits_per_sample == 8 else np.dtype("<u2")
    size = sum(plane.nbytes for plane in planes(result.get_frame(0)))
    assert len(written) == result.num_frames * (size + 6)
    for number, frame in enumerate(result.frames()):
        expected = np.frombuffer(written[number * (size + 6) + 6 : (number + 1) * (size + 6)], dtype)
        found = np.concatenate([plane.ravel() for plane in planes(frame)])
        assert np.abs(found.astype(int) - expected).max() <= 1, f"frame {number}"


def test_any_order_and_threads_give_the_same_frames() -> None:
    clip = made(12)
    arguments = {"factor_num": 3, "cut_threshold": 0.9}
    forward = [planes(frame) for frame in core.rife.RIFE(clip, **arguments).frames(prefetch=1)]
    backward = core.rife.RIFE(clip, **arguments)
    numbers = list(reversed(range(36)))
    for number in numbers:
        found = planes(backward.get_frame(number))
        assert all((a == b).all() for a, b in zip(found, forward[number])), number
    random.Random(1).shuffle(numbers)
    scrubbed = core.rife.RIFE(clip, **arguments)
    requests = [(number, scrubbed.get_frame_async(number)) for number in numbers]
    for number, request in requests:
        found = planes(request.result())
        assert all((a == b).all() for a, b in zip(found, forward[number])), number


def test_rates_and_durations() -> None:
    clip = made(5, rate=Fraction(24000, 1001))
    result = core.rife.RIFE(clip, fps_num=60)
    assert result.fps == 60 and result.num_frames == 13
    assert all(Fraction(f.props._DurationNum, f.props._DurationDen) == Fraction(1, 60) for f in result.frames())
    result = core.rife.RIFE(clip, None, 5, 2)
    assert result.fps == Fraction(60000, 1001) and result.num_frames == 13
    durations = [Fraction(f.props._DurationNum, f.props._DurationDen) for f in result.frames()]
    assert durations[:3] == [Fraction(1001, 60000)] * 3 and sum(durations) == 5 * Fraction(1001, 24000)
    slower = core.rife.RIFE(made(10), fps_num=5)
    assert slower.num_frames == 5
    assert (planes(slower.get_frame(1))[0] == planes(made(10).get_frame(2))[0]).all()


def test_variable_rates_are_kept() -> None:
    lengths = [Fraction(1, 30), Fraction(1, 10), Fraction(1, 24), Fraction(1, 30)]

    def time(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame = f.copy()
        frame.props["_DurationNum"], frame.props["_DurationDen"] = lengths[n].numerator, lengths[n].denominator
        frame.props["_AbsoluteTime"] = float(sum(lengths[:n]))
        return frame

    clip = core.std.Splice([made(2), made(2, rate=Fraction(25))])
    clip = clip.std.ModifyFrame(clip, time)
    assert clip.fps == 0 and core.rife.RIFE(clip).fps == 0
    with pytest.raises(vs.Error, match="fps_num needs a clip of a constant rate"):
        core.rife.RIFE(clip, fps_num=50)
    for factor in (Fraction(3), Fraction(3, 2)):
        frames = list(core.rife.RIFE(clip, None, factor.numerator, factor.denominator).frames())
        durations = [Fraction(f.props._DurationNum, f.props._DurationDen) for f in frames]
        assert sum(durations) == sum(lengths)
        starts = [sum(durations[:n]) for n in range(len(frames))]
        assert [f.props._AbsoluteTime for f in frames] == pytest.approx([float(start) for start in starts])
    assert durations[1] == lengths[0] / 3 + lengths[1] / 3


def cut_at(number: int, properties: bool) -> vs.VideoNode:
    """A clip of 24 frames with a cut, with or without properties."""

    def scenes(n: int, width: int, height: int) -> np.ndarray:
        drawn = picture(n, width, height)
        return drawn if n < number else 0.1 + 0.2 * drawn[:, ::-1, ::-1]

    clip = made(24, draw=scenes)
    if not properties:
        return clip

    def mark(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame = f.copy()
        frame.props["_SceneChangePrev"], frame.props["_SceneChangeNext"] = int(n == number), int(n == number - 1)
        return frame

    return clip.std.ModifyFrame(clip, mark)


@pytest.mark.parametrize("arguments", [{}, {"sc_threshold": 0.1}], ids=["own", "difference"])
@pytest.mark.parametrize("properties", [False, True])
def test_cuts_are_not_interpolated(properties: bool, arguments: dict[str, float]) -> None:
    clip = cut_at(12, properties)
    result = core.rife.RIFE(clip, factor_num=4, **arguments)
    last = planes(clip.get_frame(11))
    for number in range(45, 48):
        assert all((a == b).all() for a, b in zip(planes(result.get_frame(number)), last)), number
    assert not (planes(result.get_frame(43))[0] == planes(clip.get_frame(10))[0]).all()
    morphed = core.rife.RIFE(clip, factor_num=4, sc=0, **arguments)
    assert not (planes(morphed.get_frame(46))[0] == last[0]).all()
    if properties:
        marks = [(f.props._SceneChangePrev, f.props._SceneChangeNext) for f in result.frames()]
        assert [n for n, mark in enumerate(marks) if mark != (0, 0)] == [47, 48]
        assert marks[47:49] == [(0, 1), (1, 0)]


@pytest.mark.filterwarnings("ignore:The _ColorRange")
@pytest.mark.parametrize(("matrix", "kr", "kb"), [(1, 0.2126, 0.0722), (6, 0.299, 0.114), (9, 0.2627, 0.0593)])
@pytest.mark.parametrize(("key", "value", "full"), [("_Range", 1, True), ("_Range", 0, False), ("_ColorRange", 0, True)])
def test_matrix_and_range_of_the_frames_are_used(
    matrix: int, kr: float, kb: float, key: str, value: int, full: bool
) -> None:
    # Red at the edge of RGB: with another matrix or range it is outside, and is clipped.
    blank = core.std.BlankClip(None, 96, 64, vs.YUV444P8, 2, keep=False)

    def fill(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame = f.copy()
        level = 0.96 + 0.03 * n
        low, luma, chroma = (0, 255, 255) if full else (16, 219, 224)
        values = (low + luma * kr * level, 128 - chroma * kr * level / (2 * (1 - kb)), 128 + chroma * level / 2)
        for plane, code in enumerate(values):
            np.asarray(frame[plane])[:] = min(round(code), 255)
        frame.props["_Matrix"], frame.props[key] = matrix, value
        return frame

    result = core.rife.RIFE(blank.std.ModifyFrame(blank, fill))
    a, middle, b = (planes(result.get_frame(n)) for n in range(3))
    for low, found, high in zip(a, middle, b):
        low, high = min(low.min(), high.min()), max(low.max(), high.max())
        assert low - 1 <= found.min() and found.max() <= high + 1
    assert result.get_frame(1).props._Range == full and result.get_frame(1).props._Matrix == matrix


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"factor_num": 0}, "factor_num and factor_den are 0 and 1"),
        ({"factor_num": 1, "factor_den": 2}, "it is from 1 to 256"),
        ({"factor_num": 300}, "the factor is 300"),
        ({"fps_num": -1}, "they are from 1"),
        ({"fps_den": 2}, "without fps_num"),
        ({"scale": 3}, "scale is \"3\": it is one of 0.25, 0.5, 1, 2, 4"),
        ({"model": "none"}, "none"),
        ({"device": "toaster"}, "device is \"toaster\""),
        ({"precision": "f8"}, "it is one of f32"),
        ({"threads": 0}, "it is from 1 to 1024"),
        ({"sc_threshold": 2.0}, "sc_threshold is 2"),
        ({"cut_threshold": -1.0}, "cut_threshold is -1"),
    ],
)  # fmt: skip
def test_refused_arguments(change: dict[str, object], words: str) -> None:
    with pytest.raises(vs.Error) as caught:
        core.rife.RIFE(made(2), **change)
    assert words in str(caught.value) and str(caught.value).startswith("RIFE: ")


def test_refused_clips() -> None:
    for clip, words in [
        (core.std.BlankClip(None, 96, 64, vs.YUV444PS), "YUV444PS"),
        (core.std.BlankClip(None, 8, 8, vs.RGBS), "8x8"),
        (core.std.Splice([made(2), made(2, size=(64, 64))], mismatch=True), "0x0"),
    ]:
        with pytest.raises(vs.Error, match=words):
            core.rife.RIFE(clip)
    interlaced = core.rife.RIFE(made(3).std.SetFrameProps(_FieldBased=2))
    with pytest.raises(vs.Error, match="frame 1: frame 0 of the clip is interlaced"):
        interlaced.get_frame(1)


def test_memory_is_flat_over_2000_frames() -> None:
    # Three in four pairs are equal frames: the test is quicker, and frames are made and freed all the same.
    source = made(250, size=(64, 64), draw=lambda n, width, height: picture(n // 4, width, height))
    clip = core.rife.RIFE(source, factor_num=8)
    peaks = []
    for number, _ in enumerate(clip.frames(close=True)):
        if number in (500, 1999):
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    assert len(peaks) == 2 and peaks[1] - peaks[0] < 24 << 10, peaks


SCRIPT = textwrap.dedent("""
    import sys
    sys.path.insert(0, {tests!r})
    from conftest import made
    from vapoursynth import core
    core.rife.RIFE(made(10), fps_num=25).set_output()
""")


def test_vspipe_to_ffmpeg(tmp_path: Path) -> None:
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        pytest.skip("no ffmpeg")
    script = tmp_path / "script.vpy"
    script.write_text(SCRIPT.format(tests=str(Path(__file__).parent)))
    pipe = subprocess.Popen(["vspipe", "-c", "y4m", script, "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    encode = [ffmpeg, "-v", "error", "-i", "-", "-c:v", "ffv1", tmp_path / "out.mkv"]
    subprocess.run(encode, stdin=pipe.stdout, check=True)
    assert pipe.wait() == 0, pipe.stderr.read()
    probe = ["ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames,r_frame_rate", "-of", "csv=p=0"]
    found = subprocess.run([*probe, tmp_path / "out.mkv"], check=True, capture_output=True, text=True)
    assert found.stdout.split() == ["25/1,25"]


def test_exits_cleanly_with_frames_in_flight(tmp_path: Path) -> None:
    script = SCRIPT.format(tests=str(Path(__file__).parent)).replace("fps_num=25", "fps_num=90")
    script += "import vapoursynth as vs\nfor n in range(20): vs.get_output(0).clip.get_frame_async(n)\n"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == "", done


def test_the_code_of_the_documentation_runs() -> None:
    page = Path(__file__).parents[3] / "docs/vapoursynth.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, page.name, "exec"), {})
