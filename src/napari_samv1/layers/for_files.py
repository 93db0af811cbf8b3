"""Settings for files that let a model see them as it sees the annotated image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from napari.layers import Image, Layer

from napari_samv1.batch.settings import ChannelSettings, Intensity, SegmentSettings, SettingsError
from napari_samv1.images.seen import Limits, SeenImage
from napari_samv1.layers.image import DisplayedPlane
from napari_samv1.layers.ome_tiff import channel_of, path_of
from napari_samv1.records.display import PLAIN

OF_ONE_FILE = (
    "A folder's images are segmented file by file, and these channels are not known to be of one file: open "
    "an OME-TIFF by `napari-samv1 FILE`, or let the model see the layer alone (Model sees)."
)
OF_ONE_SLICE = (
    "A folder's images are segmented slice by slice: set the slider's slice thickness to 0 (right-click on "
    "it)."
)
NOT_FOUND = "The limits of the stack are not found yet: press Encode first."


def as_seen(
    settings: SegmentSettings, plane: DisplayedPlane, image: Image, layers: Iterable[Layer]
) -> SegmentSettings:
    """The settings with the channels and limits by which the model sees a plane of an image.

    Raises
    ------
    SettingsError
        If no file is seen like that; the message says why.
    """
    seen, sight = plane.seen, plane.seen.sight
    if any(one.projection is not None for one in seen.images):
        raise SettingsError(OF_ONE_SLICE)
    found = [limits for _, limits in seen.limits]
    if any(one is None for one in found) and sight.limits == "stack":
        raise SettingsError(NOT_FOUND)
    first = seen.images[0]
    if seen.is_alone and (first.paint, first.gamma) == (PLAIN, 1) and sight.limits != "plane":
        intensity: Intensity = plane.intensity if sight.limits == "displayed" else found[0]
        if str(image.dtype) == "uint8" and intensity == (0.0, 255.0):
            intensity = None
        return replace(settings, channel=channel_of(image), intensity=intensity)
    shown = {layer.unique_id: layer for layer in layers if isinstance(layer, Image)}
    channel_layers = [image if seen.is_alone else shown[one.image] for one in seen.images]
    numbers = [channel_of(layer) for layer in channel_layers]
    if len(channel_layers) > 1 and (None in numbers or len({path_of(layer) for layer in channel_layers}) > 1):
        raise SettingsError(OF_ONE_FILE)
    limits = [None if sight.limits == "plane" else one for one in found]
    channels = map(_channel, seen.images, numbers, limits, [sight.percentiles] * len(channel_layers))
    return replace(settings, composite=tuple(channels))


def _channel(
    seen: SeenImage, number: int | None, limits: Limits | None, percentiles: Limits
) -> ChannelSettings:
    paint = seen.paint
    return ChannelSettings(
        number, limits, percentiles, seen.gamma, paint.colours, paint.blending, paint.opacity
    )
