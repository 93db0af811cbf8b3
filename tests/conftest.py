"""What every test stands on: nothing of the user's is read or written, and nothing leaves this machine."""

from __future__ import annotations

import gc
import os
import random
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings

from virtual_display import own_display

# napari reads where its settings lie when it is first imported, so a fixture would come too late
_SCRATCH = Path(tempfile.mkdtemp(prefix="napari-samv1-tests-"))
os.environ["NAPARI_CONFIG"] = str(_SCRATCH / "napari" / "settings.yaml")
os.environ["NAPARI_SAMV1_CACHE"] = str(_SCRATCH / "cache")
os.environ["NAPARI_SAMV1_STATE"] = str(_SCRATCH / "state")
os.environ["HF_HUB_OFFLINE"] = "1"
# a test's own server on the loopback is not to be asked for through somebody's proxy
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"

IS_LINUX = sys.platform.startswith("linux")
# windows of two processes on one screen take each other's focus
_OWN_DISPLAY = own_display() if IS_LINUX and "PYTEST_XDIST_WORKER" in os.environ else None
if IS_LINUX and os.environ.get("DISPLAY"):
    # "offscreen" has no OpenGL: image layers fail, and pictures are black
    os.environ.pop("QT_QPA_PLATFORM", None)


# a busy machine is no bug; in continuous integration the same examples each time
settings.register_profile("here", deadline=None, derandomize="CI" in os.environ, print_blob=True)
settings.load_profile("here")


def pytest_configure(config: pytest.Config) -> None:
    if getattr(config.option, "numprocesses", None):
        # one core for each process; numba, which draws napari's labels, sets the threads of torch too
        os.environ.update(OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1")
    torch.set_num_threads(min(2, torch.get_num_threads()))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        # files of windows take longest: the last one of all is then a short one
        items.sort(key=lambda item: "widgets" not in item.path.parts)


def pytest_collection_finish(session: pytest.Session) -> None:
    # what all modules hold is not searched again each time that memory is released or a window closes
    gc.collect()
    gc.freeze()


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(_SCRATCH, ignore_errors=True)
    if _OWN_DISPLAY is not None:
        _OWN_DISPLAY.terminate()
        _OWN_DISPLAY.wait()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    needs_a_window = "qapp" in getattr(item, "fixturenames", ())
    if IS_LINUX and needs_a_window and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        pytest.fail("this test opens a window, and Qt would abort without a display: install Xvfb, use -n 2")


@pytest.fixture(autouse=True)
def _same_random_numbers_every_time() -> None:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - scikit-image and scipy still draw from it
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _empty_cache_and_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_SAMV1_CACHE", str(_SCRATCH / "cache" / os.urandom(8).hex()))
    # a panel that is closed leaves unsaved work for the next start to offer: not to another test's
    monkeypatch.setenv("NAPARI_SAMV1_STATE", str(_SCRATCH / "state" / os.urandom(8).hex()))


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> Iterator[None]:
    """Refuse every connection that leaves this machine, by an error that no code under test expects."""
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def refuse_outside(address: Any) -> None:
        if isinstance(address, tuple) and not _is_loopback(address[0]):
            raise RuntimeError(f"a test tried to reach {address[0]}; tests stay on this machine")

    def guarded_connect(self: socket.socket, address: Any) -> None:
        refuse_outside(address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        refuse_outside(address)
        return connect_ex(self, address)

    def guarded_getaddrinfo(host: Any, *arguments: Any, **keywords: Any) -> Any:
        refuse_outside((host,))
        return getaddrinfo(host, *arguments, **keywords)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
        patch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)
        yield


def _is_loopback(host: Any) -> bool:
    if host in (None, "", b"", "localhost", b"localhost", socket.gethostname()):
        return True
    try:
        return ip_address(host.decode() if isinstance(host, bytes) else host).is_loopback
    except ValueError:
        return False
