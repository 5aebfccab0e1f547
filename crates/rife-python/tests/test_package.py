"""Documentation and generated files."""

from __future__ import annotations

import re
from pathlib import Path

import generate_options
import pytest
import rife.options
from generate_frames import moving_box

ROOT = Path(__file__).parents[3]


def test_the_options_types_are_those_of_the_tables() -> None:
    file = ROOT / "crates/rife-python/python/rife/options.py"
    assert file.read_text() == generate_options.text(), f"write it anew: python {generate_options.__file__} > {file}"


def run_blocks(page: str, names: dict[str, object]) -> int:
    """Runs the Python code of a page in one namespace; returns the number of its blocks."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    for block in blocks:
        exec(compile(block, page, "exec"), names)
    return len(blocks)


def test_the_code_of_the_documentation_runs(mp4: Path) -> None:
    assert run_blocks("docs/python.md", {}) >= 7


def test_the_code_of_the_readme_runs(mp4: Path) -> None:
    a, b = moving_box(96, 64, 20), moving_box(96, 64, 28)
    assert run_blocks("README.md", {"a": a, "b": b}) >= 1


def test_the_readme_of_the_package_runs() -> None:
    import doctest

    assert doctest.testmod(rife).failed == 0


@pytest.mark.parametrize("name", rife.__all__)
def test_everything_public_is_documented(name: str) -> None:
    thing = getattr(rife, name)
    assert name == "__version__" or (thing.__doc__ and thing.__doc__.strip())
