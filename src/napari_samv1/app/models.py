"""Model in use: its choice, its download, and the loaded predictor with its speed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_samv1.app.imports import import_for_jobs
from napari_samv1.app.worker import Ticket
from napari_samv1.checkpoints.registry import MODELS
from napari_samv1.records.preparation import PREPARATIONS

if TYPE_CHECKING:
    from napari_samv1.engine.predictor import Predictor


@dataclass(frozen=True)
class Choices:
    """Choice of a model by name or file, of a preparation for a file, and of a device."""

    model: str = "tiny"
    device: str = "auto"
    preparation: str = "published"


@dataclass(frozen=True)
class DownloadState:
    """Progress of a download in bytes; ``total`` is 0 until the server tells."""

    name: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class ReadyModel:
    """A predictor, and the rate of its device in operations per second, for estimates."""

    choices: Choices
    predictor: Predictor
    rate: float

    @property
    def device(self) -> str:
        return str(self.predictor.model.device)

    def seconds_for(self, image_hw: tuple[int, int]) -> float:
        """Estimate the seconds that an encoding of an image of this size takes."""
        from napari_samv1.engine.workload import encode_operations

        return encode_operations(self.predictor.model.config, self.frame_for(image_hw).grid_hw) / self.rate

    def frame_for(self, image_hw: tuple[int, int]) -> Any:
        """The frame in which the model would see an image of this size."""
        from napari_samv1.records.frame import Frame

        model = self.predictor.model
        return Frame.plan(
            image_hw,
            side=model.preparation.side,
            patch=model.config.patch,
            sizing=model.preparation.sizing,
        )


def load(choices: Choices, ticket: Ticket) -> ReadyModel:
    """Import torch, load the chosen model and time its device; for a background thread."""
    import_for_jobs()
    from napari_samv1.checkpoints.load import load_model
    from napari_samv1.engine.predictor import Predictor
    from napari_samv1.engine.workload import measure_rate

    ticket.check()
    preparation = None if choices.model in MODELS else PREPARATIONS.get(choices.preparation)
    model = load_model(choices.model, device=choices.device, preparation=preparation)
    ticket.check()
    # without a file to read again, an error of the graphics card reaches the panel, which changes the device
    predictor = Predictor(replace(model, path=None))
    return ReadyModel(choices, predictor, measure_rate(model.device, model.dtype))


def download(name: str, ticket: Ticket) -> str:
    """Download a known model's file; for a background thread."""
    import_for_jobs()
    from napari_samv1.checkpoints.download import download as fetch

    fetch(MODELS[name], ticket.count)
    return name
