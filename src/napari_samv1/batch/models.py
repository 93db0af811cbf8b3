"""Models of this process, each loaded once for any number of images."""

from __future__ import annotations

from functools import lru_cache
from threading import Lock

from napari_samv1.checkpoints.load import load_model
from napari_samv1.engine.predictor import Predictor

_lock = Lock()


def predictor_of(model: str, device: str) -> Predictor:
    """Return the predictor for a model's name or file on a device; threads share it."""
    with _lock:
        return _loaded(model, device)


@lru_cache(maxsize=2)
def _loaded(model: str, device: str) -> Predictor:
    return Predictor(load_model(model, device=device))
