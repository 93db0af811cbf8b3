"""A virtual screen for one process of a parallel run."""

from __future__ import annotations

import os
import shutil
import subprocess


def own_display() -> subprocess.Popen[bytes] | None:
    """Start Xvfb on a display that is free and name it in the environment; None where there is no Xvfb."""
    if shutil.which("Xvfb") is None:
        return None
    reads, writes = os.pipe()
    words = ["Xvfb", "-displayfd", str(writes), "-screen", "0", "1400x900x24", "-nolisten", "tcp"]
    if shutil.which("setpriv"):
        # it ends with this process, also where that is killed
        words = ["setpriv", "--pdeathsig", "TERM", *words]
    server = subprocess.Popen(words, pass_fds=[writes], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(writes)
    with os.fdopen(reads, encoding="ascii") as said:
        # it says so once it listens, and nothing if it ended
        number = said.readline().strip()
    if not number:
        raise RuntimeError("Xvfb was started and found no display; run it by hand to see what it says")
    os.environ["DISPLAY"] = f":{number}"
    os.environ.pop("WAYLAND_DISPLAY", None)
    return server
