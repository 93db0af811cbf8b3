"""Table of the known models: the purpose, source, licence and hash of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_samv1.checkpoints.folders import weights_path
from napari_samv1.records.preparation import BUNDLED, PUBLISHED, Preparation

META = "https://dl.fbaipublicfiles.com/segment_anything"
BIOIMAGE = "https://uk1s3.embassy.ebi.ac.uk/public-datasets/bioimage.io"

KIRILLOV_2023 = "Kirillov et al. 2023, Segment Anything, arXiv:2304.02643"
ARCHIT_2025 = "Archit et al. 2025, Segment Anything for Microscopy, doi:10.1038/s41592-024-02580-4"


@dataclass(frozen=True)
class KnownModel:
    """A row of the table of models.

    ``digest`` is ``algorithm:hexadecimal`` with sha256 or xxh128. ``url`` is None where the weights are
    part of this package.
    """

    name: str
    summary: str
    filename: str
    megabytes: int
    licence: str
    citation: str
    preparation: Preparation = PUBLISHED
    url: str | None = None
    digest: str | None = None
    dense_digest: str | None = None

    @property
    def is_bundled(self) -> bool:
        return self.url is None

    @property
    def most_bytes(self) -> int:
        """Upper bound of the file's size, because ``megabytes`` is rounded."""
        return int((1.05 * self.megabytes + 1) * 1e6)

    @property
    def path(self) -> Path:
        """Path of the file, downloaded or not."""
        if self.is_bundled:
            return Path(__file__).parent / "bundled" / self.filename
        return weights_path(self.filename)

    @property
    def is_on_disk(self) -> bool:
        return self.path.is_file()


_ROWS = (
    KnownModel(
        name="tiny",
        summary="comes with the plugin: nuclei, cells, particles; fast without a GPU",
        filename="tiny.pt",
        megabytes=13,
        licence="BSD-3-Clause",
        citation="napari-samv1",
        preparation=BUNDLED,
        digest="sha256:4dc30b0a0314c90fab10ee0fb4abd676b3ad9724bbaa9cca3bfa1d61798d7ca9",
        dense_digest="sha256:84771f2d6a5f855ed3a35e3bd4d0ec64229598cbed8e7184a8a74dc9dd5277fb",
    ),
    KnownModel(
        name="vit_b",
        summary="natural images, the smallest published model",
        filename="sam_vit_b_01ec64.pth",
        megabytes=375,
        licence="Apache-2.0",
        citation=KIRILLOV_2023,
        url=f"{META}/sam_vit_b_01ec64.pth",
        digest="sha256:ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
    ),
    KnownModel(
        name="vit_l",
        summary="natural images, more accurate, three times the work of vit_b",
        filename="sam_vit_l_0b3195.pth",
        megabytes=1250,
        licence="Apache-2.0",
        citation=KIRILLOV_2023,
        url=f"{META}/sam_vit_l_0b3195.pth",
        digest="sha256:3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
    ),
    KnownModel(
        name="vit_h",
        summary="natural images, the most accurate, wants a GPU",
        filename="sam_vit_h_4b8939.pth",
        megabytes=2565,
        licence="Apache-2.0",
        citation=KIRILLOV_2023,
        url=f"{META}/sam_vit_h_4b8939.pth",
        digest="sha256:a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
    ),
    KnownModel(
        name="vit_b_lm",
        summary="light microscopy: cells and nuclei (micro-sam)",
        filename="vit_b_lm.pt",
        megabytes=375,
        licence="CC-BY-4.0",
        citation=ARCHIT_2025,
        url=f"{BIOIMAGE}/diplomatic-bug/1.2/files/vit_b.pt",
        digest="xxh128:fe9252a29f3f4ea53c15a06de471e186",
    ),
    KnownModel(
        name="vit_l_lm",
        summary="light microscopy, more accurate (micro-sam)",
        filename="vit_l_lm.pt",
        megabytes=1250,
        licence="CC-BY-4.0",
        citation=ARCHIT_2025,
        url=f"{BIOIMAGE}/idealistic-rat/1.2/files/vit_l.pt",
        digest="xxh128:017f20677997d628426dec80a8018f9d",
    ),
    KnownModel(
        name="vit_b_em_organelles",
        summary="electron microscopy: mitochondria, nuclei, other organelles (micro-sam)",
        filename="vit_b_em_organelles.pt",
        megabytes=375,
        licence="CC-BY-4.0",
        citation=ARCHIT_2025,
        url=f"{BIOIMAGE}/noisy-ox/1.2/files/vit_b.pt",
        digest="xxh128:f3bf2ed83d691456bae2c3f9a05fb438",
    ),
    KnownModel(
        name="vit_l_em_organelles",
        summary="electron microscopy, more accurate (micro-sam)",
        filename="vit_l_em_organelles.pt",
        megabytes=1250,
        licence="CC-BY-4.0",
        citation=ARCHIT_2025,
        url=f"{BIOIMAGE}/humorous-crab/1.2/files/vit_l.pt",
        digest="xxh128:810b084b6e51acdbf760a993d8619f2d",
    ),
)

MODELS = {row.name: row for row in _ROWS}
"""The known models by name, in the order in which they are shown."""
