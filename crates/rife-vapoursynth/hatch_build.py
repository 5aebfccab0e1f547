"""Build hook of the wheel: compiles the plugin with cargo and puts it where VapourSynth looks for plugins.

RIFE_VAPOURSYNTH_LIBRARY names a plugin that is compiled already, RIFE_VAPOURSYNTH_PLATFORM the wheel's platform tag, such as
`manylinux_2_28_x86_64` for one that was compiled for glibc 2.28.
"""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PluginHook(BuildHookInterface):
    """Adds the plugin to the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        library = os.environ.get("RIFE_VAPOURSYNTH_LIBRARY") or self.compile()
        build_data["force_include"][library] = f"vapoursynth/plugins/{Path(library).name}"
        build_data["pure_python"] = False
        platform = os.environ.get("RIFE_VAPOURSYNTH_PLATFORM") or sysconfig.get_platform()
        build_data["tag"] = f"py3-none-{platform.replace('-', '_').replace('.', '_')}"

    def compile(self) -> str:
        """Runs cargo; returns the plugin's path."""
        command = ["cargo", "build", "--release", "--lib", "--message-format=json-render-diagnostics"]
        done = subprocess.run(command, cwd=self.root, check=True, stdout=subprocess.PIPE, text=True)
        for line in done.stdout.splitlines():
            message = json.loads(line)
            if message.get("reason") == "compiler-artifact" and message["target"]["name"] == "rife_vapoursynth":
                return next(name for name in message["filenames"] if name.endswith((".so", ".dylib", ".dll")))
        raise RuntimeError("cargo built no plugin")
