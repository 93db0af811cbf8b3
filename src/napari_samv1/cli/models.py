"""``napari-samv1 models``: list, download, verify."""

from __future__ import annotations

import argparse
import sys
import time

from napari_samv1.checkpoints.errors import CheckpointError
from napari_samv1.cli.failing import fail


def run(words: list[str]) -> int:
    """List, fetch or check models."""
    from napari_samv1.checkpoints.registry import MODELS

    parser = argparse.ArgumentParser(prog="napari-samv1 models", description="List the known models.")
    verbs = parser.add_subparsers(dest="verb", metavar="{download,verify}")
    fetch = verbs.add_parser("download", help="fetch models, continuing unfinished downloads")
    fetch.add_argument("names", nargs="+", metavar="NAME", choices=list(MODELS), help=", ".join(MODELS))
    check = verbs.add_parser("verify", help="check files on disk against the published hashes")
    check.add_argument("name", nargs="?", metavar="NAME", choices=list(MODELS), help="default: all on disk")
    chosen = parser.parse_args(words)
    if chosen.verb == "download":
        return max(_download(name) for name in chosen.names)
    if chosen.verb == "verify":
        return _verify(chosen.name)
    return _list()


def _list() -> int:
    from napari_samv1.checkpoints.download import partial_bytes
    from napari_samv1.checkpoints.folders import models_folder
    from napari_samv1.checkpoints.registry import MODELS

    rows = [("name", "size", "on disk", "licence", "for")]
    for model in MODELS.values():
        part = partial_bytes(model)
        state = "yes" if model.is_on_disk else f"{part / 1e6:.0f} MB of it" if part else "no"
        rows.append((model.name, f"{model.megabytes} MB", state, model.licence, model.summary))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)))
    print(f"\nDownloads are in {models_folder()}")
    return 0


def _download(name: str) -> int:
    from napari_samv1.checkpoints.download import download, partial_bytes
    from napari_samv1.checkpoints.registry import MODELS

    model = MODELS[name]
    if model.is_bundled:
        print(f"{name} comes with the package: nothing to download")
        return 0
    show = _Progress(name)
    try:
        path = download(model, show)
    except KeyboardInterrupt:
        show.end()
        return fail(
            f"{name}: stopped after {partial_bytes(model) / 1e6:.1f} MB; run the same command to continue"
        )
    except CheckpointError:
        show.end()
        raise
    show.end()
    print(f"{path}\n{model.licence}; please cite {model.citation}")
    return 0


def _verify(name: str | None) -> int:
    from napari_samv1.checkpoints.registry import MODELS
    from napari_samv1.checkpoints.verify import verified_sha256

    status = 0
    for model in MODELS.values() if name is None else [MODELS[name]]:
        if not model.is_on_disk:
            if name is not None:
                status = fail(f"{name} is not on disk: {model.path}")
            continue
        try:
            print(f"{model.name}: as published, sha256 {verified_sha256(model, afresh=True)}")
        except CheckpointError as error:
            status = fail(str(error))
    return status


class _Progress:
    """Progress line on stderr: rewritten on a terminal, elsewhere a new one for every tenth."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_terminal = sys.stderr.isatty()
        self.shown_at = 0.0
        self.shown_tenth = -1

    def __call__(self, done: int, total: int | None) -> None:
        now, tenth = time.monotonic(), 10 * done // total if total else -1
        if self.is_terminal and (now - self.shown_at > 0.2 or done == total):
            self.shown_at = now
            print(f"\r{self._line(done, total)}", end="", file=sys.stderr, flush=True)
        elif not self.is_terminal and tenth > self.shown_tenth:
            self.shown_tenth = tenth
            print(self._line(done, total), file=sys.stderr, flush=True)

    def end(self) -> None:
        if self.is_terminal and self.shown_at:
            print(file=sys.stderr)

    def _line(self, done: int, total: int | None) -> str:
        share = f" of {total / 1e6:.1f} MB ({done / total:.0%})" if total else " MB"
        return f"{self.name}: {done / 1e6:.1f}{share}"
