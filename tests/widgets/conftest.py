"""No thread of ours may be left after a test."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

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
