"""Detection of changed weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor, nn


class Places:
    """Places of parameters in their modules, found once because walking all modules takes milliseconds."""

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        self._places = [
            (module, name) for module in modules for name, _ in module.named_parameters(recurse=False)
        ]

    def parameters(self) -> list[Tensor]:
        """Current parameters at these places."""
        return [getattr(module, name) for module, name in self._places]


class Unchanged:
    """Recognises parameters as the same tensors with the same values.

    It keeps them alive, because other tensors could reuse the memory of freed ones. Writes through ``.data``
    go unnoticed.
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self._held = [parameter.detach() for parameter in parameters]
        self._versions = _versions(parameters)

    def are(self, parameters: Sequence[Tensor]) -> bool:
        """Return True if the parameters were neither replaced nor written to."""
        return _versions(parameters) == self._versions and all(
            now.data_ptr() == then.data_ptr() and now.dtype == then.dtype
            for now, then in zip(parameters, self._held, strict=True)
        )


def _versions(parameters: Sequence[Tensor]) -> list[int]:
    # inference tensors have no version counter
    return [0 if one.is_inference() else one._version for one in parameters]
