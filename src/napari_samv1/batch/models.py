"""Models of this process, each loaded once for any number of images, and again when its file changes."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from threading import Lock

from napari_samv1.checkpoints.dense import head_path
from napari_samv1.checkpoints.errors import CheckpointError
from napari_samv1.checkpoints.load import load_model
from napari_samv1.checkpoints.registry import MODELS
from napari_samv1.engine.predictor import Predictor

_lock = Lock()


def predictor_of(model: str, device: str) -> Predictor:
    """Return the predictor for a model's name or file, as it is now, on a device; threads share it.

    Raises
    ------
    CheckpointError
        If the model cannot be loaded, or changes meanwhile.
    """
    with _lock:
        return _loaded(model, model_identity(model), device)


@lru_cache(maxsize=2)
def _loaded(model: str, identity: str, device: str) -> Predictor:
    predictor = Predictor(load_model(model, device=device))
    # or else later images would get it by an identity that is not its own
    if model_identity(model) != identity:
        raise CheckpointError(f"the file of the model {model} changed while it was loaded: run it again")
    return predictor


def model_identity(model: str) -> str:
    """Text that changes whenever a model's file or its dense head does, made without reading them."""
    listed = MODELS.get(model)
    path = Path(model).expanduser() if listed is None else listed.path
    if not path.is_file():
        return model
    stat = path.stat()
    identity = f"{model}, {stat.st_size} bytes, {0 if listed is not None else stat.st_mtime_ns}"
    head = head_path(path)
    # the head of the bundled model is part of the package, whose version is on record
    if (listed is not None and listed.is_bundled) or not head.is_file():
        return identity
    stat = head.stat()
    return f"{identity}, dense head of {stat.st_size} bytes, {stat.st_mtime_ns}"
