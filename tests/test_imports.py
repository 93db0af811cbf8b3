from __future__ import annotations

import json
import subprocess
import sys

import pytest

import napari_samv1

HEAVY = {
    "torch",
    "numpy",
    "napari",
    "qtpy",
    "magicgui",
    "superqt",
    "PySide6",
    "PyQt5",
    "PyQt6",
    "pandas",
    "dask",
}
REPORT = "\nimport json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"


def imported_by(code: str) -> set[str]:
    """The top-level packages that a fresh interpreter holds after running this."""
    output = subprocess.run([sys.executable, "-c", code + REPORT], capture_output=True, text=True, check=True)
    return set(json.loads(output.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        "import napari_samv1; dir(napari_samv1); napari_samv1.__version__",
        "import napari_samv1.cli",
        "from napari_samv1.cli import main; main(['--version'])",
        "from napari_samv1.cli import main; main(['models'])",
        "from napari_samv1 import CheckpointError",
        "import napari_samv1.checkpoints.download",
    ],
)
def test_these_need_neither_torch_nor_napari_nor_qt(code):
    assert not imported_by(code) & HEAVY


@pytest.mark.parametrize("name", ["load_model", "LoadedModel", "Prompts", "Preparation"])
def test_lower_rooms_stay_without_napari_and_qt(name):
    loaded = imported_by(f"from napari_samv1 import {name}")
    assert not loaded & (HEAVY - {"torch", "numpy"})


@pytest.mark.parametrize("name", napari_samv1.__all__)
def test_every_public_name_is_there(name):
    assert name in dir(napari_samv1)
    assert getattr(napari_samv1, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = napari_samv1.nonsense


def test_the_panel_is_imported_without_torch():
    # a click on the menu must not wait for it: the panel's threads fetch it
    assert "torch" not in imported_by("import napari_samv1.widgets.panel.panel")


def test_the_bundled_model_is_loaded_without_sympy():
    # torch imports it for random numbers without memory; it takes as long as the weights
    assert "sympy" not in imported_by("from napari_samv1 import load_model; load_model('tiny', device='cpu')")
