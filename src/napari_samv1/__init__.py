"""Segment Anything for scientific images, in napari and in Python.

The public names load on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_samv1.checkpoints.errors import CheckpointError
    from napari_samv1.checkpoints.load import load_model
    from napari_samv1.checkpoints.record import LoadedModel
    from napari_samv1.engine.automatic.everything import segment_everything
    from napari_samv1.engine.automatic.found import Found
    from napari_samv1.engine.embedding import Embedding
    from napari_samv1.engine.prediction import Prediction
    from napari_samv1.engine.predictor import Predictor
    from napari_samv1.engine.progress import Cancelled
    from napari_samv1.engine.view import ImageView
    from napari_samv1.images.files import open_source
    from napari_samv1.images.source import ReadError
    from napari_samv1.records.automatic import AutomaticSettings
    from napari_samv1.records.preparation import Preparation
    from napari_samv1.records.prompts import Prompts

__all__ = [
    "AutomaticSettings",
    "Cancelled",
    "CheckpointError",
    "Embedding",
    "Found",
    "ImageView",
    "LoadedModel",
    "Prediction",
    "Predictor",
    "Preparation",
    "Prompts",
    "ReadError",
    "load_model",
    "open_source",
    "segment_everything",
]

_HOMES = {
    "AutomaticSettings": "records.automatic",
    "Cancelled": "engine.progress",
    "CheckpointError": "checkpoints.errors",
    "Embedding": "engine.embedding",
    "Found": "engine.automatic.found",
    "ImageView": "engine.view",
    "LoadedModel": "checkpoints.record",
    "Prediction": "engine.prediction",
    "Predictor": "engine.predictor",
    "Preparation": "records.preparation",
    "Prompts": "records.prompts",
    "ReadError": "images.source",
    "load_model": "checkpoints.load",
    "open_source": "images.files",
    "segment_everything": "engine.automatic.everything",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("napari-samv1")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
