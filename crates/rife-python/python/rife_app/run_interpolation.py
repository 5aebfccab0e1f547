"""The original application's function for other programs, such as LatentSync's `gradio_app.py`."""

from __future__ import annotations

import os
import time

import rife

#: Encoding of the original application: H.264, CRF 18, preset slow.
_CRF = 18
_PRESET = "slow"


def main_interpolate(
    input_video_path: str, output_dir_path: str, exp: int = 1, use_fp16: bool = False
) -> str:
    """Multiplies a video's frame rate by 2**exp, with its sound.

    Args:
        input_video_path: the video.
        output_dir_path: the folder of the result; it is created.
        exp: 1 for twice the frame rate, 2 for four times..., up to 6.
        use_fp16: accepted; the processor computes in single precision.

    Returns:
        The result's path: `interpolated_video_{seconds since 1970}.mp4` in the folder.

    Raises:
        rife.RifeError: by its kind; nothing is left in the folder then.
    """
    os.makedirs(output_dir_path, exist_ok=True)
    output = _free_name(output_dir_path)
    print(f"Interpolating {input_video_path}: {2**exp} times the frames (exp={exp})")
    if use_fp16:
        print("FP16: accepted, computed in single precision on the processor")
    done = rife.video(
        input_video_path, output, exp=exp, fp16=use_fp16, crf=_CRF, preset=_PRESET, codec="h264", no_resume=True
    )
    print(f"Total frames for output: {done['frames_out']}")
    for warning in done["warnings"]:
        print(f"Note: {warning}")
    print(f"Video created at {output}")
    return output


def _free_name(folder: str) -> str:
    """Returns the path of a file that is not there, named after the time."""
    stem = os.path.join(folder, f"interpolated_video_{int(time.time())}")
    number = 1
    name = f"{stem}.mp4"
    while os.path.lexists(name):
        number += 1
        name = f"{stem}_{number}.mp4"
    return name
