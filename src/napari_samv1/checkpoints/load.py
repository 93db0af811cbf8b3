"""A model's name or a weight file -> a network ready for use."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from napari_samv1.checkpoints.dense import load_head_beside
from napari_samv1.checkpoints.device import Precision, choose_device, choose_dtype
from napari_samv1.checkpoints.digests import Digests
from napari_samv1.checkpoints.download import download as fetch
from napari_samv1.checkpoints.errors import CheckpointError
from napari_samv1.checkpoints.infer import infer_config
from napari_samv1.checkpoints.meta_keys import to_ours, to_published
from napari_samv1.checkpoints.read import read_tensors
from napari_samv1.checkpoints.record import LoadedModel
from napari_samv1.checkpoints.registry import MODELS, KnownModel
from napari_samv1.checkpoints.verify import verified_sha256
from napari_samv1.model.config import TINY, SamConfig
from napari_samv1.model.memory import if_there_is_memory, is_out_of_memory, release, too_little
from napari_samv1.model.sam import Sam
from napari_samv1.records.preparation import BUNDLED, PREPARATIONS, PUBLISHED, Preparation

SHOWN = 3
"""Number of tensors that an error names; the others are counted."""

WIDE = 256
"""Token width from which on the MLPs are most of an encoder's work."""


def load_model(
    name_or_path: str | os.PathLike[str],
    *,
    device: str | torch.device = "auto",
    dtype: Precision = "auto",
    preparation: str | Preparation | None = None,
    download: bool = False,
    compile: bool = False,
) -> LoadedModel:
    """Load a known model by its name, or any Segment Anything checkpoint by its path.

    A dense head in the file NAME-dense.pt beside NAME.pt is loaded with it.

    Parameters
    ----------
    name_or_path : str or path-like
        ``"tiny"`` (comes with the package), ``"vit_b"``, ... (``napari-samv1 models`` lists them), or a file.
        A known name wins over a file of that name: write ``./tiny`` for the file.
    device : str
        ``"auto"`` (CUDA, then MPS, then CPU), ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
    dtype : str
        Precision of the image encoder: ``"float32"``, ``"bfloat16"``, or ``"auto"``, which is bfloat16 where
        the device computes in it. With bfloat16 on CUDA, the published sizes decode in float16.
    preparation : str or Preparation, optional
        Preparation of the pixels: ``"published"``, ``"medsam"``, or another record. By default that of a
        known model; for a file the published one, or the bundled model's if the sizes are the same.
    download : bool
        Fetch a known model that is not on disk, instead of raising.
    compile : bool
        Have torch compile the image encoder, for many images of one size. The first one takes up to minutes
        longer, as does the first of any other size; the compiled code is kept on disk for later runs.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, or of another kind; the message names the problem and the remedy.
    ValueError
        If the device, the dtype or the preparation is not available.
    MemoryError
        If memory does not suffice on the device; ``"auto"`` takes the CPU then, with a warning.
    """
    chosen_device = choose_device(device)
    chosen_dtype = choose_dtype(dtype, chosen_device)
    path, listed = locate(name_or_path, download=download)
    sha256 = None if listed is None else verified_sha256(listed)
    tensors = read_tensors(path, is_known=listed is not None)
    if sha256 is None:
        sha256 = Digests.of_file(path).sha256
    try:
        config = infer_config(tensors)
        network = _build_if_it_fits(tensors, config, chosen_device, chosen_dtype)
        if network is None:
            release(chosen_device)
            if device != "auto" or chosen_device.type == "cpu":
                raise too_little(f"load {path.name}", chosen_device)
            warnings.warn(
                f"Memory does not suffice on {chosen_device} for {path.name}: it runs on the CPU, which is "
                f"slower",
                stacklevel=2,
            )
            chosen_device = torch.device("cpu")
            network = build_network(tensors, config, chosen_device, choose_dtype(dtype, chosen_device))
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    model = LoadedModel(
        network=network,
        config=config,
        preparation=_preparation(preparation, listed, config),
        name=path.name if listed is None else listed.name,
        sha256=sha256,
        dense=load_head_beside(
            path, sha256, chosen_device, digest=None if listed is None else listed.dense_digest
        ),
        compiled=compile,
        path=path.absolute(),
    )
    if decodes_in_half(chosen_device, model.dtype, config):
        return if_there_is_memory(lambda: model.decoding_in("float16")) or model
    return model


def _build_if_it_fits(
    tensors: Mapping[str, Tensor], config: SamConfig, device: torch.device, dtype: torch.dtype
) -> Sam | None:
    try:
        return build_network(tensors, config, device, dtype)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    # memory held by the failed attempt is released only here, behind the exception
    return None


def build_network(
    tensors: Mapping[str, Tensor],
    config: SamConfig,
    device: torch.device | None = None,
    dtype: torch.dtype = torch.float32,
) -> Sam:
    """Build a network of these sizes from published tensors, for use and not for training.

    The tensors are copied once, to their device and dtype: none is shared with ``tensors``. Only weights
    that ``takes_dtype`` names take the dtype. Raises ``CheckpointError`` that names tensors which are
    missing, unknown or misshapen.
    """
    with torch.device("meta"):  # neither memory nor time for weights that are replaced at once
        network = Sam(config)
    _require_same(tensors, to_published(network.state_dict(), config))

    network.load_state_dict(
        {
            name: tensor.to(
                device, dtype if takes_dtype(name, config) else torch.float32, copy=True
            ).contiguous()
            for name, tensor in to_ours(tensors, config).items()
        },
        assign=True,
    )
    return network.eval().requires_grad_(False)


def takes_dtype(name: str, config: SamConfig) -> bool:
    """Return True if a parameter, by our name, takes the network's dtype; the others stay float32.

    Those of the image encoder's stages take it: other parts are little work, and rounding them shows. The
    MLPs of a narrow network stay float32: they are little work too, and half of the rounding of its masks.
    """
    is_exact = config.width < WIDE and "mlp" in name
    return name.startswith("image_encoder.stages.") and not is_exact


def decodes_in_half(device: torch.device, dtype: torch.dtype, config: SamConfig) -> bool:
    """Return True if masks are decoded in float16: on CUDA, with an encoder that is rounded as well.

    Its masks stay: IoU to float32 0.999 in the mean with the bundled decoder, where bfloat16 has 0.990. The
    decoder of a narrow network is float32 all the same, because its masks react to the encoder's rounding.
    """
    return device.type == "cuda" and dtype == torch.bfloat16 and config.width >= WIDE


def locate(name_or_path: str | os.PathLike[str], *, download: bool = False) -> tuple[Path, KnownModel | None]:
    """File of a model, and the known model that it is; ``download`` fetches one that is not on disk.

    Raises
    ------
    CheckpointError
        If there is no such file or known model; the message gives the remedy.
    """
    listed = MODELS.get(name_or_path) if isinstance(name_or_path, str) else None
    if listed is None:
        path = Path(name_or_path).expanduser()
        if not path.exists():
            raise CheckpointError(
                f"there is no file {path} and no known model of that name ({', '.join(MODELS)})"
            )
        return path, None
    if not listed.is_on_disk:
        if listed.is_bundled:
            raise CheckpointError(f"{listed.path} is missing from the installation; reinstall napari-samv1")
        if not download:
            raise CheckpointError(
                f"{listed.name} is not on disk: run `napari-samv1 models download {listed.name}` "
                f"({listed.megabytes} MB), or in Python pass download=True"
            )
        fetch(listed)
    return listed.path, listed


def _preparation(
    chosen: str | Preparation | None, listed: KnownModel | None, config: SamConfig
) -> Preparation:
    if isinstance(chosen, Preparation):
        return chosen
    if chosen is None and listed is not None:
        return listed.preparation
    if chosen is None:
        # only the bundled model has its sizes
        return BUNDLED if config == TINY else replace(PUBLISHED, side=config.side)
    if chosen not in PREPARATIONS:
        raise ValueError(f"preparation must be one of {', '.join(PREPARATIONS)}, got {chosen!r}")
    return replace(PREPARATIONS[chosen], side=config.side)


def _require_same(got: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    missing = [name for name in expected if name not in got]
    unknown = [name for name in got if name not in expected]
    misshapen = [
        f"{name} ({_shape(expected[name])} expected, {_shape(got[name])} found)"
        for name in expected
        if name in got and got[name].shape != expected[name].shape
    ]
    complaints = [
        f"{len(names)} {problem}: {', '.join(names[:SHOWN])}{', ...' if len(names) > SHOWN else ''}"
        for problem, names in (("missing", missing), ("unknown", unknown), ("of another shape", misshapen))
        if names
    ]
    if complaints:
        raise CheckpointError(
            f"its tensors are not those of a Segment Anything network ({'; '.join(complaints)}); "
            f"use a checkpoint of the plain network"
        )


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"
