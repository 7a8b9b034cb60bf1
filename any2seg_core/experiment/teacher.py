# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of the frozen vision-language teacher."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field, field_validator, model_validator

from any2seg_core.config import Settings
from any2seg_core.errors import ConfigError
from any2seg_core.frames import Modality

IMAGE: Final = "image"
DEPTH: Final = "depth"
TOWERS: Final = (IMAGE, DEPTH, "thermal")
"""Image encoders that a teacher may have; all but languagebind and tiny have the image tower alone."""

_TOWER_OF: Final = {Modality.DEPTH: DEPTH, Modality.LIDAR: DEPTH}
"""Towers of modalities where they are not the image tower, of teachers that have several."""

PROMPT: Final = (
    "Describe this scene in one sentence of at most 40 words. "
    "Of the following, mention only what you can see: {classes}. Answer with the sentence alone."
)


class TeacherConfig(Settings):
    """Who the teacher is and what it is shown; what shapes its embeddings is part of their cache's fingerprint."""

    kind: Literal["none", "tiny", "languagebind", "hf_clip"] = Field(
        "none", description="kind of teacher; none: no LSCD"
    )
    path: str = Field("", description="languagebind: folder with one folder per tower; hf_clip: folder or hub name")
    revision: str = Field("", description="commit of a hub name; empty: its newest")
    cache: str = Field(
        "", description="safetensors file of the embeddings, {split} allowed; empty: beside the data set"
    )
    precision: Literal["fp32", "bf16"] = Field("fp32", description="arithmetic of the towers")
    towers: list[str] = Field(
        [],
        description="modality=tower where it is not the rule: depth and lidar to depth, all else to image; "
        "all to image in hf_clip, which has no other",
    )
    resize: Literal["own", "crop", "squash"] = Field(
        "own", description="pictures become square by a centre crop or by squashing; own: as the teacher was trained"
    )
    depth_input: Literal["metres", "picture"] = Field(
        "metres", description="the depth tower sees metric depth, or the first channel of the depth picture"
    )
    depth_max_m: float = Field(80.0, gt=0.01, le=1000, description="depth that becomes white in the depth tower")
    depth_holes: Literal["far", "near"] = Field(
        "far", description="what metric depth that was not measured looks like; outdoors it is mostly sky"
    )
    inverted: list[str] = Field(
        ["depth", "lidar"],
        description="modalities whose picture is bright where near, turned round for the depth tower: dark is near",
    )
    lidar_dilate_px: int = Field(0, ge=0, le=8, description="radius to which LiDAR points grow in the depth tower")
    caption_source: Literal["template", "jsonl", "model"] = Field("template", description="where scene texts come from")
    captions: str = Field(
        "", description="JSONL file of scene texts to read, or to grow, {split} allowed; empty: beside the cache"
    )
    caption_condition: bool = Field(default=True, description="template: name the weather")
    caption_model: str = Field("", description="image-text-to-text model, a folder or a hub name")
    caption_prompt: str = Field(PROMPT, description="what that model is asked; {classes} lists what the labels hold")
    class_naming: Literal["words", "literal"] = Field(
        "words", description="class names as words ('two-wheeler'), or as the data set writes them ('TwoWheeler')"
    )
    class_names: list[str] = Field([], description="name=words, for class names that should read otherwise")
    class_templates: list[str] = Field(["{name}"], min_length=1, description="prompts of a class name; averaged")
    centre: bool = Field(
        default=False, description="subtract each modality's mean cosine: towers differ in it whatever the picture"
    )
    seed: int = Field(0, ge=0, description="seed of the tiny teacher's random weights")

    @field_validator("class_templates")
    @classmethod
    def _has_name(cls, templates: list[str]) -> list[str]:
        if any("{name}" not in template for template in templates):
            msg = "each with {name} where the class goes"
            raise ValueError(msg)
        return templates

    @field_validator("class_names")
    @classmethod
    def _is_pairs(cls, pairs: list[str]) -> list[str]:
        if any(not all(pair.partition("=")) for pair in pairs):
            msg = "each as name=words"
            raise ValueError(msg)
        return pairs

    @field_validator("inverted")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        known = [modality.value for modality in Modality]
        if any(name not in known for name in names):
            msg = f"names out of {', '.join(known)}"
            raise ValueError(msg)
        return names

    @model_validator(mode="after")
    def _check(self) -> TeacherConfig:
        self.tower_of()
        needed = {"languagebind": "path", "hf_clip": "path"}.get(self.kind)
        if needed and not getattr(self, needed):
            msg = f"kind {self.kind} needs {needed}"
            raise ValueError(msg)
        if self.caption_source == "model" and not self.caption_model:
            msg = "caption_source model needs caption_model"
            raise ValueError(msg)
        if self.caption_source == "jsonl" and not self.captions:
            msg = "caption_source jsonl needs captions"
            raise ValueError(msg)
        return self

    def tower_of(self) -> dict[Modality, str]:
        """Say which tower each modality goes through.

        Raises:
            ConfigError: an entry of towers is not modality=tower, or the teacher lacks the tower.
        """
        single = self.kind == "hf_clip"
        mapping = {modality: IMAGE if single else _TOWER_OF.get(modality, IMAGE) for modality in Modality}
        known = {modality.value: modality for modality in Modality}
        offered = (IMAGE,) if single else TOWERS
        for entry in self.towers:
            name, _, tower = entry.partition("=")
            if name not in known or tower not in offered:
                msg = (
                    f"towers: found {entry!r}, expected modality=tower with one of {', '.join(known)} and one of "
                    f"{', '.join(offered)}"
                )
                raise ConfigError(msg)
            mapping[known[name]] = tower
        return mapping
