"""An image encoded: speed, memory and equality, beside the other implementations."""

from __future__ import annotations

import argparse
import json
from functools import partial
from statistics import median

import torch

from benchmarks.implementations import MAKE, SIZES, difference, random_network
from benchmarks.measure import fresh, in_turns, peak_beyond, ratio, say, table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=list(SIZES), default="vit_b")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--side", type=int, default=1024, help="of the square, in pixels; not 1024: ours alone"
    )
    parser.add_argument("--child", metavar="NAME", choices=list(MAKE), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child is not None:
        print(json.dumps(memory(chosen.child, chosen.size, chosen.side)))
    else:
        print(compare(chosen.size, chosen.rounds, chosen.side))


def compare(size: str, rounds: int, side: int) -> str:
    """The Markdown section."""
    names = list(MAKE) if side == 1024 else [name for name in MAKE if name.startswith("ours")]
    pixels = torch.randn(1, 3, side, side)
    # at native aspect, each side in whole patches
    landscape = pixels[:, :, : round(side / 1.5 / 16) * 16]
    made = {name: MAKE[name](random_network(SIZES[size])) for name in names}
    cases = {name: partial(one.encode, pixels) for name, one in made.items()}
    cases |= {f"{name}, 3:2": partial(made[name].encode, landscape) for name in names[:2]}
    say(f"encode {size}: {rounds} rounds")
    reference = names[-2] if "published" in names else "ours"
    expected = cases[reference]()
    differences = {name: difference(cases[name](), expected) for name in names if name != reference}
    seconds = in_turns(cases, rounds)
    made.clear()
    cases.clear()
    megabytes = {name: fresh("encode", name, "--size", size, "--side", side) for name in names}
    rows = [
        (
            name,
            f"{median(times):.2f}",
            f"{ratio(seconds[reference], times):.2f}",
            f"{megabytes[name]:.0f}" if name in megabytes else "",
            f"{differences[name]:.1e}" if name in differences else "",
        )
        for name, times in seconds.items()
    ]
    head = ("encode", "seconds", f"times the speed of {reference}", "MB beyond the weights", "difference")
    return f"### {size}, {side} x {side} pixels\n\n{table(head, rows)}"


def memory(name: str, size: str, side: int) -> float:
    """Of the first encoding in this process."""
    one = MAKE[name](random_network(SIZES[size]))
    pixels = torch.randn(1, 3, side, side)
    return peak_beyond(lambda: one.encode(pixels))


if __name__ == "__main__":
    main()
