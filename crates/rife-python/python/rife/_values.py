"""Conversion of option values to the texts of the command line."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Mapping
from fractions import Fraction

from .errors import UsageError

#: Largest denominator of a fraction that is made of a float.
_DENOMINATOR = 1_000_000


def fraction(value: float | Fraction | str, name: str) -> Fraction:
    """Converts a number to a fraction; a float to the nearest one with a denominator up to 1 000 000."""
    try:
        exact = Fraction(value)
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        raise UsageError(f"{name} is {value!r}: it is a number or a Fraction", "usage") from None
    return exact.limit_denominator(_DENOMINATOR) if isinstance(value, float) else exact


def text(value: object, name: str) -> str:
    """Returns the text of a value."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int():
            return str(value)
        case float():
            return repr(value)
        case Fraction():
            return f"{value.numerator}/{value.denominator}"
        case (int() as width, int() as height):
            return f"{width}x{height}"
        case os.PathLike():
            return os.fsdecode(value)
    raise UsageError(
        f"{name} is {value!r}: it is a str, a number, a Fraction, a path, or (width, height)", "usage"
    )


def check_names(function: str, names: Collection[str], known: Collection[str]) -> None:
    """Raises `TypeError` for keyword arguments that the function does not have."""
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}{meant}")


def pairs(function: str, options: Mapping[str, object], known: Collection[str]) -> list[tuple[str, str]]:
    """Returns the options that are not None as pairs of name and text."""
    check_names(function, options, known)
    return [(name, text(value, name)) for name, value in options.items() if value is not None]
