"""The two background jobs of a start, at the same time."""

from __future__ import annotations

import os
import subprocess
import sys

from napari_samv1.storage.session.autosave import autosave_root

# every import of the network's modules holds its lock long enough for the other thread to come
BOTH_JOBS = """
import sys, threading, time
from napari_samv1.app import models
from napari_samv1.app.worker import Ticket
from napari_samv1.app.models import Choices
from napari_samv1.widgets.panel import lost_work

class Slowly:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("napari_samv1.model"):
            time.sleep(0.05)

sys.meta_path.insert(0, Slowly())
problems = []

def run(job):
    try:
        job(Ticket("start", print))
    except Exception as error:
        problems.append(error)

jobs = lambda ticket: lost_work.find_lost(), lambda ticket: models.load(Choices(device="cpu"), ticket)
threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
sys.exit(str(problems) if problems else 0)
"""


def test_the_model_is_loaded_while_lost_work_is_looked_for():
    lost = autosave_root() / "lost"
    lost.mkdir(parents=True)
    (lost / "session.json").write_text("{}")
    ended = subprocess.run(
        [sys.executable, "-c", BOTH_JOBS], capture_output=True, text=True, env=os.environ, check=False
    )
    assert ended.returncode == 0, ended.stderr
