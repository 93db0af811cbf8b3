"""Which Python objects a pickle asks for, read from its opcodes: nothing is imported or executed."""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

# what torch.save itself writes for a table of tensors
HARMLESS = frozenset(
    {
        "collections.OrderedDict",
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_parameter",
        "torch.nn.parameter.Parameter",
    }
)
SEVERAL = 8
"""An old-format file is a few pickles in a row, then raw numbers."""


def foreign_names(path: Path) -> list[str]:
    """The dotted names of objects other than tensors that a checkpoint's pickle refers to, in order."""
    names: dict[str, None] = {}
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                member = next(name for name in archive.namelist() if name.endswith("data.pkl"))
                with archive.open(member) as file:
                    names.update(dict.fromkeys(_globals(file)))
        else:
            with path.open("rb") as file:
                for _ in range(SEVERAL):
                    for name in _globals(file):
                        names[name] = None
    except Exception:  # a damaged pickle fails in any way; what was found before is still worth telling
        pass
    return [name for name in names if name not in HARMLESS and not _is_storage(name)]


def _globals(file: IO[bytes]) -> Iterator[str]:
    strings: list[str] = []
    memo: list[str] = []
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name in {"GLOBAL", "INST"}:
            yield str(argument).replace(" ", ".")
        elif opcode.name == "STACK_GLOBAL":
            yield ".".join(strings[-2:])
        elif opcode.name == "MEMOIZE":
            memo.append(strings[-1] if strings else "")
        elif opcode.name in {"BINGET", "LONG_BINGET"} and isinstance(argument, int) and argument < len(memo):
            strings.append(memo[argument])
        elif isinstance(argument, str):
            strings.append(argument)


def _is_storage(name: str) -> bool:
    return name.startswith("torch.") and name.endswith("Storage")
