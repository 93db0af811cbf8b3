"""The guards of conftest.py hold: a guard that lets everything through protects nobody."""

import os
import socket
import tempfile
import urllib.request
from pathlib import Path

import pytest


@pytest.mark.parametrize("host", ["example.org", "192.0.2.1", "2001:db8::1"])
def test_connections_that_leave_this_machine_are_refused(host: str) -> None:
    with pytest.raises(RuntimeError, match="stay on this machine"):
        urllib.request.urlopen(f"http://[{host}]/" if ":" in host else f"http://{host}/", timeout=1)
    with socket.socket() as sock, pytest.raises(RuntimeError, match="stay on this machine"):
        sock.connect((host, 80))


def test_connections_to_this_machine_are_allowed() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname(), timeout=5) as client,
    ):
        client.sendall(b"hello")
        accepted, _ = server.accept()
        with accepted:
            assert accepted.recv(5) == b"hello"


def test_napari_and_the_cache_do_not_see_the_users_folders() -> None:
    scratch = Path(tempfile.gettempdir())
    for variable in ("NAPARI_CONFIG", "NAPARI_SAMV1_CACHE"):
        assert scratch in Path(os.environ[variable]).parents
    from napari import settings

    assert Path(settings.get_settings().config_path).is_relative_to(Path(os.environ["NAPARI_CONFIG"]).parent)
