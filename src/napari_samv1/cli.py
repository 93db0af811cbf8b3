"""The ``napari-samv1`` command: each verb imports what it needs when it runs."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from napari_samv1.checkpoints.errors import CheckpointError
from napari_samv1.storage.errors import SessionError

EPILOG = """\
other commands:
  napari-samv1 models                  list the known models and which are on disk
  napari-samv1 models download NAME    fetch one; continues an unfinished download
  napari-samv1 models verify [NAME]    check the files on disk against the published hashes
  napari-samv1 replay SESSION          make every mask of a saved session again, and compare
  napari-samv1 train                   make the bundled model again

A file that is named like a command is opened by its path: ./models
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit status: 0 done, 1 failed, 2 misused."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    verb = VERBS.get(words[0]) if words else None
    try:
        return _open(words) if verb is None else verb(words[1:])
    except (CheckpointError, SessionError) as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return _fail("stopped")


def _open(words: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="napari-samv1",
        description="Open images in napari with the Segment Anything panel docked.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="images to open (default: a sample image)")
    parser.add_argument(
        "--model", metavar="NAME_OR_PATH", help="a known model or a checkpoint file (default: the last one)"
    )
    parser.add_argument(
        "--device", metavar="DEVICE", help="auto, cpu, cuda, cuda:1, mps (default: the last one)"
    )
    parser.add_argument("--version", action="store_true", help="show the version and exit")
    chosen = parser.parse_args(words)
    if chosen.version:
        from importlib.metadata import version

        print(f"napari-samv1 {version('napari-samv1')}")
        return 0
    missing = [file for file in chosen.files if "://" not in file and not Path(file).exists()]
    if missing:
        parser.error(f"there is no file {missing[0]}")
    from napari_samv1.widgets.launch import launch

    return launch(chosen.files, chosen.model, chosen.device)


def _models(words: list[str]) -> int:
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
    print(f"\nDownloads lie in {models_folder()}")
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
        return _fail(
            f"{name}: stopped with {partial_bytes(model) / 1e6:.1f} MB here; the same command continues"
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
                status = _fail(f"{name} is not on disk: {model.path}")
            continue
        try:
            print(f"{model.name}: as published, sha256 {verified_sha256(model, afresh=True)}")
        except CheckpointError as error:
            status = _fail(str(error))
    return status


def _train(words: list[str]) -> int:
    from napari_samv1.training import command

    parser = argparse.ArgumentParser(
        prog="napari-samv1 train",
        description="Make the bundled model from a seed; continues where it was cut off.",
    )
    command.add_arguments(parser)
    chosen = parser.parse_args(words)
    if chosen.keep is not None and not chosen.init:
        parser.error("--keep is for a run that goes on from weights: give them with --init")
    return command.run(chosen)


def _replay(words: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="napari-samv1 replay",
        description="Make every mask of a saved session again, as it was made, and compare: exit status 0 "
        "where all are identical, pixel for pixel.",
    )
    parser.add_argument("session", metavar="SESSION", help="the folder that the session was saved in")
    parser.add_argument("--image", metavar="FILE", help="the image (default: where it was opened from)")
    parser.add_argument("--model", metavar="FILE", help="the weight file (default: the recorded one)")
    parser.add_argument("--device", metavar="DEVICE", help="compute on another device than then")
    chosen = parser.parse_args(words)
    from napari_samv1.storage.replay import replay
    from napari_samv1.storage.session_folder import open_session

    record = open_session(chosen.session)
    results = []
    for result in replay(record, image=chosen.image, model=chosen.model, device=chosen.device):
        print(f"plane {result.plane}, {result}" if len(record.planes) > 1 else result, flush=True)
        results.append(result)
    identical = sum(result.identical for result in results)
    print(f"{identical} of {len(results)} masks identical")
    return 0 if identical == len(results) else 1


VERBS = {"models": _models, "replay": _replay, "train": _train}


class _Progress:
    """A line on stderr: rewritten on a terminal, a new one every tenth of the way elsewhere."""

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


def _fail(sentence: str) -> int:
    print(f"napari-samv1: {sentence}", file=sys.stderr)
    return 1
