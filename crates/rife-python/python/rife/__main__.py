"""The command line: `rife` and `python -m rife`."""

from __future__ import annotations

import sys

from . import _rife


def main() -> int:
    """Runs the command line on the process's arguments; returns the exit code."""
    return _rife.main(["rife", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
