"""Run all benchmarks of the CPU, or those that are named; print them and write ``results.md``."""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.measure import ROOT, say

RESULTS = Path(__file__).parent / "results.md"
NAMES = (
    "encode",
    "decode",
    "everything",
    "to_pixels",
    "objects",
    "bulk",
    "start",
    "accuracy",
    "any_size",
    "window",
    "growth",
    "gpu",
)
FOR_GPUS = frozenset({"gpu"})
"""These run only where they are named."""

PACKAGES = ("torch", "segment-anything-py", "transformers", "napari", "numpy")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(NAMES):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; choose from {', '.join(NAMES)}")
    status = 0
    sections = read(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in chosen.names or [name for name in NAMES if name not in FOR_GPUS]:
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}"], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        if done.returncode:
            # what it found all the same
            print(done.stdout.strip(), flush=True)
            say(f"{name} failed; its last results stay")
            status = 1
            continue
        print(done.stdout.strip(), flush=True)
        sections[name] = f"{machine()}\n\n{done.stdout.strip()}"
        RESULTS.write_text(written(sections))
    return status


def read(text: str) -> dict[str, str]:
    """The sections of ``results.md`` by name."""
    _, *parts = re.split(r"^## (\w+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[::2], (part.strip() for part in parts[1::2]), strict=True))


def written(sections: dict[str, str]) -> str:
    """The whole of ``results.md``."""
    known = (f"## {name}\n\n{sections[name]}\n" for name in NAMES if name in sections)
    return "\n".join(("# Results\n\nWritten by `make bench`; README.md says what they mean.\n", *known))


def machine() -> str:
    """What the numbers were measured on."""
    cpu = platform.processor() or platform.machine()
    names = Path("/proc/cpuinfo")
    if names.exists() and (found := re.search(r"^model name\s*: (.*)$", names.read_text(), re.MULTILINE)):
        cpu = found[1]
    packages = []
    for name in PACKAGES:
        try:
            packages.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return f"{cpu}, {os.cpu_count()} cores; Python {platform.python_version()}, {', '.join(packages)}."


if __name__ == "__main__":
    raise SystemExit(main())
