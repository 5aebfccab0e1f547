"""Jobs on files, the command line, and `rife_app`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import rife
from rife_app.run_interpolation import main_interpolate


def test_video_with_progress_and_manifest(folder: Path) -> None:
    calls: list[tuple[int, int | None]] = []
    done = rife.video("clip.y4m", Path("out.y4m"), fps=25, manifest=True, progress=lambda *call: calls.append(call))
    assert done["frames_out"] == 15 and done["plan"]["width"] == 96
    assert done["output"] == "out.y4m" and Path("out.y4m").is_file()
    assert calls and calls[-1] == (15, 15)
    assert rife.verify("out.y4m")["ok"]
    with Path("out.y4m").open("r+b") as file:
        file.seek(1000)
        file.write(b"x")
    wrong = rife.verify("out.y4m")
    assert not wrong["ok"] and any(check["verdict"] == "wrong" for check in wrong["checks"])
    assert rife.probe("clip.y4m", factor=3)["plan"]["output_rate"] == "30"


def test_equal_to_the_command_line(folder: Path) -> None:
    rife.video("clip.y4m", "a.y4m", factor=3, cut_threshold=0, mask_static="off")
    run = [sys.executable, "-m", "rife", "video", "clip.y4m", "-o", "b.y4m", "--factor", "3", "--cut-threshold", "0"]
    subprocess.run([*run, "--mask-static", "off"], check=True, capture_output=True)
    assert Path("a.y4m").read_bytes() == Path("b.y4m").read_bytes()


def test_errors_by_kind(folder: Path) -> None:
    Path("there.y4m").write_bytes(b"")
    for kind, code, call in (
        (rife.InputError, "bad_data", lambda: rife.video("missing.y4m", "x.y4m")),
        (rife.OutputError, "output_exists", lambda: rife.video("clip.y4m", "there.y4m")),
        (rife.UsageError, "usage", lambda: rife.video("clip.y4m", "x.y4m", factor=0)),
        (rife.UsageError, "usage", lambda: rife.video("clip.y4m", "x.y4m", factor=[1, 2, 3])),  # type: ignore
        (rife.UsageError, "usage", lambda: rife.video("clip.y4m", "-")),
        (rife.UsageError, "usage", lambda: rife.chain("clip.y4m", "x.mp4")),
        (rife.ModelError, "no_model", lambda: rife.video("clip.y4m", "x.y4m", model="none")),
    ):
        with pytest.raises(kind) as caught:
            call()
        assert caught.value.code == code, caught.value
    with pytest.raises(TypeError, match="did you mean 'factor'"):
        rife.video("clip.y4m", factr=2)  # type: ignore[call-arg]
    assert not Path("x.y4m").exists()


def large_clip() -> str:
    """Writes a clip of moving waves whose interpolation by 100 takes seconds on any machine; returns its name."""
    y, x = np.mgrid[:384, :640]
    text = b"YUV4MPEG2 W640 H384 F10:1 Ip A1:1 C444\n"
    for frame in range(6):
        wave = 128 + 90 * np.sin(0.1 * (x + 3 * frame) + 0.05 * y)
        text += b"FRAME\n" + 3 * wave.astype(np.uint8).tobytes()
    Path("large.y4m").write_bytes(text)
    return "large.y4m"


def test_cancel_from_another_thread_and_by_an_exception(folder: Path) -> None:
    token = rife.CancelToken()
    assert not token.cancelled
    threading.Timer(0.05, token.cancel).start()
    with pytest.raises(rife.Cancelled) as caught:
        rife.video(large_clip(), "out.y4m", factor=100, cancel=token)
    assert caught.value.exit_code == 130 and token.cancelled

    def fail(done: int, total: int | None) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        rife.video("clip.y4m", "out.y4m", factor=100, progress=fail)
    assert not Path("out.y4m").exists()


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
def test_ctrl_c(folder: Path) -> None:
    # A shell starts what it runs in the background with this signal ignored, and Python leaves that so.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        rife.video(large_clip(), "out.y4m", factor=100, no_resume=True)
    assert not Path("out.y4m").exists()


def test_command_line(folder: Path) -> None:
    command = Path(sys.executable).with_name("rife")
    for program in ([str(command)], [sys.executable, "-m", "rife"]):
        said = subprocess.run([*program, "--version"], capture_output=True, text=True)
        assert said.returncode == 0 and said.stdout.startswith(f"rife {rife.__version__}")
        wrong = subprocess.run([*program, "video", "missing.y4m"], capture_output=True, text=True)
        assert wrong.returncode == 3 and "missing.y4m" in wrong.stderr
        assert subprocess.run([*program, "video", "--nothing"], capture_output=True).returncode == 2


def probe_rate(path: str) -> str:
    """Returns a file's frame rate."""
    return str(rife.probe(path)["plan"]["input_rate"])


def test_the_snippets_of_the_guide(mp4: Path) -> None:
    # Word for word as in the guide's "API Integration".
    Path("input.mp4").write_bytes(Path("clip.mp4").read_bytes())
    from rife_app.run_interpolation import main_interpolate

    result = main_interpolate(
        input_video_path="input.mp4",
        output_dir_path="./output/",
        exp=1,  # 2X interpolation
        use_fp16=True
    )
    assert result.startswith("./output/interpolated_video_") and probe_rate(result) == "20"

    # Main integration point in gradio_app.py
    from rife_app.run_interpolation import main_interpolate as run_video_interpolation

    def interpolate_video(input_video, exp_factor):  # type: ignore[no-untyped-def]
        return run_video_interpolation(
            input_video_path=input_video,
            output_dir_path="./temp_gradio/interpolated_videos/",
            exp=exp_factor,
            use_fp16=True
        )

    result = interpolate_video("input.mp4", 2)
    plan = rife.probe(result)
    assert plan["plan"]["input_frames"] == 24 and probe_rate(result) == "40"
    assert [stream["kind"] for stream in plan["media"]["streams"]] == ["video", "audio"]


def test_main_interpolate(mp4: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = main_interpolate("clip.mp4", "out"), main_interpolate("clip.mp4", "out")
    assert first != second and os.path.dirname(first) == "out" and os.path.isfile(second)
    assert second in capsys.readouterr().out
    for wrong in ({"exp": -1}, {"exp": 99}):
        with pytest.raises(rife.UsageError):
            main_interpolate("clip.mp4", "out", **wrong)
    with pytest.raises(rife.InputError):
        main_interpolate("missing.mp4", "new")
    assert os.listdir("new") == []
