"""Time and memory as the work grows: larger images, more prompts, on one and two threads."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch

from benchmarks.decode import asked
from benchmarks.implementations import Ours, random_network
from benchmarks.measure import fresh, peak_beyond, say, table
from napari_samv1.model import VIT_B

PLOT = Path(__file__).parent / "growth.svg"
Measured = dict[tuple[str, int, int], tuple[float, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sides", type=int, nargs="+", default=[512, 1024, 1536, 2048])
    parser.add_argument("--prompts", type=int, nargs="+", default=[1, 4, 16, 64, 256, 1024])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--child", nargs=3, metavar=("WORK", "AMOUNT", "THREADS"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child is not None:
        work, amount, threads = chosen.child
        print(json.dumps(measure(work, int(amount), int(threads))))
    else:
        print(compare({"encode": chosen.sides, "decode": chosen.prompts}, chosen.threads))


def measure(work: str, amount: int, threads: int) -> tuple[float, float]:
    """Seconds and MB beyond the weights: of an image of that side, or of that many prompts at once."""
    torch.set_num_threads(threads)
    ours = Ours(random_network(VIT_B))
    ours.encode(torch.zeros(1, 3, 64, 64))  # starts the threads
    started = time.perf_counter()
    if work == "encode":
        pixels = torch.randn(1, 3, amount, amount)
        megabytes = peak_beyond(lambda: ours.encode(pixels))
    else:
        image = ours.image(torch.randn(1, 256, 64, 64))
        ours.predict(image, asked(1, points=1))
        prompts = asked(amount, points=1)
        started = time.perf_counter()
        megabytes = peak_beyond(lambda: ours.predict(image, prompts))
    return time.perf_counter() - started, megabytes


def compare(amounts: dict[str, list[int]], threads: list[int]) -> str:
    """The Markdown table; the plot is written beside this file where matplotlib is at hand."""
    measured: Measured = {}
    for work, sizes in amounts.items():
        for count in threads:
            for amount in sizes:
                seconds, megabytes = measured[work, amount, count] = fresh("growth", work, amount, count)
                say(f"  {work} {amount}, {count} threads: {seconds:.2f} s, {megabytes:.0f} MB")
    rows = []
    for work, sizes in amounts.items():
        for amount in sizes:
            own = [measured[work, amount, count] for count in threads]
            what = f"encode {amount} x {amount}" if work == "encode" else f"decode {amount}"
            rows.append((what, *(f"{seconds:.2f}" for seconds, _ in own), f"{own[-1][1]:.0f}"))
    plot(measured, amounts, threads)
    head = ("work", *(f"seconds, threads: {count}" for count in threads), "MB beyond the weights")
    return table(head, rows)


def plot(measured: Measured, amounts: dict[str, list[int]], threads: list[int]) -> None:
    """Time and memory of both kinds of work, with more threads by a model: t = a + b / threads."""
    try:
        from matplotlib import pyplot
    except ImportError:
        say("  no plot: matplotlib is not installed")
        return
    figure, axes = pyplot.subplots(2, 2, figsize=(9, 6), layout="constrained", sharex="col")
    for column, (work, sizes) in enumerate(amounts.items()):
        times, memory = axes[:, column]
        for count in threads:
            label = f"{count} thread{'s' if count > 1 else ''}"
            times.plot(sizes, [measured[work, size, count][0] for size in sizes], "o-", label=label)
        if threads == [1, 2]:
            for count in (4, 8):
                modelled = [_modelled(measured, work, size, count) for size in sizes]
                times.plot(sizes, modelled, "--", label=f"{count} threads, by a model")
        memory.plot(sizes, [measured[work, size, threads[-1]][1] for size in sizes], "o-", color="black")
        times.set(yscale="log", ylabel="seconds", title=f"{work}, ViT-B, float32")
        memory.set(yscale="log", ylabel="MB beyond the weights")
        memory.set(xlabel="side of the image in pixels" if work == "encode" else "prompts at once")
        for one in (times, memory):
            one.set_xscale("log", base=2)
            one.set_xticks(sizes, [str(size) for size in sizes])
            one.grid(alpha=0.3)
        times.legend(frameon=False)
    figure.savefig(PLOT, metadata={"Date": None})


def _modelled(measured: Measured, work: str, amount: int, threads: int) -> float:
    one, two = (measured[work, amount, count][0] for count in (1, 2))
    parallel = min(max(2 * (one - two), 0.0), one)
    return one - parallel + parallel / threads


if __name__ == "__main__":
    main()
