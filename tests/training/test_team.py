"""Two processes that make one step together end in the same weights, with the mean of their gradients."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from torch import nn

from napari_samv1.model import Sam
from napari_samv1.records.preparation import BUNDLED
from napari_samv1.training.first_stage_head import FirstStageHead
from napari_samv1.training.loop import Run
from napari_samv1.training.team import seats
from small_run import RECIPE, SMALL, Scenes


def together(places, work):
    """What every seat's work returns; threads stand in for processes, which share the same memory."""
    with ThreadPoolExecutor(len(places)) as threads:
        return list(threads.map(work, places))


def test_everyone_gets_the_mean_of_all_gradients_and_no_one_that_of_another_step():
    def parameters():
        return [nn.Parameter(torch.zeros(n)) for n in (3, 2, 1)]

    places = seats(2, parameters())

    def work(seat):
        seen = []
        for step in range(20):
            one, two, three = parameters()
            one.grad = torch.tensor([1.0, 2.0, 3.0]) * (seat.rank + 1) + step
            if seat.rank == 1:
                two.grad = torch.tensor([4.0, -4.0])
            seat.share_gradients([one, two, three])
            seen.append((one.grad.tolist(), two.grad.tolist(), three.grad))
        return seen

    for seen in together(places, work):
        for step, (one, two, three) in enumerate(seen):
            assert one == [1.5 + step, 3.0 + step, 4.5 + step]
            assert two == [2.0, -2.0]
            assert three is None


def test_two_seats_train_the_same_network_on_different_crops(tmp_path):
    recipe = replace(RECIPE, workers=2)

    def run(seat):
        return Run(tmp_path, recipe, Sam(SMALL), BUNDLED, Scenes(), seat=seat)

    network, head = Sam(SMALL), FirstStageHead(SMALL, recipe.seed)
    runs = [run(seat) for seat in seats(2, [*network.parameters(), *head.parameters()])]
    drawn = [r._draw(0) for r in runs]
    assert not torch.equal(torch.from_numpy(drawn[0][0].image), torch.from_numpy(drawn[1][0].image))
    together(runs, lambda r: r.train())
    assert runs[0].step == runs[1].step == recipe.steps
    for (name, one), other in zip(runs[0].averaged().items(), runs[1].averaged().values(), strict=True):
        assert torch.equal(one, other), name
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curves.csv", "state.pt"]
    assert len((tmp_path / "curves.csv").read_text().splitlines()) == recipe.steps + 1


def test_a_worker_that_fails_ends_the_run_at_once():
    parameter = nn.Parameter(torch.zeros(1))
    seat, other = seats(2, [parameter])
    other.leave()
    with pytest.raises(RuntimeError, match="run the same command again"):
        seat.share_gradients([parameter])


def test_a_missing_worker_ends_the_run_with_a_sentence(monkeypatch):
    monkeypatch.setattr("napari_samv1.training.team.PATIENCE_SECONDS", 0.05)
    parameter = nn.Parameter(torch.zeros(1))
    seat, _ = seats(2, [parameter])
    with pytest.raises(RuntimeError, match="run the same command again"):
        seat.share_gradients([parameter])
