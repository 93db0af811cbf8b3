"""The table of tensors in a checkpoint's pickle, read without Python's unpickler.

A pickle is a program. This module reads the part of its language that tables of weights use: numbers,
strings, tuples, lists, tables, and torch's tensors. Any other object becomes an ``Opaque``: its name is
noted, and nothing is imported, called or allocated.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any

import torch

from napari_samv1.checkpoints.stored import DamageError, Storage, StoredTensor

DTYPES = {
    "torch.DoubleStorage": torch.float64,
    "torch.FloatStorage": torch.float32,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
    "torch.ComplexFloatStorage": torch.complex64,
    "torch.ComplexDoubleStorage": torch.complex128,
}
TABLES = frozenset({"collections.OrderedDict", "collections.defaultdict", "builtins.dict"})
TENSORS = frozenset({"torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor"})
PARAMETERS = frozenset({"torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"})
TYPED = "torch._tensor._rebuild_from_type_v2"

HARMLESS = TABLES | {
    *("argparse.Namespace", "collections.Counter", "_codecs.encode", "copyreg._reconstructor"),
    *(f"builtins.{name}" for name in ("bytearray", "complex", "frozenset", "list", "object", "set", "slice")),
    *(f"pathlib.{name}" for name in ("Path", "PosixPath", "PurePosixPath", "PureWindowsPath", "WindowsPath")),
    *("numpy.dtype", "numpy.ndarray"),
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    *("torch.Size", "torch.device", "torch.Tensor", "torch.nn.parameter.Parameter", TYPED),
    *(
        f"{package}.AttributeDict"
        for package in (
            "lightning.fabric.utilities.data",
            "lightning_fabric.utilities.data",
            "lightning.pytorch.utilities.parsing",
            "pytorch_lightning.utilities.parsing",
        )
    ),
}
"""Names found beside weights in files of training tools. Their objects are skipped; a file with any other
name is refused, because it is made to be executed."""

RENAMED = {"__builtin__": "builtins", "copy_reg": "copyreg"}


class Opaque:
    """An object other than weights."""


@dataclass(frozen=True)
class _Name:
    """A class or a function that the pickle names."""

    dotted: str


@dataclass
class Mentioned:
    """Dotted names of all classes and functions in a file's pickles, in order, and storages by key."""

    names: dict[str, None] = field(default_factory=dict)
    storages: dict[str, Storage] = field(default_factory=dict)

    @property
    def foreign(self) -> list[str]:
        """Names that files of weights do not have."""
        return [name for name in self.names if is_foreign(name)]


OPAQUE = Opaque()
_MARK = object()


def is_foreign(name: str) -> bool:
    """Return True if files of weights do not have this dotted name."""
    is_torchs_own = name.startswith("torch.") and (
        name.endswith("Storage") or isinstance(getattr(torch, name.removeprefix("torch."), None), torch.dtype)
    )
    return not (is_torchs_own or name in HARMLESS or name.startswith("torch._utils._rebuild_"))


def read_pickle(file: IO[bytes], mentioned: Mentioned) -> Any:
    """Read the content of one pickle and add its names to ``mentioned``, even if it is damaged.

    Raises ``DamageError`` if it is.
    """
    reader = _Reader(mentioned)
    try:
        for opcode, argument, _ in pickletools.genops(file):
            reader.take(opcode.name, argument)
        return reader.stack.pop()
    # catches all, because pickletools raises any error at damaged bytes
    except Exception as error:
        raise DamageError(f"its table of tensors cannot be read ({error or type(error).__name__})") from error


class _Reader:
    """The stack and the memory of a pickle that is being read."""

    def __init__(self, mentioned: Mentioned) -> None:
        self.mentioned = mentioned
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def take(self, name: str, argument: Any) -> None:
        """Follow one instruction."""
        if name in CONSTANTS:
            self.stack.append(argument)
        else:
            ACTIONS[name](self, argument)

    def pop_many(self, count: int) -> tuple[Any, ...]:
        if len(self.stack) < count:
            raise DamageError("it takes more than there is")
        taken = tuple(self.stack[len(self.stack) - count :])
        del self.stack[len(self.stack) - count :]
        return taken

    def pop_to_mark(self) -> tuple[Any, ...]:
        place = len(self.stack) - 1
        while self.stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise DamageError("a mark is missing")
        taken = tuple(self.stack[place + 1 :])
        del self.stack[place:]
        return taken

    def name(self, module: str, name: str) -> None:
        dotted = f"{RENAMED.get(module, module)}.{name}"
        self.mentioned.names[dotted] = None
        self.stack.append(_Name(dotted))

    def stack_global(self, _: Any) -> None:
        module, name = self.pop_many(2)
        self.name(str(module), str(name))

    def set_items(self, items: tuple[Any, ...]) -> None:
        table = self.stack[-1]
        if isinstance(table, dict):
            # other keys are no names of weights, and hashing a nested one can take forever
            table.update(
                (key, value)
                for key, value in zip(items[::2], items[1::2], strict=True)
                if type(key) in {str, int}
            )

    def append_items(self, items: tuple[Any, ...]) -> None:
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(items)

    def reduce(self, _: Any) -> None:
        made, arguments = self.pop_many(2)
        self.stack.append(_made(made, arguments))

    def new(self, count: int) -> None:
        self.pop_many(count)
        self.stack.append(OPAQUE)

    def instance(self, words: str) -> None:
        self.pop_to_mark()
        self.name(*words.split(" ", 1))
        self.stack[-1] = OPAQUE

    def marked_new(self, _: Any) -> None:
        self.pop_to_mark()
        self.stack.append(OPAQUE)

    def storage(self, _: Any) -> None:
        (identity,) = self.pop_many(1)
        kind, storage_type, key, _, count, *view = identity
        is_known = kind == "storage" and isinstance(storage_type, _Name) and isinstance(key, str)
        if not is_known or type(count) is not int or count < 0 or any(one is not None for one in view):
            raise DamageError("a tensor is stored in an unknown way")
        storage = Storage(key, DTYPES.get(storage_type.dotted), count)
        self.stack.append(self.mentioned.storages.setdefault(key, storage))


def _made(made: Any, arguments: Any) -> Any:
    """Result of a call, or ``OPAQUE`` if it is neither a table nor a tensor."""
    name = made.dotted if isinstance(made, _Name) else ""
    if not isinstance(arguments, tuple):
        raise DamageError("a call without arguments")
    if name in TABLES:
        pairs = arguments[0] if arguments and isinstance(arguments[0], list) else []
        return {pair[0]: pair[1] for pair in pairs if len(pair) == 2 and type(pair[0]) in {str, int}}
    if name in TENSORS:
        storage, offset, shape, stride = arguments[:4]
        if not isinstance(storage, Storage):
            raise DamageError("a tensor without numbers")
        return StoredTensor(storage, offset, tuple(shape), tuple(stride))
    if name in PARAMETERS:
        return arguments[0]
    if name == TYPED:
        return _made(arguments[0], arguments[2]) if isinstance(arguments[0], _Name) else OPAQUE
    return OPAQUE


CONSTANTS = frozenset(
    {
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING"),
        *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    }
)
"""Instructions whose argument is the value."""


def _push(make: Callable[[], Any]) -> Callable[[_Reader, Any], None]:
    return lambda reader, _: reader.stack.append(make())


def _tuple_of(count: int) -> Callable[[_Reader, Any], None]:
    return lambda reader, _: reader.stack.append(reader.pop_many(count))


def _keep(reader: _Reader, place: int) -> None:
    reader.memo[place] = reader.stack[-1]


ACTIONS: dict[str, Callable[[_Reader, Any], Any]] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda reader, _: None),
    "MARK": _push(lambda: _MARK),
    "NONE": _push(lambda: None),
    "NEWTRUE": _push(lambda: True),
    "NEWFALSE": _push(lambda: False),
    "EMPTY_TUPLE": _push(tuple),
    "EMPTY_LIST": _push(list),
    "EMPTY_DICT": _push(dict),
    "EMPTY_SET": _push(lambda: OPAQUE),
    **{f"TUPLE{count}": _tuple_of(count) for count in (1, 2, 3)},
    "TUPLE": lambda reader, _: reader.stack.append(reader.pop_to_mark()),
    "LIST": lambda reader, _: reader.stack.append(list(reader.pop_to_mark())),
    "DICT": lambda reader, _: _dict(reader),
    "FROZENSET": _Reader.marked_new,
    "APPEND": lambda reader, _: reader.append_items(reader.pop_many(1)),
    "APPENDS": lambda reader, _: reader.append_items(reader.pop_to_mark()),
    "SETITEM": lambda reader, _: reader.set_items(reader.pop_many(2)),
    "SETITEMS": lambda reader, _: reader.set_items(reader.pop_to_mark()),
    "ADDITEMS": lambda reader, _: reader.pop_to_mark(),
    "POP": lambda reader, _: reader.pop_many(1),
    "POP_MARK": lambda reader, _: reader.pop_to_mark(),
    "DUP": lambda reader, _: reader.stack.append(reader.stack[-1]),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _keep),
    "MEMOIZE": lambda reader, _: _keep(reader, len(reader.memo)),
    **dict.fromkeys(
        ("GET", "BINGET", "LONG_BINGET"), lambda reader, place: reader.stack.append(reader.memo[place])
    ),
    "GLOBAL": lambda reader, words: reader.name(*words.split(" ", 1)),
    "STACK_GLOBAL": _Reader.stack_global,
    "INST": _Reader.instance,
    "OBJ": _Reader.marked_new,
    "NEWOBJ": lambda reader, _: reader.new(2),
    "NEWOBJ_EX": lambda reader, _: reader.new(3),
    "REDUCE": _Reader.reduce,
    # the state of an object holds no weights
    "BUILD": lambda reader, _: reader.pop_many(1),
    "BINPERSID": _Reader.storage,
}


def _dict(reader: _Reader) -> None:
    items = reader.pop_to_mark()
    reader.stack.append({})
    reader.set_items(items)
