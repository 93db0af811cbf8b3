"""What is freed stays with the process, so that a step need not ask for it again."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes
import os
from pathlib import Path
from napari_samv1.training.allocator import keep_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

kept = keep_memory() if {keep} else False
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
block = libc.malloc(ctypes.c_size_t(2**24))
ctypes.memset(block, 1, 2**24)
full = resident()
libc.free(ctypes.c_void_p(block))
print(kept, (full - resident()) // 2**20)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's setting")
@pytest.mark.parametrize("keep", [True, False])
def test_freed_memory_is_kept_where_it_was_asked_for(keep):
    command = [sys.executable, "-c", PROGRAM.format(keep=keep)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    kept, returned = done.stdout.split()
    assert kept == str(keep)
    assert int(returned) == pytest.approx(0 if keep else 16, abs=2)
