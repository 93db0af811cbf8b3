"""Tables and prefixes that training tools put around a network's weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_samv1.checkpoints.stored import StoredTensor

WRAPPERS = (
    *(
        "model_state",
        "state_dict",
        "model_state_dict",
        "model",
        "module",
        "sam",
        "sam_model",
        "network",
        "net",
    ),
    # averaged weights, if there are no others
    *("model_ema", "ema_state_dict", "ema_model", "ema"),
)
"""Keys under which tools keep the weights, the first that holds any wins."""

INNER = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
"""Steps in a tensor's dotted name that wrap a part of a network: torch's parallel and compiled modules."""

PARTS = ("image_encoder", "prompt_encoder", "mask_decoder")
"""The three parts of every Segment Anything network; names before them are those of its container."""

AVERAGES = ("ema", "teacher", "average", "swa")
"""Words in the prefix of a running average of the weights."""

MOST_DEPTH = 4


def unwrap(table: Mapping[Any, Any], depth: int = MOST_DEPTH) -> Mapping[Any, Any] | None:
    """Return the table of the network's tensors, nested under one of ``WRAPPERS`` or this one; or None."""
    for key in WRAPPERS if depth else ():
        inner = table.get(key)
        found = unwrap(inner, depth - 1) if isinstance(inner, Mapping) else None
        if found is not None:
            return found
    return table if any(isinstance(value, StoredTensor) for value in table.values()) else None


def published_names(table: Mapping[Any, Any]) -> list[tuple[Any, str]]:
    """Each key of a table of tensors with its published name.

    A network inside a larger one (``model.``, ``sam.``, ...) is taken out of it: losses, metrics and averages
    beside it are dropped. Where no prefix marks the network, nothing is dropped.
    """
    plain = {key: ".".join(step for step in str(key).split(".") if step not in INNER) for key in table}
    found = {prefix for name in plain.values() if (prefix := _prefix(name)) is not None} or {""}
    kept = {prefix for prefix in found if not _is_average(prefix)} or found
    named = []
    for key, name in plain.items():
        prefix = max((one for one in found if name.startswith(one)), key=len, default=None)
        if prefix is not None and prefix in kept:
            named.append((key, name.removeprefix(prefix)))
    return named


def _prefix(name: str) -> str | None:
    """Return the prefix of the network's parts with its dot, None if the name has none of them."""
    steps = name.split(".")
    place = next((place for place, step in enumerate(steps) if step in PARTS), None)
    return None if place is None else "".join(f"{step}." for step in steps[:place])


def _is_average(prefix: str) -> bool:
    return any(word in AVERAGES for step in prefix.lower().split(".") for word in step.split("_"))
