"""Jobs on files: the commands of the command line as functions."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from . import _rife, _values, options
from .errors import RifeError, UsageError

if TYPE_CHECKING:
    from typing_extensions import Unpack

Path: TypeAlias = "str | os.PathLike[str]"
#: Called with the number of frames done, and of all frames if known, some times a second on the calling thread.
Progress: TypeAlias = "Callable[[int, int | None], object]"

_log = logging.getLogger("rife")


def video(
    input: Path,
    output: Path | None = None,
    *,
    progress: Progress | None = None,
    cancel: _rife.CancelToken | None = None,
    **options: Unpack[options.VideoOptions],
) -> dict[str, Any]:
    """Raises a video's frame rate (`fps=50`, `factor=4`), or turns it to slow motion (`slow_motion=True`).

    Args:
        input: a video, or a folder or pattern of images.
        output: the result; unless given, named after the input in its folder. It appears only when it is complete.
        progress: called with the number of frames done and of all frames, which may be None.
        cancel: stops the job from another thread.
        options: the options of `rife video` with `_` for `-`; see `rife.options.VideoOptions`.

    Returns:
        What the command writes with `--json`: `output` (path), `frames_in`, `frames_out`, `made`, `cuts`, `duration_s`,
        `bytes`, `elapsed_s`, `fps`, `warnings`..., and `plan`, the plan.

    Raises:
        UsageError, InputError, OutputError, ModelError, Failure: as the command's exit codes 2, 3, 4, 5 and 1.
        Cancelled: `cancel` was used; nothing is written then, and the unfinished work is kept for the same call.
    """
    return _run("video", [input], output, options, progress, cancel)


def image(
    images: Iterable[Path],
    output: Path | None = None,
    *,
    progress: Progress | None = None,
    cancel: _rife.CancelToken | None = None,
    **options: Unpack[options.ImageOptions],
) -> dict[str, Any]:
    """Interpolates between two or more images: `timestep=0.5` for one image, `exp=3` for 7 between each two.

    Args:
        images: image files (PNG, JPEG, WebP, TIFF, EXR, BMP, PPM).
        output: an image file for one image, a clip (.mp4, .gif, .webp...), else a folder (unless given, `output`).
        progress, cancel: as for `video`.
        options: the options of `rife image`; see `rife.options.ImageOptions`.

    Returns:
        `files` (the written paths), `frames`, `made`, `size`...
    """
    return _run("image", images, output, options, progress, cancel)


def chain(
    clips: Iterable[Path],
    output: Path | None = None,
    *,
    progress: Progress | None = None,
    cancel: _rife.CancelToken | None = None,
    **options: Unpack[options.ChainOptions],
) -> dict[str, Any]:
    """Joins clips with interpolated transitions from the last frame of one to the first of the next.

    Args:
        clips: two videos or more, of any size, rate and codec.
        output: the result; unless given, A_chain.mp4 in the first clip's folder.
        progress, cancel: as for `video`.
        options: the options of `rife chain`, such as `passes=3`; see `rife.options.ChainOptions`.

    Returns:
        `output`, `clips`, `frames_out`, `made`, `duration_s`, `starts_s` (where each clip starts), `warnings`...
    """
    return _run("chain", clips, output, options, progress, cancel)


def reencode(
    input: Path,
    output: Path | None = None,
    *,
    progress: Progress | None = None,
    cancel: _rife.CancelToken | None = None,
    **options: Unpack[options.ReencodeOptions],
) -> dict[str, Any]:
    """Re-encodes a video to a widely supported format and compares its colours with the source's.

    Args:
        input: a video.
        output: the result; unless given, IN_reencoded.mp4 in the input's folder.
        progress, cancel: as for `video`.
        options: the options of `rife reencode`, such as `preset_profile="latentsync"`; see
            `rife.options.ReencodeOptions`.

    Returns:
        `output` (None if the source has the format already; `force=True` re-encodes it), `check` (PSNR and bias of each
        colour), `analysis`...
    """
    return _run("reencode", [input], output, options, progress, cancel)


def report(
    input: Path,
    output: Path | None = None,
    *,
    progress: Progress | None = None,
    cancel: _rife.CancelToken | None = None,
    **options: Unpack[options.ReportOptions],
) -> dict[str, Any]:
    """Measures the quality of interpolation on a clip: frames are left out, computed, and compared with the true ones.

    Args:
        input: a video, or a folder or pattern of images.
        output: the page (HTML); its metrics are written beside it as JSON. Unless given, CLIP_report.html.
        progress, cancel: as for `video`.
        options: the options of `rife report`, such as `samples=10`; see `rife.options.ReportOptions`.

    Returns:
        The metrics: `means` (PSNR in dB and SSIM of the network, of blending and of holding frames), `frames`...
    """
    return _run("report", [input], output, options, progress, cancel)


def verify(
    output: Path,
    *,
    progress: Progress | None = None,
    cancel: _rife.CancelToken | None = None,
    **options: Unpack[options.VerifyOptions],
) -> dict[str, Any]:
    """Verifies a result against its manifest (of `video(..., manifest=True)`).

    Args:
        output: a result of `video`.
        progress, cancel: as for `video`.
        options: the options of `rife verify`: `manifest` and `input`, where the files are elsewhere.

    Returns:
        `ok`, `manifest` (whether there is one) and `checks`, each with `name`, `verdict` (`ok`, `wrong` or `?`), `expected`
        and `found`. A wrong check raises nothing.
    """
    return _run("verify", [output], None, options, progress, cancel)


def join(
    input: Path,
    output: Path,
    *,
    progress: Progress | None = None,
    cancel: _rife.CancelToken | None = None,
    **options: Unpack[options.JoinOptions],
) -> dict[str, Any]:
    """Joins the shards of one job, which `video(input, output, shard="1/2")` and so on have computed on several machines.

    Args:
        input: the shards' input.
        output: the shards' output; their folders are next to it.
        progress, cancel: as for `video`.
        options: the options of the shards; see `rife.options.JoinOptions`.

    Returns:
        As `video`.
    """
    return _run("join", [input], output, options, progress, cancel)


def probe(
    input: Path, *, cancel: _rife.CancelToken | None = None, **options: Unpack[options.InfoOptions]
) -> dict[str, Any]:
    """Describes a file's streams, and what `video` would do with it.

    Args:
        input: a video, or a folder or pattern of images.
        cancel: as for `video`.
        options: the options of `video`, as far as `rife info` has them; see `rife.options.InfoOptions`.

    Returns:
        `plan` (`width`, `height`, `input_frames`, `input_rate` as text such as `30000/1001`, `duration_s`, `output_rate`,
        `output_frames`, `estimated_s`, `memory_bytes`...), and for files that ffmpeg reads `media` (`container`, `streams`,
        `metadata`...).
    """
    return _run("info", [input], None, options, None, cancel)


#: Types of the options by command.
_TYPES: Mapping[str, Any] = {
    "video": options.VideoOptions,
    "image": options.ImageOptions,
    "chain": options.ChainOptions,
    "reencode": options.ReencodeOptions,
    "report": options.ReportOptions,
    "verify": options.VerifyOptions,
    "join": options.JoinOptions,
    "info": options.InfoOptions,
}
#: Commands with `--quiet`.
_QUIET = ("video", "chain", "reencode", "join")


def _run(
    command: str,
    inputs: Iterable[Path],
    output: Path | None,
    given: Mapping[str, Any],
    progress: Progress | None,
    cancel: _rife.CancelToken | None,
) -> dict[str, Any]:
    """Runs a command of the command line; returns its result as written with `--json`."""
    if output is not None and os.fspath(output) == "-":
        raise UsageError("a function does not write frames to standard output: use rife.stream", "usage")
    if isinstance(inputs, (str, os.PathLike)):
        raise UsageError(f"several files are needed, not only {os.fspath(inputs)}", "usage")
    arguments = ["rife", command, "--json"]
    if command in _QUIET:
        arguments.append("--quiet")
    for name, value in _values.pairs("probe" if command == "info" else command, given, _TYPES[command].__annotations__):
        option = f"--{name.replace('_', '-')}"
        if isinstance(given[name], bool):
            if given[name]:
                arguments.append(option)
        else:
            arguments.append(f"{option}={value}")
    if output is not None:
        arguments.append(f"--output={os.fsdecode(output)}")
    arguments += ["--", *(os.fsdecode(path) for path in inputs)]
    result: dict[str, Any] = {}
    last: tuple[int, int | None] = (0, None)

    def listen(line: str, standard: bool) -> None:
        nonlocal last
        if not standard:
            _log.info(line)
            return
        event: dict[str, Any] = json.loads(line)
        match event.pop("event", None):
            case "progress":
                last = (event["done"], event["total"])
                if progress is not None:
                    progress(*last)
            case "plan" | "analysis" as kind:
                result[kind] = event
            case _:
                result.update(event)

    try:
        _rife.run(arguments, cancel or _rife.CancelToken(), listen)
    except RifeError:
        if command == "verify" and "checks" in result:
            return result
        raise
    total = result.get("frames_out", last[1])
    if progress is not None and isinstance(total, int) and last != (total, total):
        progress(total, total)
    return result
