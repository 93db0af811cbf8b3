"""Any array -> model input; ``Frame`` is the only owner of coordinate maps."""

from napari_samv1.imaging.frame import Frame
from napari_samv1.imaging.intensity import Intensity, to_rgb8
from napari_samv1.imaging.prepare import prepare

__all__ = ["Frame", "Intensity", "prepare", "to_rgb8"]
