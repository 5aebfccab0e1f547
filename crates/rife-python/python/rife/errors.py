"""Exceptions, by who has to act; each has the exit code of the command line."""

from __future__ import annotations


class RifeError(Exception):
    """An error of the package. Its text says what was wrong, with which value, and what would be accepted.

    Attributes:
        message: the text.
        code: a short stable identifier, such as `output_exists`.
        hint: the option of the command line that helps, if there is one.
        exit_code: the command line's exit code for errors of this kind.
    """

    exit_code: int = 1

    def __init__(self, message: str, code: str = "failure", hint: str | None = None) -> None:
        super().__init__(message, code, hint)
        self.message = message
        self.code = code
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message} ({self.hint})"


class UsageError(RifeError, ValueError):
    """An argument or a combination of arguments is invalid."""

    exit_code = 2


class InputError(RifeError):
    """The input cannot be read, is damaged, or is of an unsupported kind."""

    exit_code = 3


class OutputError(RifeError):
    """The output cannot be written, exists, or is the input."""

    exit_code = 4


class ModelError(RifeError):
    """The model cannot be found, downloaded or used."""

    exit_code = 5


class Cancelled(RifeError):
    """The job was stopped by a `CancelToken`."""

    exit_code = 130


class Failure(RifeError):
    """Anything else: ffmpeg is missing or died, the disk is full..."""

    exit_code = 1
