# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What the known data sets look like on disk: folders, file names, classes, how values are to be read.

A new data set is one more record here; nothing else needs to know of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_core.errors import ConfigError
from any2seg_core.frames import DELIVER_CLASSES, UNLABELLED, ClassTable, Modality

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Source:
    """Files of one modality, or of the labels.

    Attributes:
        files: paths below the root, where {folder} and {name} stand for the two parts of a sample's id.
        reader: how they become a picture, a row of any2seg_core.data.readers.READERS; labels need none.
        resize: files may be smaller than the labels and are brought to their size by nearest pixel.
    """

    files: tuple[str, ...]
    reader: str = "picture"
    resize: bool = False


@dataclass(frozen=True, eq=False)
class DatasetSpec:
    """One data set.

    Samples are found in one of two ways. With `lists`, a text file per split holds the ids. Without, the labels lie in
    <condition>/<split>/<scene>/ folders; a condition is a folder name, a failure the last part of a scene's name.

    Attributes:
        name: what DataConfig.dataset says.
        page: where the data set is described.
        classes: meaning of the ids.
        label_ids: (256,) uint8, the id that each stored value stands for, 255 where unlabelled; an id that the class
            table lacks marks a value that must not occur.
        labels: where the labels are.
        pictures: where each modality is.
        hha: where precomputed HHA pictures of depth are.
        splits: names of the splits.
        conditions: folder names of the weathers.
        failures: scene suffixes of sensor failures.
        lists: path of a split's list of ids, with {split}; empty: samples are found in folders.
        crop_left_px: columns cut off on the left of every file.
        depth_unit_m: metres per count of 16-bit depth.
        depth_limit_m: depth from here on means that nothing was hit.
        manifest: file at the root that says how pictures were drawn; empty: there is none.
    """

    name: str
    page: str
    classes: ClassTable
    label_ids: NDArray[np.uint8]
    labels: Source
    pictures: Mapping[Modality, Source]
    hha: Source | None = None
    splits: tuple[str, ...] = ("train", "val", "test")
    conditions: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    lists: str = ""
    crop_left_px: int = 0
    depth_unit_m: float = 0.001
    depth_limit_m: float = field(default=float("inf"))
    manifest: str = ""

    def source(self, modality: Modality, *, hha: bool) -> Source:
        """Say where a modality is; depth may come as HHA pictures instead.

        Raises:
            ConfigError: the data set does not have it.
        """
        if modality is Modality.DEPTH and hha and self.hha is not None:
            return self.hha
        if modality not in self.pictures or (modality is Modality.DEPTH and hha):
            known = ", ".join(key.value for key in self.pictures)
            wanted = "depth as hha pictures" if modality in self.pictures else repr(modality.value)
            msg = f"data set {self.name}: found {wanted} asked for, expected one of {known}; fix the model's modalities"
            raise ConfigError(msg)
        return self.pictures[modality]


def spec_named(name: str) -> DatasetSpec:
    """Find a data set's record.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in CATALOG:
        msg = f"data set: found {name!r}, expected one of {', '.join(CATALOG)}; fix data.dataset"
        raise ConfigError(msg)
    return CATALOG[name]


def _one_more() -> NDArray[np.uint8]:
    """Stored value = id + 1 in 8 bits; 0 and 255 are unlabelled, as DELIVER's loader reads its labels."""
    stored = np.arange(256, dtype=np.uint8)
    stored[255] = 0
    return stored - np.uint8(1)


def _mcubes_table() -> ClassTable:
    rows = """asphalt 44 160 44|concrete 31 119 180|metal 255 127 14|road_marking 214 39 40|fabric 140 86 75
    |glass 127 127 127|plaster 188 189 34|plastic 255 152 150|rubber 23 190 207|sand 174 199 232|gravel 196 156 148
    |ceramic 197 176 213|cobblestone 247 182 210|brick 199 199 199|grass 219 219 141|wood 158 218 229|leaf 57 59 121
    |water 107 110 207|human 156 158 222|sky 99 121 57"""
    fields = [row.split() for row in rows.split("|")]
    colours = np.array([[int(value) for value in row[1:]] for row in fields], np.uint8)
    return ClassTable(tuple(row[0] for row in fields), colours)


MCUBES_CLASSES: Final = _mcubes_table()
"""The 20 materials of MCubeS, order and palette as in CMNeXt's loader (https://github.com/jamycheung/DELIVER)."""

_DELIVER_PICTURES: Final = {
    Modality.RGB: Source(("img/{folder}/{name}_rgb_front.png",)),
    Modality.DEPTH: Source(("depth/{folder}/{name}_depth_front.png",), "depth"),
    Modality.EVENT: Source(("event/{folder}/{name}_event_front.png",), resize=True),
    Modality.LIDAR: Source(("lidar/{folder}/{name}_lidar_front.png",)),
}
_DELIVER_LABELS: Final = Source(("semantic/{folder}/{name}_semantic_front.png",))
_DELIVER_HHA: Final = Source(("hha/{folder}/{name}_depth_front.png",))
_CONDITIONS: Final = ("cloud", "fog", "night", "rain", "sun")
_FAILURES: Final = ("motionblur", "overexposure", "underexposure", "lidarjitter", "eventlowres")

DELIVER: Final = DatasetSpec(
    name="deliver",
    page="https://github.com/jamycheung/DELIVER",
    classes=DELIVER_CLASSES,
    label_ids=_one_more(),
    labels=_DELIVER_LABELS,
    pictures=_DELIVER_PICTURES,
    hha=_DELIVER_HHA,
    conditions=_CONDITIONS,
    failures=_FAILURES,
    # CARLA draws the sky at its far plane of 1000 m.
    depth_limit_m=999.0,
)

STREET: Final = DatasetSpec(
    name="street",
    page="any2seg_sim.dataset",
    classes=DELIVER_CLASSES,
    label_ids=_one_more(),
    labels=_DELIVER_LABELS,
    pictures=_DELIVER_PICTURES,
    hha=_DELIVER_HHA,
    conditions=_CONDITIONS,
    failures=_FAILURES,
    manifest="dataset.json",
)

MCUBES: Final = DatasetSpec(
    name="mcubes",
    page="https://github.com/kyotovision-public/multimodal-material-segmentation",
    classes=MCUBES_CLASSES,
    label_ids=np.arange(UNLABELLED + 1, dtype=np.uint8),
    labels=Source(("GT/{name}.png",)),
    pictures={
        Modality.RGB: Source(("polL_color/{name}.png",)),
        Modality.NIR: Source(("NIR_warped/{name}.png",)),
        Modality.AOLP: Source(("polL_aolp_sin/{name}.npy", "polL_aolp_cos/{name}.npy"), "angle"),
        Modality.DOLP: Source(("polL_dolp/{name}.npy",), "share"),
    },
    # CMNeXt's loader reads test.txt when it says "val": published numbers are those of "test" here.
    lists="list_folder/{split}.txt",
    crop_left_px=192,
)

CATALOG: Final = {spec.name: spec for spec in (DELIVER, MCUBES, STREET)}
