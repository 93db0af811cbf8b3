from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from napari.layers import Layer
from npe2 import PluginManifest

import napari_samv1

MANIFEST = PluginManifest.from_file(Path(napari_samv1.__file__).parent / "napari.yaml")
COMMANDS = {command.id: command.python_name for command in MANIFEST.contributions.commands}


@pytest.mark.parametrize("sample", [sample.command for sample in MANIFEST.contributions.sample_data])
def test_a_sample_is_a_real_image_that_needs_no_download(sample):
    # every connection that leaves this machine raises here
    module, name = COMMANDS[sample].split(":")
    (data, options, kind), *rest = getattr(import_module(module), name)()
    assert rest == []
    assert kind == "image"
    layer = Layer.create(data if isinstance(data, list) else np.asarray(data), options, kind)
    assert min((layer.data[0] if layer.multiscale else layer.data).shape[:2]) > 250
