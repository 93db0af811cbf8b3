"""Settings of a batch run as one record, the same in TOML, on the command line and in code."""

from __future__ import annotations

import json
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from napari_samv1.records.automatic import AutomaticSettings

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
class SegmentSettings:
    """Settings of a run over files: the model, the planes, their intensities, and the output formats.

    ``channel`` and ``plane`` choose the planes to segment; by default all of the image. ``intensity`` is two
    limits, "dtype" or "minmax"; by default uint8 as it is and other types by their percentiles.
    ``formats`` are written for each image. ``automatic`` holds the settings of ``segment_everything``.

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
    formats: tuple[Format, ...] = ("tif",)
    automatic: AutomaticSettings = field(default_factory=AutomaticSettings)

    def __post_init__(self) -> None:
        unknown = [name for name in self.formats if name not in get_args(Format)]
        if unknown or not self.formats:
            raise SettingsError(
                f"formats must be some of {', '.join(get_args(Format))}, got {', '.join(unknown) or 'none'}"
            )
        object.__setattr__(self, "formats", tuple(dict.fromkeys(self.formats)))
        if self.channel is not None and not (type(self.channel) is int and self.channel >= 0):
            raise SettingsError(f"channel must be a whole number from 0 on, got {self.channel!r}")
        if self.plane is not None:
            places = tuple(self.plane)
            if not all(type(place) is int and place >= 0 for place in places):
                raise SettingsError(f"plane must be whole numbers from 0 on, got {self.plane!r}")
            object.__setattr__(self, "plane", places)
        if isinstance(self.intensity, list | tuple):
            if len(self.intensity) != 2 or not all(isinstance(one, int | float) for one in self.intensity):
                raise SettingsError(f"intensity limits must be two numbers, got {self.intensity!r}")
            object.__setattr__(self, "intensity", (float(self.intensity[0]), float(self.intensity[1])))
        elif self.intensity not in (None, "dtype", "minmax"):
            raise SettingsError(f'intensity must be [low, high], "dtype" or "minmax", got {self.intensity!r}')

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    def to_toml(self) -> str:
        """The record as TOML, without values that are not set."""
        plain = self.to_json()
        automatic = plain.pop("automatic")
        lines = [f"{name} = {_toml(value)}" for name, value in plain.items() if value is not None]
        lines += ["", "[automatic]"]
        lines += [f"{name} = {_toml(value)}" for name, value in automatic.items() if value is not None]
        return "\n".join(lines) + "\n"

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
        _require_names(changes, type(self))
        _require_names(automatic, AutomaticSettings)
        if type(changes.get("plane")) is int:
            changes["plane"] = (changes["plane"],)
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


def _require_names(values: Mapping[str, Any], record: type) -> None:
    names = [one.name for one in fields(record)]
    unknown = sorted(set(values) - set(names))
    if unknown:
        raise SettingsError(f"there is no setting {', '.join(unknown)}; there are {', '.join(names)}")


def _toml(value: Any) -> str:
    # JSON and TOML write numbers, strings, booleans and lists of them in the same way
    return json.dumps(value, ensure_ascii=False)
