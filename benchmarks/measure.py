"""Times in turns, memory in fresh processes, tables in Markdown."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[1]
MB = 1e6


def clock() -> float:
    """Seconds: the processor's own on one thread, which other programs hardly stretch, or else the wall's."""
    return time.process_time() if os.environ.get("OMP_NUM_THREADS") == "1" else time.perf_counter()


def in_turns(cases: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every case, A B C A B C: what slows the machine down for a while slows them all.

    On one thread (OMP_NUM_THREADS=1) the processor's own time counts, which other programs hardly stretch.
    """
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(rounds):
        for name, work in cases.items():
            start = clock()
            work()
            seconds[name].append(clock() - start)
            say(f"  {turn + 1}/{rounds} {name}: {seconds[name][-1]:.3f} s")
    return seconds


def ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    """How many times faster: the median over the rounds, each compared with its neighbour."""
    return median(a / b for a, b in zip(slow, fast, strict=True))


def peak_beyond(work: Callable[[], object]) -> float:
    """MB that ``work`` needs at its peak beyond what is resident before; nan where the system cannot tell."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not status.exists():
        return float("nan")
    gc.collect()
    reset.write_text("5")  # the peak starts again at what is resident now
    before = _kilobytes(status, "VmRSS")
    work()
    return (_kilobytes(status, "VmHWM") - before) * 1024 / MB


def _kilobytes(status: Path, field: str) -> int:
    line = next(line for line in status.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1])


def fresh(module: str, *arguments: object) -> Any:
    """What ``python -m benchmarks.MODULE --child ...`` prints as its last line, read as JSON."""
    words = [sys.executable, "-m", f"benchmarks.{module}", "--child", *map(str, arguments)]
    done = subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; the first column is text, the others numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def say(text: str) -> None:
    """Progress, apart from the Markdown on stdout."""
    print(text, file=sys.stderr, flush=True)
