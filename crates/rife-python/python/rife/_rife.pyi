"""The native module (crates/rife-python)."""

from collections.abc import Callable, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

__all__ = ["VERSION", "CancelToken", "Model", "Stream", "commands", "dis_prior", "main", "model_options", "run"]

VERSION: str

@final
class CancelToken:
    """A token that stops a job from any thread."""

    def __new__(cls) -> CancelToken: ...
    def cancel(self) -> None:
        """Stops the jobs that have this token: they raise `rife.Cancelled`."""

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""

@final
class Model:
    def __new__(cls, options: Sequence[tuple[str, str]]) -> Model: ...
    def interpolate(
        self,
        first: NDArray[Any],
        second: NDArray[Any],
        times: Sequence[tuple[int, int]],
        results: Sequence[NDArray[Any]],
        bgr: bool,
    ) -> None: ...
    def describe(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def engine(self) -> str: ...

@final
class Stream:
    def __new__(cls, model: Model, options: Sequence[tuple[str, str]], confidence: bool) -> Stream: ...
    def push(self, frame: NDArray[Any], time: tuple[int, int], bgr: bool) -> None: ...
    def finish(self) -> None: ...
    def next(self) -> tuple[tuple[int, int], tuple[int, int], bool, float | None] | None: ...
    def take(self, result: NDArray[Any], bgr: bool) -> None: ...

def main(args: Sequence[str]) -> int: ...
def run(args: Sequence[str], cancel: CancelToken, listener: Callable[[str, bool], object]) -> None: ...
def commands() -> str: ...
def model_options() -> str: ...
def dis_prior(
    first: NDArray[np.float32], second: NDArray[np.float32], times: NDArray[np.float32], options: str
) -> NDArray[np.float32]:
    """Dense inverse search for tools/train_twin.py: velocities [n, 4, height, width] at `times` [n] between images
    [n, 3, height, width]."""
