"""The node's class. Tensors become arrays at its edge; all else is the package `rife`."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import rife


@lru_cache(maxsize=1)
def _model(scale_factor: float, ensemble: bool, device: str) -> rife.Model:
    """The model of the last run, kept for the next."""
    return rife.Model(scale=scale_factor, ensemble=ensemble, device=device)


def _comfy(total: int) -> tuple[Callable[[], Any], Callable[[int], Any]]:
    """ComfyUI's check for an interruption, and its progress bar; nothing outside ComfyUI."""
    try:
        from comfy.model_management import throw_exception_if_processing_interrupted
        from comfy.utils import ProgressBar
    except ImportError:
        return lambda: None, lambda done: None
    return throw_exception_if_processing_interrupted, ProgressBar(total).update_absolute


class RifeVfi:
    """Frame interpolation of an image batch: N frames become (N - 1) * multiplier + 1. Cuts are not interpolated."""

    CATEGORY = "video"
    FUNCTION = "interpolate"
    RETURN_TYPES = ("IMAGE",)
    DESCRIPTION = __doc__

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "frames": ("IMAGE", {"tooltip": "Frames in order of time, [N, height, width, 3], 0 to 1"}),
                "multiplier": ("INT", {"default": 2, "min": 1, "max": 256, "tooltip": "Frames per source frame"}),
                "scale_factor": (
                    [0.25, 0.5, 1.0, 2.0, 4.0],
                    {"default": 1.0, "tooltip": "Resolution at which motion is estimated: 0.5 for 4K"},
                ),
                "ensemble": ("BOOLEAN", {"default": False, "tooltip": "Average both directions: twice the time"}),
            },
            "optional": {
                "device": ("STRING", {"default": "cpu", "tooltip": "cpu, gpu, gpu:NAME or auto"}),
            },
        }

    def interpolate(
        self, frames: Any, multiplier: int, scale_factor: float, ensemble: bool, device: str = "cpu"
    ) -> tuple[Any]:
        """Interpolates a batch; memory beyond the result is that of some frames."""
        import torch

        if frames.ndim != 4 or frames.shape[0] == 0:
            raise ValueError(f"frames have the shape {tuple(frames.shape)}; accepted is [N, height, width, 3], N above 0")
        count = (frames.shape[0] - 1) * multiplier + 1
        source = frames.detach().to("cpu", torch.float32)
        result = torch.empty((count, *source.shape[1:]), dtype=torch.float32)
        arrays, made = source.numpy(), result.numpy()
        check, progress = _comfy(count)
        model = _model(float(scale_factor), ensemble, device)
        stream = rife.stream(arrays, multiplier, model=model, duplicates="keep", mask_static="off")
        for number, frame in zip(range(count), stream):
            check()
            made[number] = frame.image
            progress(number + 1)
        return (result,)
