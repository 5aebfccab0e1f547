"""The ComfyUI node, as ComfyUI loads and calls it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from generate_frames import moving_box

torch = pytest.importorskip("torch", reason="torch is not installed")


@pytest.fixture(scope="module")
def package() -> ModuleType:
    """The custom node's package, imported from its folder as ComfyUI does."""
    folder = Path(__file__).parents[1] / "comfyui"
    spec = importlib.util.spec_from_file_location("custom_nodes_rife", folder / "__init__.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def run(package: ModuleType, name: str, links: dict[str, Any]) -> Any:
    """Runs a node as ComfyUI's executor: missing widgets have their defaults, values are checked, the result is a tuple."""
    node = package.NODE_CLASS_MAPPINGS[name]
    inputs = {}
    for group in node.INPUT_TYPES().values():
        for key, (kind, *details) in group.items():
            inputs[key] = links[key] if key in links else details[0]["default"]
            if isinstance(kind, list):
                assert inputs[key] in kind
    result = getattr(node(), node.FUNCTION)(**inputs)
    assert isinstance(result, tuple) and len(result) == len(node.RETURN_TYPES)
    return result


def images(count: int) -> Any:
    """A batch of images as ComfyUI's loaders make them."""
    return torch.from_numpy(np.stack([moving_box(96, 64, 8 + 4 * i) for i in range(count)]).astype(np.float32) / 255)


def test_the_node_interpolates_a_batch(package: ModuleType) -> None:
    assert package.NODE_CLASS_MAPPINGS.keys() == package.NODE_DISPLAY_NAME_MAPPINGS.keys() == {"RIFE VFI"}
    frames = images(5)
    (result,) = run(package, "RIFE VFI", {"frames": frames, "multiplier": 3})
    assert result.shape == (13, 64, 96, 3) and result.dtype == torch.float32 and result.device.type == "cpu"
    assert torch.allclose(result[::3], frames, atol=1e-6)
    assert 0 <= result.min() and result.max() <= 1
    columns = [float(np.argwhere(frame[24:32, :, 0].numpy() > 0.6)[:, 1].mean()) for frame in result]
    assert columns == sorted(columns) and len(set(columns)) > 8


def test_one_image_and_other_layouts(package: ModuleType) -> None:
    frames = images(3)
    (one,) = run(package, "RIFE VFI", {"frames": frames[:1]})
    assert torch.equal(one, frames[:1])
    half = frames.half().permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)
    (result,) = run(package, "RIFE VFI", {"frames": half, "scale_factor": 0.5})
    assert result.shape == (5, 64, 96, 3) and torch.allclose(result[::2], half.float(), atol=1e-6)
    with pytest.raises(ValueError, match="N above 0"):
        run(package, "RIFE VFI", {"frames": frames[:0]})
