"""Hatch build: compiles the encoder in C when the package is installed; without a compiler it is left out."""

import os
import platform
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path("services/classifier/engine/native/encoder.c")
# A fixed set of instructions, asked for at run time: the wheel is the same wherever it is built.
MACHINE = ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vnni", "-mfma"]
FLAGS = ["-O3", "-ffp-contract=off", "-fvisibility=hidden", "-shared", "-fPIC", "-Wall", "-Wextra"]


class EncoderHook(BuildHookInterface[Any]):
    """Puts ``encoder.so`` beside its source, on x86-64."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        if self.target_name != "wheel" or platform.machine().lower() not in {"x86_64", "amd64"}:
            return
        source = Path(self.root, SOURCE)
        library = source.with_suffix(".so")
        compiler = os.environ.get("CC") or next(
            filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None
        )
        if compiler is None:
            self.app.display_warning("no C compiler: the slower encoder (CTranslate2) will be used")
            return
        fresh = library.with_suffix(".new")  # a process that runs keeps the library that it has
        command = [*compiler.split(), *FLAGS, *MACHINE, "-o", str(fresh), str(source)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
        if done.returncode:
            self.app.display_warning(
                f"{source.name} does not compile, CTranslate2 will be used:\n{done.stderr}"
            )
            fresh.unlink(missing_ok=True)
            return
        fresh.replace(library)
        tag = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{tag}"
        build_data["artifacts"].append(str(SOURCE.with_suffix(".so")))
