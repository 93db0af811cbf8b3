"""Print the tests that, in little time, reach nearly every line of the package that a longer run reached.

python scripts/lowest_tests.py COVERAGE_DATA JUNIT_XML

Both are of one run of ``pytest --cov=napari_samv1 --cov-context=test --junitxml=JUNIT_XML``, as in
`make lowest`.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Mapping
from xml.etree import ElementTree

import coverage

# of a test that is timed as none
LEAST_SECONDS = 0.05
# a test that adds fewer is left out: three quarters of the time for one line of 70
LEAST_LINES_A_SECOND = 2
Lines = frozenset[tuple[str, int]]


def lines_reached(path: str) -> dict[str, Lines]:
    """Lines that each test reaches, in its fixtures too."""
    data = coverage.CoverageData(path)
    data.read()
    reached = defaultdict(set)
    for file in data.measured_files():
        for line, contexts in data.contexts_by_lineno(file).items():
            # "" is what is imported, a context is "test|setup", "test|run" or "test|teardown"
            for context in filter(None, contexts):
                reached[context.rsplit("|", 1)[0]].add((file, line))
    return {test: frozenset(lines) for test, lines in reached.items()}


def seconds_taken(path: str) -> dict[str, float]:
    """Seconds of each test, with its fixtures."""
    cases = ElementTree.parse(path).getroot().iter("testcase")
    return {
        f"{case.attrib['classname'].replace('.', '/')}.py::{case.attrib['name']}": float(case.attrib["time"])
        for case in cases
    }


def cover(reached: Mapping[str, Lines], seconds: Mapping[str, float]) -> list[str]:
    """Choose tests by the lines that they add per second, then drop what later ones make needless."""
    cost = {test: max(seconds[test], LEAST_SECONDS) for test in reached}
    left, chosen = frozenset().union(*reached.values()), []
    # in the order of their names, so that of equal ones the same is chosen each time
    candidates = dict(sorted(reached.items()))
    while left:
        best = max(candidates, key=lambda test: len(candidates[test]) / cost[test])
        if len(candidates[best]) < LEAST_LINES_A_SECOND * cost[best]:
            break
        chosen.append(best)
        left -= candidates.pop(best)
        candidates = {test: lines & left for test, lines in candidates.items() if lines & left}
    times = Counter(line for test in chosen for line in reached[test])
    for test in sorted(chosen, key=cost.__getitem__, reverse=True):
        if all(times[line] > 1 for line in reached[test]):
            chosen.remove(test)
            times.subtract(reached[test])
    return sorted(chosen)


if __name__ == "__main__":
    print(*cover(lines_reached(sys.argv[1]), seconds_taken(sys.argv[2])), sep="\n")
