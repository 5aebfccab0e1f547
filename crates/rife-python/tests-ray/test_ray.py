"""`rife.ray` on a Ray cluster of three nodes on this machine."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import ray
import rife
import rife.ray
from ray.cluster_utils import Cluster

#: Options of all jobs: many segments, so that every shard has several.
OPTIONS = {"factor": 4, "segment_frames": 16}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head that runs no task, and two nodes of one processor each."""
    os.environ["RAY_memory_monitor_refresh_ms"] = "0"
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 80 << 20})
    for _ in range(2):
        cluster.add_node(num_cpus=1, object_store_memory=80 << 20)
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Y4M clip of 40 frames of 160x96 with moving waves."""
    path = tmp_path_factory.mktemp("clip") / "clip.y4m"
    y, x = np.mgrid[:96, :160]
    with path.open("wb") as file:
        file.write(b"YUV4MPEG2 W160 H96 F10:1 Ip A1:1 C444\n")
        for frame in range(40):
            wave = 128 + 90 * np.sin(0.1 * (x + 3 * frame) + 0.05 * y)
            file.write(b"FRAME\n" + 3 * wave.astype(np.uint8).tobytes())
    return path


@pytest.fixture(scope="module")
def alone(clip: Path) -> str:
    """Hash of the result of one machine."""
    rife.video(clip, clip.with_name("alone.mkv"), **OPTIONS)
    return digest(clip.with_name("alone.mkv"))


def digest(path: Path) -> str:
    """Hash of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def workers() -> list[int]:
    """Processes of this machine that run a shard now: Ray gives them the task's name."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            title = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if title.startswith(b"ray::rife-shards"):
            found.append(int(folder.name))
    return found


def test_the_bytes_of_one_machine(cluster: Cluster, clip: Path, alone: str) -> None:
    calls: list[tuple[int, int | None]] = []
    out = clip.with_name("smooth.mkv")
    done = rife.ray.interpolate(clip, out, progress=lambda *call: calls.append(call), **OPTIONS)
    assert done["shards"] == 4 and done["frames_out"] == 160
    assert digest(out) == alone
    done_so_far = [call[0] for call in calls]
    assert calls[-1] == (160, 160) and done_so_far == sorted(done_so_far)
    assert not list(clip.parent.glob("*.rife-shard-*"))


def test_a_killed_worker_and_a_late_node(cluster: Cluster, clip: Path, alone: str) -> None:
    out = clip.with_name("disturbed.mkv")
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(rife.ray.interpolate, clip, out, shards=6, **OPTIONS)
        deadline = time.monotonic() + 60
        while not (running := workers()) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)
        os.kill(running[0], signal.SIGKILL)
        late = cluster.add_node(num_cpus=1, object_store_memory=80 << 20)
        done = job.result()
    assert done["shards"] == 6 and digest(out) == alone
    nodes = {node["NodeID"]: node["Alive"] for node in ray.nodes()}
    assert nodes[late.node_id] and len(nodes) == 4


def test_segments_in_an_object_store(cluster: Cluster, clip: Path, alone: str, tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    store = f"file://{tmp_path}/store"
    out = tmp_path / "out.mkv"
    done = rife.ray.interpolate(f"file://{clip}", out, shards=2, place=store, **OPTIONS)
    assert done["shards"] == 2 and digest(out) == alone


def test_errors_of_tasks_are_those_of_the_package(cluster: Cluster, clip: Path) -> None:
    with pytest.raises(rife.UsageError, match="factor"):
        rife.ray.interpolate(clip, clip.with_name("none.mkv"), factor=0)
    with pytest.raises(rife.InputError):
        rife.ray.interpolate(clip.with_name("missing.y4m"), clip.with_name("none.mkv"))
    with pytest.raises(rife.OutputError):
        rife.ray.interpolate(clip, clip.with_name("alone.mkv"), **OPTIONS)
    for wrong in (0, "many"):
        with pytest.raises(rife.UsageError, match="shards is"):
            rife.ray.interpolate(clip, clip.with_name("none.mkv"), shards=wrong)
    with pytest.raises(rife.UsageError, match="shard is not accepted"):
        rife.ray.interpolate(clip, clip.with_name("none.mkv"), shard="1/2")


def test_the_code_of_the_documentation_runs(cluster: Cluster, clip: Path) -> None:
    page = Path(__file__).parents[3] / "docs/scale.md"
    (block,) = re.findall(r"```py\n(.*?)```", page.read_text(), re.DOTALL)
    out = clip.with_name("documented.mkv")
    exec(block.replace("/shared/clip.mp4", str(clip)).replace("/shared/smooth.mkv", str(out)), {})
    assert out.is_file()
