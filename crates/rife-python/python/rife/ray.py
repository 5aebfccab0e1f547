"""One video on the machines of a Ray cluster: shards as tasks, then the join."""

from __future__ import annotations

import importlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path as LocalPath
from typing import TYPE_CHECKING, Any

from . import _jobs
from ._jobs import Path, Progress
from .errors import UsageError
from .options import InfoOptions, JoinOptions, VideoOptions

if TYPE_CHECKING:
    from typing_extensions import Unpack

try:
    #: Untyped, so that types are the same with and without Ray.
    ray: Any = importlib.import_module("ray")
except ImportError as missing:
    raise ImportError("rife.ray needs Ray: pip install ray") from missing

#: Seconds between two looks at the tasks.
_INTERVAL = 0.5
#: Shards for each place where one can run at a time, so that a machine that joins later finds work.
_PER_SLOT = 2
#: Options that the functions set themselves.
_OURS = ("shard", "restart", "no_resume", "report", "cuts_out", "confidence")


def interpolate(
    clip: Path,
    out: Path,
    *,
    shards: int | str = "auto",
    address: str | None = None,
    num_cpus: float | None = None,
    num_gpus: float | None = None,
    retries: int = 3,
    place: str | None = None,
    progress: Progress | None = None,
    **options: Unpack[VideoOptions],
) -> dict[str, Any]:
    """Raises a video's frame rate on the machines of a Ray cluster: the bytes of `rife.video` on one of them.

    Every machine needs this package. A task whose machine or process is lost is started again, and goes on from its last
    segment where its folder is still at hand. After an error the same call goes on with the shards that are complete.

    Args:
        clip: the video, at a path that all machines see.
        out: the result; unless `place` is given, its folder is one that all machines see.
        shards: number of tasks, or `"auto"`: two for each that can run at a time, at most one for each segment.
        address: the cluster, as for `ray.init`; unless given, the one that is connected, or a new one on this machine.
        num_cpus: processors, and threads, of each task (those of the smallest machine unless given).
        num_gpus: GPUs of each task (1 where `device` is a GPU).
        retries: how often a lost task is started again.
        place: URL of a folder in an object store, which fsspec opens: the clip is read from there if it is a URL of fsspec,
            too, tasks work in a local folder, and put their shards there.
        progress: called with the number of frames done and of all frames, which may be None.
        options: those of `rife.video`, such as `factor=2` or `fps=60`.

    Returns:
        As `rife.video`, and `shards`, their number.

    Raises:
        RifeError: of a task or of the join, by its kind.
        ray.exceptions.RayError: a task was lost more often than `retries`.
    """
    given = _checked(options)
    if not ray.is_initialized():
        ray.init(address=address, log_to_driver=False)
    device = str(given.get("device", "cpu"))
    gpus = num_gpus if num_gpus is not None else float(device.startswith("gpu"))
    cpus = num_cpus if num_cpus is not None else _smallest()
    given.setdefault("threads", max(1, int(cpus)))
    local = clip if place is None else _fetched(str(clip), tempfile.gettempdir())
    plan = _jobs.probe(local, **_of(given, InfoOptions))["plan"]
    count = _count(shards, plan, given, cpus, gpus)
    done = _run(clip, out, given, count, {"num_cpus": cpus, "num_gpus": gpus, "max_retries": retries}, place, plan, progress)
    if place is not None:
        for shard in range(1, count + 1):
            _get(place, _folder(out, shard, count), LocalPath(out).absolute().parent)
    result = _jobs.join(local, out, **_of(given, JoinOptions))
    if progress is not None:
        progress(result["frames_out"], result["frames_out"])
    return {**result, "shards": done}


def _checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """Checks the options."""
    for name in _OURS:
        if name in options:
            raise UsageError(f"{name} is not accepted with rife.ray", "usage")
    return dict(options)


def _smallest() -> float:
    """The number of processors of the cluster's smallest machine that has any."""
    counts = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
    return min((count for count in counts if count > 0), default=1)


def _of(given: Mapping[str, Any], types: Any) -> dict[str, Any]:
    """Those of the options that a command has."""
    return {name: value for name, value in given.items() if name in types.__annotations__}


def _count(shards: int | str, plan: Mapping[str, Any], given: Mapping[str, Any], cpus: float, gpus: float) -> int:
    """The number of shards."""
    if isinstance(shards, int):
        if not 1 <= shards <= 10_000:
            raise UsageError(f"shards is {shards}: it is from 1 to 10000, or 'auto'", "usage")
        return shards
    if shards != "auto":
        raise UsageError(f"shards is {shards!r}: it is from 1 to 10000, or 'auto'", "usage")
    total = ray.cluster_resources()
    slots = total.get("CPU", 1) / cpus if cpus else total.get("GPU", 1) / max(gpus, 1)
    count = max(1, int(_PER_SLOT * slots))
    frames = plan.get("output_frames")
    return min(count, -(-frames // int(given.get("segment_frames") or _SEGMENT))) if frames else count


#: Frames of a segment, unless given.
_SEGMENT = 250


class _Counter:
    """Frames done by each shard: each counts those that others compute, too."""

    def __init__(self) -> None:
        self.done: dict[int, int] = {}

    def set(self, shard: int, done: int) -> None:
        """Sets a shard's number of frames."""
        self.done[shard] = done

    def sum(self) -> int:
        """All shards' frames."""
        return sum(self.done.values())


def _shard(
    clip: str, out: str, shard: int, count: int, options: dict[str, Any], place: str | None, counter: Any
) -> int:
    """Computes a shard; returns its number."""

    def report(done: int, total: int | None) -> None:
        counter.set.remote(shard, done)

    if place is None:
        _jobs.video(clip, out, shard=f"{shard}/{count}", progress=report, **options)
        return shard
    with tempfile.TemporaryDirectory(prefix="rife-") as folder:
        local = os.path.join(folder, os.path.basename(out))
        _jobs.video(_fetched(clip, folder), local, shard=f"{shard}/{count}", progress=report, **options)
        _put(os.path.join(folder, _folder(local, shard, count)), place)
    return shard


def _run(
    clip: Path,
    out: Path,
    given: dict[str, Any],
    count: int,
    resources: dict[str, Any],
    place: str | None,
    plan: Mapping[str, Any],
    progress: Progress | None,
) -> int:
    """Runs all shards; returns their number. Cancels the others if one fails."""
    counter = ray.remote(num_cpus=0)(_Counter).remote()
    task = ray.remote(_shard).options(**resources, name="rife-shards")
    source = str(clip) if place is not None else os.path.abspath(clip)
    target = os.path.abspath(out)
    left = [task.remote(source, target, shard, count, given, place, counter) for shard in range(1, count + 1)]
    tasks = list(left)
    try:
        while left:
            ready, left = ray.wait(left, num_returns=len(left), timeout=_INTERVAL)
            ray.get(ready)
            if progress is not None:
                progress(ray.get(counter.sum.remote()) // count, plan.get("output_frames"))
    except BaseException:
        for pending in left:
            ray.cancel(pending, force=True)
        raise
    finally:
        ray.kill(counter)
    return len(tasks)


def _folder(out: Path, shard: int, count: int) -> str:
    """The name of a shard's folder."""
    return f"{os.path.basename(out)}.rife-shard-{shard}-of-{count}"


def _fetched(clip: str, folder: str) -> str:
    """The path of a clip, copied to a folder if it is a URL."""
    if "://" not in clip:
        return os.path.abspath(clip)
    fsspec: Any = importlib.import_module("fsspec")

    local = os.path.join(folder, os.path.basename(clip))
    fsspec.filesystem(clip.partition("://")[0]).get(clip, local)
    return local


def _put(folder: str, place: str) -> None:
    """Copies a shard's folder to the object store."""
    fsspec: Any = importlib.import_module("fsspec")

    store, root = fsspec.core.url_to_fs(place)
    store.makedirs(root, exist_ok=True)
    store.put(folder, f"{root}/{os.path.basename(folder)}", recursive=True)


def _get(place: str, name: str, folder: LocalPath) -> None:
    """Copies a shard's folder from the object store."""
    fsspec: Any = importlib.import_module("fsspec")

    store, root = fsspec.core.url_to_fs(place)
    store.get(f"{root}/{name}", str(folder / name), recursive=True)
