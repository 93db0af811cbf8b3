"""Settings of a batch run as one record, the same in TOML, on the command line and in code."""

from __future__ import annotations

import json
import math
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from napari_samv1.records.automatic import AutomaticSettings
from napari_samv1.records.display import GREY, Blending, Channel, Colour, Paint
from napari_samv1.records.sight import DEFAULT_PERCENTILES

Format = Literal["tif", "ome-zarr", "coco", "geojson", "csv"]
SUFFIXES: Mapping[Format, str] = {
    "tif": ".tif",
    "ome-zarr": ".zarr",
    "coco": ".coco.json",
    "geojson": ".geojson",
    "csv": ".csv",
}
Limits = tuple[float, float]
Intensity = Limits | Literal["dtype", "minmax"] | None


class SettingsError(ValueError):
    """An invalid setting; the message names it."""


@dataclass(frozen=True)
class ChannelSettings:
    """One channel of a composite: its index on the file's channel axis, its limits and its paint.

    ``channel`` is None for an image without a channel axis. If ``limits`` is None, the ``percentiles`` of
    each plane are used. ``colours``, ``blending`` and ``opacity`` are those of ``Paint``.

    Raises
    ------
    SettingsError
        If a value is invalid.
    """

    channel: int | None = None
    limits: Limits | None = None
    percentiles: Limits = DEFAULT_PERCENTILES
    gamma: float = 1.0
    colours: tuple[Colour, ...] = GREY
    blending: Blending = "translucent"
    opacity: float = 1.0

    def __post_init__(self) -> None:
        if self.channel is not None and not (type(self.channel) is int and self.channel >= 0):
            raise SettingsError(f"channel must be a whole number from 0 on, got {self.channel!r}")
        for name in ("limits", "percentiles"):
            object.__setattr__(self, name, _limits(name, getattr(self, name)))
        if self.percentiles is None or not 0 <= self.percentiles[0] < self.percentiles[1] <= 100:
            raise SettingsError(f"percentiles must lie between 0 and 100, got {self.percentiles}")
        try:
            # both constructors check their arguments
            paint = self.paint
            Channel(*(self.limits or (0.0, 1.0)), self.gamma, paint)
        except (ValueError, TypeError) as error:
            raise SettingsError(str(error)) from error
        object.__setattr__(self, "colours", paint.colours)

    @property
    def paint(self) -> Paint:
        """Colours, blending and opacity over the channels beneath."""
        return Paint(self.colours, self.blending, self.opacity)

    def to_toml(self) -> str:
        """The record as a table in TOML, without values that are not set."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        if self.limits is not None:
            del values["percentiles"]
        return "".join(f"{name} = {_toml(value)}\n" for name, value in values.items() if value is not None)


@dataclass(frozen=True)
class SegmentSettings:
    """Settings of a run over files: the model, the planes, their intensities, and the output formats.

    ``channel`` and ``plane`` select planes of the image; by default all are segmented. ``intensity`` is two
    limits, "dtype" or "minmax"; by default uint8 as it is and other types by their percentiles. In place of
    ``channel`` and ``intensity``, ``composite`` lays channels over each other, the lowest first. ``formats``
    are written for each image. ``automatic`` holds the settings of ``segment_everything``.

    Raises
    ------
    SettingsError
        If a value is invalid.
    """

    model: str = "tiny"
    device: str = "auto"
    channel: int | None = None
    plane: tuple[int, ...] | None = None
    intensity: Intensity = None
    composite: tuple[ChannelSettings, ...] = ()
    formats: tuple[Format, ...] = ("tif",)
    automatic: AutomaticSettings = field(default_factory=AutomaticSettings)

    def __post_init__(self) -> None:
        for name in ("model", "device"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise SettingsError(f"{name} must be text, got {getattr(self, name)!r}")
        if not isinstance(self.formats, list | tuple):
            raise SettingsError(f'formats must be a list, e.g. ["tif"], got {self.formats!r}')
        unknown = [str(name) for name in self.formats if name not in get_args(Format)]
        if unknown or not self.formats:
            raise SettingsError(
                f"formats must be some of {', '.join(get_args(Format))}, got {', '.join(unknown) or 'none'}"
            )
        object.__setattr__(self, "formats", tuple(dict.fromkeys(self.formats)))
        if self.channel is not None and not (type(self.channel) is int and self.channel >= 0):
            raise SettingsError(f"channel must be a whole number from 0 on, got {self.channel!r}")
        if self.plane is not None:
            is_list = isinstance(self.plane, list | tuple)
            if not is_list or not all(type(place) is int and place >= 0 for place in self.plane):
                raise SettingsError(f"plane must be whole numbers from 0 on, got {self.plane!r}")
            object.__setattr__(self, "plane", tuple(self.plane))
        if isinstance(self.intensity, list | tuple):
            object.__setattr__(self, "intensity", _limits("intensity", self.intensity))
        elif self.intensity not in (None, "dtype", "minmax"):
            raise SettingsError(f'intensity must be [low, high], "dtype" or "minmax", got {self.intensity!r}')
        if self.composite and (self.channel is not None or self.intensity is not None):
            raise SettingsError(
                "a composite names its channels and their limits: leave channel and intensity out"
            )
        if len(self.composite) > 1 and None in [one.channel for one in self.composite]:
            raise SettingsError("each channel of a composite needs its number: channel = 0, 1, ...")

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        if not self.composite:
            # outputs of versions without composites stay up to date
            del plain["composite"]
        return plain

    def to_toml(self) -> str:
        """The record as TOML, without values that are not set."""
        plain = self.to_json()
        automatic = plain.pop("automatic")
        plain.pop("composite", None)
        lines = [f"{name} = {_toml(value)}" for name, value in plain.items() if value is not None]
        lines += ["", "[automatic]"]
        lines += [f"{name} = {_toml(value)}" for name, value in automatic.items() if value is not None]
        channels = [f"\n[[composite]]\n{channel.to_toml()}" for channel in self.composite]
        return "\n".join(lines) + "\n" + "".join(channels)

    @classmethod
    def from_toml(cls, text: str, name: str = "the settings") -> SegmentSettings:
        """Make a record from TOML, with defaults for missing values.

        Raises
        ------
        SettingsError
            If it is no TOML, or a name or a value in it is invalid; the message names the file.
        """
        try:
            values = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise SettingsError(f"{name} is no TOML: {error}") from error
        try:
            return cls().changed(values)
        except (SettingsError, ValueError, TypeError) as error:
            raise SettingsError(f"{name}: {error}") from error

    @classmethod
    def from_file(cls, path: Path) -> SegmentSettings:
        """Read a record from a TOML file; see ``from_toml``."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{path} could not be read: {error}") from error
        return cls.from_toml(text, str(path))

    def changed(self, values: Mapping[str, Any]) -> SegmentSettings:
        """Copy with other values; those of ``automatic`` may be a nested table.

        Raises
        ------
        SettingsError
            If a name is unknown.
        """
        changes = dict(values)
        automatic = changes.pop("automatic", {})
        if not isinstance(automatic, Mapping):
            raise SettingsError(f"automatic must be a table, got {automatic!r}")
        _refuse_unknown(changes, type(self))
        _refuse_unknown(automatic, AutomaticSettings)
        if type(changes.get("plane")) is int:
            changes["plane"] = (changes["plane"],)
        if "composite" in changes:
            changes["composite"] = _channels(changes["composite"])
        for listed in ("formats", "plane"):
            if isinstance(changes.get(listed), list):
                changes[listed] = tuple(changes[listed])
        try:
            return replace(self, **changes, automatic=replace(self.automatic, **automatic))
        except SettingsError:
            raise
        except (ValueError, TypeError) as error:
            raise SettingsError(str(error)) from error


def command_for(settings_file: str, folder: str, output: str) -> str:
    """Command that segments a folder with saved settings, for the user to copy."""
    words = ["napari-samv1", "segment", folder, "--output", output, "--settings", settings_file]
    return " ".join(map(shlex.quote, words))


def _channels(tables: Any) -> tuple[ChannelSettings, ...]:
    channels = []
    if not isinstance(tables, list | tuple):
        raise SettingsError(f"composite must be tables, [[composite]] each, got {tables!r}")
    for table in tables:
        if not isinstance(table, Mapping):
            raise SettingsError(f"composite must be tables, [[composite]] each, got {table!r}")
        _refuse_unknown(table, ChannelSettings)
        channels.append(ChannelSettings(**table))
    return tuple(channels)


def _limits(name: str, limits: Any) -> Limits | None:
    if limits is None:
        return None
    is_pair = isinstance(limits, list | tuple) and len(limits) == 2
    if not is_pair or any(
        isinstance(limit, bool) or not isinstance(limit, int | float) or not math.isfinite(limit)
        for limit in limits
    ):
        raise SettingsError(f"{name} must be two numbers, got {limits!r}")
    if not limits[0] < limits[1]:
        raise SettingsError(f"{name} must be the lower one first, then the higher, got {limits!r}")
    return float(limits[0]), float(limits[1])


def _refuse_unknown(values: Mapping[str, Any], record: type) -> None:
    names = [field.name for field in fields(record)]
    unknown = sorted(set(values) - set(names))
    if unknown:
        raise SettingsError(f"there is no setting {', '.join(unknown)}; there are {', '.join(names)}")


def _toml(value: Any) -> str:
    # JSON and TOML write numbers, strings, booleans and lists of them in the same way
    return json.dumps(value, ensure_ascii=False)
