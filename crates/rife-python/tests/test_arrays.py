"""`rife.Model` on numpy arrays and tensors."""

from __future__ import annotations

import importlib
import importlib.util
import pickle
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import rife
from conftest import need
from generate_frames import moving_box

A, B = moving_box(96, 64, 20), moving_box(96, 64, 28)


def center(frame: Any) -> float:
    """Returns the mean column of the bright pixels."""
    return float(np.argwhere(frame[24:32, :, 0] > 150)[:, 1].mean())


def test_the_box_is_half_way(model: rife.Model) -> None:
    made = model.interpolate(A, B)
    assert made.shape == A.shape and made.dtype == np.uint8
    assert abs(center(made) - (center(A) + center(B)) / 2) < 0.75


def test_times(model: rife.Model) -> None:
    first, quarter, last = model.interpolate(A, B, [0, Fraction(1, 4), 1.0])
    assert (first == A).all() and (last == B).all()
    assert center(A) < center(quarter) < center(model.interpolate(A, B, 0.5))
    for wrong in (-0.1, 1.5, float("nan"), float("inf")):
        with pytest.raises(rife.UsageError, match="t is"):
            model.interpolate(A, B, wrong)


def test_types_agree(model: rife.Model) -> None:
    made = model.interpolate(A, B).astype(np.float32) / 255
    for dtype, scale in ((np.uint16, 257), (np.float16, 1 / 255), (np.float32, 1 / 255)):
        a, b = (A.astype(np.float32) * scale).astype(dtype), (B.astype(np.float32) * scale).astype(dtype)
        other = model.interpolate(a, b)
        assert other.dtype == dtype
        other = other.astype(np.float32) / (65535 if dtype == np.uint16 else 1)
        # Half precision moves the edges of the box a little.
        assert np.abs(other - made).mean() < 1 / 2000
    big = A.astype(">u2") * 257
    assert (model.interpolate(big, big, 0) == big).all()


def test_channels(model: rife.Model) -> None:
    made = model.interpolate(A, B)
    bgr = model.interpolate(A[..., ::-1], B[..., ::-1], order="bgr")
    assert (bgr[..., ::-1] == made).all()
    alpha = np.full((64, 96, 1), 255, np.uint8)
    rgba = model.interpolate(np.concatenate([A, alpha], 2), np.concatenate([B, alpha], 2))
    assert (rgba[..., 3] == 255).all()
    assert np.abs(rgba[..., :3].astype(int) - made).max() <= 1
    grey = model.interpolate(A[..., 0], B[..., 0])
    assert grey.shape == (64, 96)
    assert (model.interpolate(A[..., :1], B[..., :1])[..., 0] == grey).all()
    with pytest.raises(rife.UsageError, match="order is 'xyz'"):
        model.interpolate(A, B, order="xyz")  # type: ignore[call-overload]


def test_strides(model: rife.Model) -> None:
    made = model.interpolate(A, B)
    wide = np.zeros((2, 70, 200, 3), np.uint8)
    wide[0, 3:67, 7:103], wide[1, 3:67, 7:103] = A, B
    assert (model.interpolate(wide[0, 3:67, 7:103], wide[1, 3:67, 7:103]) == made).all()
    flipped = model.interpolate(A[::-1][::-1].copy()[::1], np.asfortranarray(B))
    assert (flipped == made).all()
    upside_down = model.interpolate(A[::-1], B[::-1])
    assert (upside_down == model.interpolate(A[::-1].copy(), B[::-1].copy())).all()
    A.flags.writeable = False
    assert (model.interpolate(A, B) == made).all()
    A.flags.writeable = True
    same = np.broadcast_to(A[:1], A.shape)
    assert (model.interpolate(same, same, 0) == same).all()


def test_batches(model: rife.Model) -> None:
    a, b = np.stack([A, B]), np.stack([B, A])
    made = model.interpolate(a, b)
    assert (made[0] == model.interpolate(A, B)).all() and (made[1] == model.interpolate(B, A)).all()
    halves = model.interpolate(a, b, [0.25, 0.75])
    assert [half.shape for half in halves] == [a.shape, a.shape]
    assert model.interpolate(a[:0], b[:0]).shape == (0, 64, 96, 3)


def test_refused_arrays(model: rife.Model) -> None:
    for a, b in (
        (A, B[:32]),
        (A, B.astype(np.uint16)),
        (A.astype(np.int32), B.astype(np.int32)),
        (A.astype(bool), B.astype(bool)),
        (A[..., :2], B[..., :2]),
        (A[0, 0], B[0, 0]),
        (A[:0], B[:0]),
        (A[:8, :8], B[:8, :8]),
        ([1, 2], [3, 4]),
        (None, None),
    ):
        with pytest.raises(rife.RifeError) as caught:
            model.interpolate(a, b)
        assert caught.value.exit_code in (2, 3)


def test_threads_share_a_model(model: rife.Model) -> None:
    made = model.interpolate(A, B)
    with ThreadPoolExecutor(4) as pool:
        results = pool.map(lambda _: model.interpolate(A, B), range(8))
        assert all((result == made).all() for result in results)


def test_other_tensors_by_dlpack(model: rife.Model) -> None:
    class Tensor:
        """The least that DLPack asks for."""

        def __init__(self, array: Any) -> None:
            self.array = array

        def __dlpack__(self, **options: Any) -> Any:
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self) -> Any:
            return self.array.__dlpack_device__()

    made = model.interpolate(Tensor(A.copy()), Tensor(B.copy()))
    assert (np.asarray(made) == model.interpolate(A, B)).all()


def test_torch(model: rife.Model) -> None:
    need("torch", importlib.util.find_spec("torch") is not None, "torch is not installed")
    torch = importlib.import_module("torch")
    a, b = torch.from_numpy(A.copy()), torch.from_numpy(B.copy())
    made = model.interpolate(a, b)
    assert made.device == a.device and made.dtype == a.dtype
    assert (made.numpy() == model.interpolate(A, B)).all()
    chw = model.interpolate(a.permute(2, 0, 1).contiguous().permute(1, 2, 0), b)
    assert torch.equal(chw, made)


def test_torch_batches_types_and_views(model: rife.Model) -> None:
    need("torch", importlib.util.find_spec("torch") is not None, "torch is not installed")
    torch = importlib.import_module("torch")
    a, b = torch.from_numpy(A.copy()), torch.from_numpy(B.copy())
    made = model.interpolate(A, B)
    batch = model.interpolate(torch.stack([a, b]), torch.stack([b, a]), [0.25, 0.5])
    assert [tuple(part.shape) for part in batch] == [(2, 64, 96, 3)] * 2
    assert (batch[1][0].numpy() == made).all()
    for dtype in (torch.float32, torch.float16):
        first, second = ((frame.to(torch.float32) / 255).to(dtype).requires_grad_() for frame in (a, b))
        result = model.interpolate(first, second)
        assert result.dtype == dtype and not result.requires_grad
        assert np.abs(result.float().numpy() - made / 255).mean() < 1 / 2000
    wide = torch.zeros((70, 200, 3), dtype=torch.uint8)
    wide[3:67, 7:103] = a
    view = wide[3:67, 7:103]
    shared = view.data_ptr()
    assert torch.equal(model.interpolate(view, b), model.interpolate(a, b))
    assert view.data_ptr() == shared and torch.equal(view, a)
    first = model.interpolate(a, b, 0)
    first += 1
    assert torch.equal(a, torch.from_numpy(A)), "the result is a tensor of its own"
    frames = list(rife.stream([a, b], 2, model=model))
    assert isinstance(frames[1].image, torch.Tensor) and (frames[1].image.numpy() == made).all()
    for wrong in (a.to(torch.int32), a.to(torch.bfloat16), a.to_sparse()):
        with pytest.raises(rife.RifeError):
            model.interpolate(wrong, wrong)


def test_models_and_their_options() -> None:
    model = rife.Model(scale=0.5, threads=1, precision="f32", timestep_method="recursive")
    assert "scale 0.5" in repr(model) and "1 thread" in model.engine
    with pytest.raises(rife.UsageError, match='scale is "3"'):
        rife.Model(scale=3)
    with pytest.raises(rife.ModelError) as caught:
        rife.Model("no-such-model")
    assert caught.value.code == "no_model" and caught.value.exit_code == 5
    with pytest.raises(TypeError, match="did you mean 'threads'"):
        rife.Model(thread=1)  # type: ignore[call-arg]
    copy = pickle.loads(pickle.dumps(caught.value))
    assert type(copy) is rife.ModelError and str(copy) == str(caught.value) and copy.code == "no_model"
