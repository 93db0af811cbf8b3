from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from napari_samv1.checkpoints import transfer
from napari_samv1.checkpoints.digests import Digests
from napari_samv1.checkpoints.download import download, partial_bytes
from napari_samv1.checkpoints.errors import DownloadError

CONTENT = os.urandom(3_000_000)


class Server:
    """A web server on this machine whose misbehaviour a test chooses."""

    def __init__(self):
        self.content = CONTENT
        self.etag = '"one"'
        self.resumes = True
        self.drop_after = []  # bytes to send before hanging up, one per request
        self.statuses = []  # statuses to answer with instead, one per request
        self.pause_s = 0.0
        self.requests = []  # the Range of each request
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_GET(self):
                wanted = self.headers.get("Range")
                server.requests.append(wanted)
                if server.statuses:
                    self.send_error(server.statuses.pop(0))
                    return
                size, start = len(server.content), 0
                if wanted and server.resumes and self.headers.get("If-Range", server.etag) == server.etag:
                    start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                    if start >= size:
                        self.send_response(416)
                        self.send_header("Content-Range", f"bytes */{size}")
                        self.send_header("Content-Length", "0")
                        self.end_headers()
                        return
                    self.send_response(206)
                    self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
                else:
                    self.send_response(200)
                self.send_header("Content-Length", str(size - start))
                if server.etag:
                    self.send_header("ETag", server.etag)
                self.end_headers()
                end = start + server.drop_after.pop(0) if server.drop_after else size
                try:
                    for begin in range(start, min(end, size), 100_000):
                        self.wfile.write(server.content[begin : min(begin + 100_000, end)])
                        time.sleep(server.pause_s)
                except OSError:
                    pass  # the client hung up
                self.close_connection = True

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/model.pt"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(transfer, "PAUSES_S", (0.0, 0.0, 0.0))
    server = Server()
    yield server
    server.close()


@pytest.fixture(params=["sha256", "xxh128"])
def model(server, register, request):
    return register(CONTENT, server.url, request.param)


def files(model):
    return sorted(path.name for path in model.path.parent.iterdir() if path.suffix != ".lock")


def test_a_file_arrives_whole_with_its_progress(model, server):
    seen = []
    path = download(model, lambda done, total: seen.append((done, total)))
    assert path == model.path
    assert path.read_bytes() == CONTENT
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert files(model) == ["sample.pt", "sample.pt.json"]
    assert (
        json.loads((path.parent / "sample.pt.json").read_text())["sha256"]
        == hashlib.sha256(CONTENT).hexdigest()
    )


def test_what_is_there_is_not_fetched_again(model, server):
    download(model)
    download(model)
    assert server.requests == [None]


def test_a_wrong_file_under_the_name_is_replaced(model, server):
    model.path.parent.mkdir(parents=True)
    model.path.write_bytes(b"something else")
    assert download(model).read_bytes() == CONTENT


def test_a_dropped_connection_is_continued_where_it_broke(model, server):
    server.drop_after = [1_000_000, 500_000]
    assert download(model).read_bytes() == CONTENT
    assert server.requests == [None, "bytes=1000000-", "bytes=1500000-"]


def test_it_gives_up_when_nothing_more_comes_and_continues_later(model, server):
    server.drop_after = [1_000_000, 0, 0, 0, 0]
    with pytest.raises(DownloadError, match=r"keeps breaking .* continues after 1\.0 MB"):
        download(model)
    assert not model.path.exists()
    assert partial_bytes(model) == 1_000_000
    assert download(model).read_bytes() == CONTENT
    assert server.requests[-1] == "bytes=1000000-"


def test_a_busy_server_is_asked_again(model, server):
    server.statuses = [503, 429]
    assert download(model).read_bytes() == CONTENT


@pytest.mark.parametrize("is_announced", [True, False])
def test_more_than_the_file_can_have_is_given_up_early(model, server, monkeypatch, is_announced):
    server.content = os.urandom(model.most_bytes + 4_000_000)
    if not is_announced:
        # a server that says nothing of the size, and goes on
        send = BaseHTTPRequestHandler.send_header
        monkeypatch.setattr(
            BaseHTTPRequestHandler,
            "send_header",
            lambda self, name, value: None if name == "Content-Length" else send(self, name, value),
        )
    seen = []
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1 sends .* MB or more"):
        download(model, lambda done, total: seen.append(done))
    assert max(seen, default=0) <= model.most_bytes
    assert files(model) == []


class Enough(Exception):  # noqa: N818
    pass


def cancel_at(limit):
    def on_progress(done, total):
        if done >= limit:
            raise Enough

    return on_progress


def test_a_cancelled_download_keeps_its_part_and_goes_on_from_there(model, server):
    with pytest.raises(Enough):
        download(model, cancel_at(1_200_000))
    have = partial_bytes(model)
    assert have >= 1_200_000
    assert not model.path.exists()
    assert download(model).read_bytes() == CONTENT
    assert server.requests == [None, f"bytes={have}-"]


def test_a_file_that_changed_on_the_server_starts_over(model, server):
    model_part = model.path.with_name("sample.pt.part")
    server.content, server.etag = os.urandom(3_000_000), '"old"'
    with pytest.raises(Enough):
        download(model, cancel_at(1_000_000))
    assert model_part.exists()
    server.content, server.etag = CONTENT, '"one"'
    assert download(model).read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_a_server_that_cannot_resume_sends_it_all_again(model, server):
    with pytest.raises(Enough):
        download(model, cancel_at(1_000_000))
    server.resumes = False
    assert download(model).read_bytes() == CONTENT


def test_a_part_of_unknown_origin_that_does_not_fit_is_dropped(model, server):
    part = model.path.with_name("sample.pt.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(1_000_000))
    assert download(model).read_bytes() == CONTENT
    assert server.requests == ["bytes=1000000-", None]


def test_a_complete_part_is_only_verified(model, server):
    part = model.path.with_name("sample.pt.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT)
    assert download(model).read_bytes() == CONTENT
    assert server.requests == [f"bytes={len(CONTENT)}-"]


def test_a_part_longer_than_the_file_is_dropped(model, server):
    part = model.path.with_name("sample.pt.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT + b"more")
    assert download(model).read_bytes() == CONTENT


def test_a_part_from_another_address_is_not_continued(model, server):
    part = model.path.with_name("sample.pt.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(1_000_000))
    part.with_name("sample.pt.part.json").write_text('{"url": "https://example.org/other", "validator": ""}')
    assert download(model).read_bytes() == CONTENT
    assert server.requests == [None]


def test_content_with_another_hash_never_takes_the_name(model, server):
    server.content = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    with pytest.raises(DownloadError, match="not the published one") as caught:
        download(model)
    assert model.digest in str(caught.value)
    assert files(model) == []


def test_a_refusal_says_where_to_put_the_file_by_hand(model, server):
    server.statuses = [404]
    with pytest.raises(DownloadError, match="HTTP 404") as caught:
        download(model)
    assert str(model.path) in str(caught.value)
    assert model.url in str(caught.value)
    assert len(server.requests) == 1


def test_offline_says_where_to_put_the_file_by_hand(register):
    model = register(CONTENT, "http://127.0.0.1:9/model.pt")
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1 cannot be reached") as caught:
        download(model)
    assert str(model.path) in str(caught.value)
    assert model.url in str(caught.value)


@pytest.mark.parametrize("url", ["http://example.org/a.pt", "ftp://example.org/a.pt", "file:///etc/passwd"])
def test_only_https_is_fetched(url, register):
    with pytest.raises(DownloadError, match="over https only"):
        download(register(CONTENT, url))


def test_a_full_disk_is_told_before_anything_is_fetched(model, server, monkeypatch):
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1_000_000})())
    with pytest.raises(DownloadError, match=r"is full: 3 MB are missing, 1 MB are free"):
        download(model)
    assert partial_bytes(model) == 0


def test_a_disk_that_fills_up_is_told_and_the_part_kept(model, server):
    def fill(done, total):
        if done > 1_000_000:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DownloadError, match="is full"):
        download(model, fill)
    assert partial_bytes(model) > 1_000_000


def test_a_folder_that_cannot_be_made_is_told(model, server, cache):
    cache.write_text("a file where the folder should be")
    with pytest.raises(DownloadError, match="cannot be written"):
        download(model)


FETCH = """
import sys
from napari_samv1.checkpoints.download import download
from napari_samv1.checkpoints.registry import KnownModel
model = KnownModel("sample", "", "sample.pt", 3, "", "", url=sys.argv[1], digest=sys.argv[2])
print(download(model))
"""


def test_two_processes_fetch_a_file_once(model, server):
    server.pause_s = 0.03
    command = [sys.executable, "-c", FETCH, model.url, model.digest]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [process.communicate(timeout=60)[0].strip() for process in both]
    assert answers == [str(model.path)] * 2
    assert model.path.read_bytes() == CONTENT
    assert server.requests == [None]


def test_a_killed_process_leaves_no_lock_and_a_part_that_is_continued(model, server):
    server.pause_s = 0.1
    process = subprocess.Popen([sys.executable, "-c", FETCH, model.url, model.digest])
    while partial_bytes(model) < 500_000:
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    server.pause_s = 0.0
    assert download(model).read_bytes() == CONTENT
    assert server.requests[-1].startswith("bytes=")


def test_digests_are_the_known_ones(tmp_path):
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    digests = Digests.of_file(path)
    assert digests.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digests.xxh128 == "06b05ab6733a618578af5f94892f3950"
    assert digests.match(f"sha256:{digests.sha256}")
    assert not digests.match(f"xxh128:{digests.sha256}")
