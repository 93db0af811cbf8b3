"""``napari-samv1 replay``: make every mask of a saved session again."""

from __future__ import annotations

import argparse


def run(words: list[str]) -> int:
    """Make every mask of a saved session again, and compare."""
    parser = argparse.ArgumentParser(
        prog="napari-samv1 replay",
        description="Make every mask of a saved session again, as it was made, and compare: exit status 0 "
        "if all are identical, pixel for pixel.",
    )
    parser.add_argument("session", metavar="SESSION", help="the folder that the session was saved in")
    parser.add_argument("--image", metavar="FILE", help="the image (default: the recorded file)")
    parser.add_argument("--model", metavar="FILE", help="the weight file (default: the recorded one)")
    parser.add_argument("--device", metavar="DEVICE", help="device to compute on (default: the recorded one)")
    chosen = parser.parse_args(words)
    from napari_samv1.storage.session.folder import open_session
    from napari_samv1.storage.session.replay import replay

    record = open_session(chosen.session)
    results = []
    for result in replay(record, image=chosen.image, model=chosen.model, device=chosen.device):
        print(f"plane {result.plane}, {result}" if len(record.planes) > 1 else result, flush=True)
        results.append(result)
    identical = sum(result.identical for result in results)
    print(f"{identical} of {len(results)} masks identical")
    return 0 if identical == len(results) else 1
