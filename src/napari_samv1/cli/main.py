"""Entry point: finds the verb, runs it, turns errors into an exit status."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from napari_samv1.checkpoints.errors import CheckpointError
from napari_samv1.cli.failing import fail
from napari_samv1.storage.errors import SessionError

VERBS = ("cache", "embed", "models", "replay", "score", "segment", "train")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; return the exit status: 0 done, 1 failed, 2 misused."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    # file names may hold characters that the terminal's encoding lacks
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    verb = words[0] if words and words[0] in VERBS else ""
    # each verb imports its modules when it runs
    module = import_module(f"napari_samv1.cli.{verb or 'open'}")
    try:
        status = int(module.run(words[1:] if verb else words))
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # the reader, such as head, has seen enough; Python would flush, and fail, once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (CheckpointError, SessionError) as error:
        return fail(str(error))
    except KeyboardInterrupt:
        return fail("stopped")
