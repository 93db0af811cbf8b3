"""A cluster of two worker processes on this machine."""

from __future__ import annotations

import os
import signal
import threading
import time
from importlib import metadata

import dask
import numpy as np
import pytest
import tifffile
from distributed import Client, LocalCluster

from napari_samv1.batch import cluster as module
from napari_samv1.batch.cluster import ClusterError, OtherVersionError, on_cluster
from napari_samv1.batch.segment import Part, segment_file
from small_model import picture


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0", host="127.0.0.1"
    ) as own:
        yield own


@pytest.fixture
def empty_cluster():
    with LocalCluster(
        n_workers=0,
        threads_per_worker=1,
        processes=False,
        protocol="tcp://",
        dashboard_address="127.0.0.1:0",
        host="127.0.0.1",
    ) as own:
        yield own


@pytest.fixture
def images(tmp_path):
    paths = [tmp_path / f"{i}.npy" for i in range(3)]
    for i, path in enumerate(paths):
        np.save(path, picture(330 if i == 0 else 60, 200 if i == 0 else 50, seed=i)[..., 0])
    return paths


def labels_of(outcome):
    assert outcome.error == ""
    return tifffile.imread(outcome.outputs[0])


def test_two_processes_find_what_one_thread_finds(cluster, images, task_for, tmp_path):
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"nonsense")
    tasks = [task_for(path) for path in (*images, broken)]
    outcomes = {one.path: one for one in on_cluster(tasks, cluster.scheduler_address)}
    assert outcomes.pop(broken).status == "failed"
    for path, outcome in outcomes.items():
        here = segment_file(task_for(path, stem=f"here-{path.stem}"))
        assert np.array_equal(labels_of(outcome), labels_of(here))
    again = list(on_cluster(tasks[:3], cluster.scheduler_address))
    assert {one.status for one in again} == {"skipped"}


def test_a_worker_that_is_killed_loses_nothing(cluster, images, task_for):
    with Client(cluster.scheduler_address) as client:
        workers = client.run(os.getpid)
    victim = next(iter(workers.values()))

    def kill():
        time.sleep(0.3)
        os.kill(victim, signal.SIGTERM)

    killer = threading.Thread(target=kill)
    killer.start()
    tasks = [task_for(path, intensity=(0, 250)) for path in images]
    outcomes = list(on_cluster(tasks, cluster.scheduler_address))
    killer.join()
    assert {one.path for one in outcomes} == set(images)
    for outcome in outcomes:
        here = task_for(outcome.path, stem=f"here-{outcome.path.stem}", intensity=(0, 250))
        assert np.array_equal(labels_of(outcome), labels_of(segment_file(here)))


def test_no_scheduler_is_a_sentence(monkeypatch):
    with pytest.raises(ClusterError, match="there is no scheduler at nonsense"):
        next(on_cluster([], "nonsense"))


def set_version(text):
    """Set the version that a worker takes this package to have; returns the one before."""
    before = metadata.version("napari-samv1")
    metadata.version = lambda name: text
    return before


@pytest.fixture
def old_workers(cluster):
    with Client(cluster.scheduler_address) as client:
        before = client.run(set_version, "0.0.1")
        yield before
        client.run(set_version, next(iter(before.values())))


def test_workers_of_another_version_are_refused_before_any_work(cluster, old_workers, images, task_for):
    task = task_for(images[0], intensity=(0, 240))
    with pytest.raises(OtherVersionError, match=r"worker tcp://.* has napari-samv1 0.0.1, and this process "):
        list(on_cluster([task], cluster.scheduler_address))
    assert not task.folder.exists()


@pytest.mark.parametrize("step", ["_planned", "_found", "_joined"])
def test_a_worker_of_another_version_that_comes_later_takes_no_task(cluster, images, task_for, step):
    task = task_for(images[0], intensity=(0, 240))
    made_from = task.made_from | {"version": "0.0.1"}
    words = {
        "_planned": (task, "0.0.1"),
        "_found": (task, Part(0), "0.0.1"),
        "_joined": (task, made_from, [], []),
    }
    with (
        Client(cluster.scheduler_address) as client,
        pytest.raises(OtherVersionError, match=r", and this process 0.0.1: install the same version"),
    ):
        client.submit(getattr(module, step), *words[step], pure=False).result()


def test_a_cluster_without_workers_is_told_of_and_waited_for(empty_cluster, images, task_for, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.1)
    told = []

    def start_worker():
        told.append(1)
        empty_cluster.scale(1)

    [outcome] = on_cluster([task_for(images[1])], empty_cluster.scheduler_address, start_worker)
    assert outcome.status == "done"
    assert len(told) == 1
    told.clear()
    [outcome] = on_cluster([task_for(images[2])], empty_cluster.scheduler_address, start_worker)
    assert outcome.status == "done"
    assert not told


def test_a_scheduler_that_ends_is_one_line_for_each_image(empty_cluster, images, task_for, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.1)
    tasks = [task_for(path) for path in images]
    outcomes = list(on_cluster(tasks, empty_cluster.scheduler_address, empty_cluster.close))
    gone = f"the scheduler at {empty_cluster.scheduler_address} is gone: start it and run the same command"
    assert [one.error.removesuffix(" to continue") for one in outcomes] == [gone] * len(images)
    # dask's own work goes on here
    assert dask.config.get("scheduler", None) is None
