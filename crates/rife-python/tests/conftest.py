"""Clips and models that the tests share."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import rife
from generate_frames import moving_box


NEEDS: list[str] = []


def need(kind: str, found: bool, reason: str) -> None:
    """Skips the test without what it needs, or fails it where RIFE_REQUIRE names the kind (docs/testing.md)."""
    NEEDS.append(f"needs {kind}: here" if found else f"skipped ({kind}): {reason}")
    if found:
        return
    required = {word.strip() for word in os.environ.get("RIFE_REQUIRE", "").split(",")}
    if required & {kind, "all"}:
        pytest.fail(f"RIFE_REQUIRE has {kind}, and {reason}")
    pytest.skip(reason)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints what tests needed, one line each, which tools/steps.sh counts."""
    for line in NEEDS:
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def model() -> rife.Model:
    """The default model."""
    return rife.Model(threads=2)


@pytest.fixture(scope="session")
def clip_bytes() -> bytes:
    """A Y4M clip of 6 frames of 96x64 at 10 frames per second, with a moving box."""
    text = b"YUV4MPEG2 W96 H64 F10:1 Ip A1:1 C444\n"
    for frame in range(6):
        grey = moving_box(96, 64, 8 + 4 * frame)[..., 0]
        text += b"FRAME\n" + grey.tobytes() + np.full(2 * 96 * 64, 128, np.uint8).tobytes()
    return text


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clip_bytes: bytes) -> Path:
    """The working directory, with `clip.y4m`."""
    (tmp_path / "clip.y4m").write_bytes(clip_bytes)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def mp4(folder: Path) -> Path:
    """The same with `clip.mp4`, which has sound, and two images."""
    need("ffmpeg", shutil.which("ffmpeg") is not None, "no ffmpeg on PATH")
    sound = ["-f", "lavfi", "-i", "sine=440:d=0.6"]
    run = ["ffmpeg", "-v", "error", "-i", "clip.y4m", *sound, "-pix_fmt", "yuv420p", "clip.mp4"]
    subprocess.run(run, check=True)
    images = ["ffmpeg", "-v", "error", "-i", "clip.y4m", "-frames:v", "2", "image%d.png"]
    subprocess.run(images, check=True)
    (folder / "image1.png").rename("a.png")
    (folder / "image2.png").rename("b.png")
    return folder
