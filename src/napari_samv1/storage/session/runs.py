"""Masks as COCO run lengths: background and foreground in turn, down the columns, background first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_samv1.records.mask_crop import MaskCrop

Counts = NDArray[np.int64]

_FIRST_CHARACTER = 48
_DIGIT_BITS = 5
_MOST_DIGITS = 13  # of 5 bits, for 64


def run_lengths(crop: MaskCrop, image_hw: tuple[int, int] | None = None) -> Counts:
    """Run lengths of a mask in its image, or in its box without ``image_hw``; no image is made."""
    height, width = crop.mask.shape if image_hw is None else image_hw
    top, left = (0, 0) if image_hw is None else crop.origin_yx
    columns = np.zeros((crop.mask.shape[1], crop.mask.shape[0] + 2), dtype=np.int8)
    columns[:, 1:-1] = crop.mask.T
    column, edge = np.nonzero(np.diff(columns, axis=1))
    # the edges of a column come in pairs: the first row inside, the first row after
    places = (left + column.astype(np.int64)) * height + top + edge
    starts, stops = places[::2], places[1::2]
    # a run that ends at the bottom continues in the next column
    first, last = np.ones((2, len(starts)), dtype=bool)
    first[1:] = last[:-1] = starts[1:] != stops[:-1]
    edges = np.stack([starts[first], stops[last]], axis=1).ravel()
    counts = np.diff(edges, prepend=0, append=height * width)
    return counts if counts[-1] or len(counts) == 1 else counts[:-1]


def from_run_lengths(counts: Counts, size_hw: tuple[int, int], origin_yx: tuple[int, int]) -> MaskCrop:
    """The tight crop of a mask whose box (height, width) lies at ``origin_yx`` of the image.

    Raises
    ------
    ValueError
        If the run lengths do not fill the box.
    """
    height, width = size_hw
    area = height * width
    # each must fit into the box, because a sum that wraps around could equal its area
    if len(counts) == 0 or counts.min() < 0 or counts.max() > area or int(counts.sum()) != area:
        raise ValueError(f"run lengths must be 0 or more and fill {height} x {width} pixels")
    values = np.zeros(len(counts), dtype=bool)
    values[1::2] = True
    mask = np.repeat(values, counts).reshape(width, height).T
    return MaskCrop.from_mask(mask, origin_yx)


def to_text(counts: Counts) -> str:
    """Run lengths as COCO's compressed string: differences to the last but one, 5 bits a character."""
    values = counts.copy()
    values[3:] -= counts[1:-2]
    digits, more = [], []
    unfinished = np.ones(len(values), dtype=bool)
    while unfinished.any():
        digit = values & 31
        values = values >> _DIGIT_BITS
        # finished once the rest repeats the digit's highest bit, which is the sign
        goes_on = np.where(digit & 16, values != -1, values != 0)
        digits.append(np.where(unfinished, digit + 32 * goes_on + _FIRST_CHARACTER, 0))
        more.append(unfinished)
        unfinished = unfinished & goes_on
    if not digits:
        return ""
    table, used = np.stack(digits, axis=1), np.stack(more, axis=1)
    return table[used].astype(np.uint8).tobytes().decode("ascii")


def from_text(text: str) -> Counts:
    """Run lengths from COCO's compressed string.

    Raises
    ------
    ValueError
        If the text is not such a string.
    """
    try:
        codes = np.frombuffer(text.encode("ascii"), dtype=np.uint8).astype(np.int64) - _FIRST_CHARACTER
    except UnicodeEncodeError as error:
        raise ValueError("run lengths hold a character that is not ASCII") from error
    if len(codes) == 0:
        return codes
    if codes.min() < 0 or codes.max() > 63 or codes[-1] & 32:
        raise ValueError("run lengths are cut off or hold an invalid character")
    last = np.flatnonzero(~codes & 32)
    first = np.r_[0, last[:-1] + 1]
    if int((last - first).max()) >= _MOST_DIGITS - 1:
        raise ValueError("a run length is longer than any image")
    place = np.arange(len(codes)) - np.repeat(first, last - first + 1)
    values = np.add.reduceat((codes & 31) << (_DIGIT_BITS * place), first)
    negative = codes[last] & 16
    values = np.where(negative, values - (np.int64(1) << (_DIGIT_BITS * (last - first + 1))), values)
    # differences to the last but one, from the fourth on: two interleaved sums
    for start in (1, 2):
        values[start::2] = np.cumsum(values[start::2])
    return values
