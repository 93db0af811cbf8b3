"""Detection of changed weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor, nn


class Places:
    """Places of parameters in their modules, found once: walking through all modules takes milliseconds."""

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        self._places = [
            (module, name) for module in modules for name, _ in module.named_parameters(recurse=False)
        ]

    def parameters(self) -> list[Tensor]:
        """The parameters that are there now."""
        return [getattr(module, name) for module, name in self._places]


class Unchanged:
    """Recognises parameters as the same tensors with the same values.

    It holds on to them: freed, their memory could become that of others. Values that are written through
    ``.data`` go unnoticed.
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
    # inference tensors count no versions
    return [0 if one.is_inference() else one._version for one in parameters]
