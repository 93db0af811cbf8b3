"""A clean napari: settings in a temporary folder, and no thread of ours left after a test."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

# napari reads this when it is imported
os.environ["NAPARI_CONFIG"] = str(Path(tempfile.mkdtemp(prefix="napari-samv1-")) / "settings.yaml")

import pytest


def our_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("napari-samv1")]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    deadline = time.monotonic() + 10
    while our_threads() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert our_threads() == []
