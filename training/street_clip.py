# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Train a small CLIP on pictures of all modalities and their scene descriptions: a teacher that needs no download.

Run: python training/street_clip.py training/experiments/study_lscd.yaml
Writes model, tokenizer, image processor and scores.json, how well it tells descriptions apart on the split val, to
teacher.path. It knows these streets and nothing else: it lets L_cr and L_se be tried, and is no foundation model.
Exit status: 0 done; 1 refused or failed.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from cache_teacher import DatasetSource
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch.nn import functional
from tqdm import tqdm
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, PreTrainedTokenizerFast

from any2seg_core.errors import Any2SegError, ConfigError
from any2seg_core.experiment import Experiment, load_experiment
from any2seg_core.frames import Modality
from any2seg_core.teacher import SampleView
from any2seg_core.teacher.captions import TemplateCaptioner, present_classes
from any2seg_core.teacher.kinds import open_teacher
from any2seg_core.teacher.names import class_phrases

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from any2seg_core.teacher import Teacher

KEPT_PX: Final = 128
"""Side of the pictures that are kept in memory, out of which crops are cut."""

SIDE_PX: Final = 96
PATCH_PX: Final = 12
WIDTH: Final = 192
LAYERS: Final = {"vision": 6, "text": 3}
HEADS: Final = 3
DIM: Final = 128
TOKENS: Final = 64
SMALLEST_CROP: Final = 0.5
"""Side of a crop, as a part of the picture's."""

MEAN: Final = (0.25, 0.25, 0.25)
STD: Final = (0.2, 0.2, 0.2)
"""Of pictures of all modalities together, roughly: those of depth, events and LiDAR are mostly dark."""

MOST_SURE: Final = math.log(100.0)
"""Largest logarithm of the scale of cosines, as in CLIP (https://arxiv.org/abs/2103.00020, section 2.5)."""

SPECIAL: Final = {"bos_token": "<start>", "eos_token": "<end>", "pad_token": "<end>", "unk_token": "<unknown>"}


@dataclass(frozen=True)
class Scene:
    """A sample in memory.

    Attributes:
        pictures: (3, KEPT_PX, KEPT_PX) uint8 each.
        labels: (KEPT_PX, KEPT_PX) uint8.
        condition: weather.
    """

    pictures: dict[Modality, Tensor]
    labels: Tensor
    condition: str


class Describer:
    """Describes scenes, and parts of them, as cache_teacher.py describes samples."""

    def __init__(self, experiment: Experiment, names: Sequence[str]) -> None:
        self.phrases = class_phrases(names, experiment.teacher)
        self._captioner = TemplateCaptioner(self.phrases, condition=experiment.teacher.caption_condition)

    def __call__(self, labels: Sequence[Tensor], conditions: Sequence[str]) -> list[str]:
        """Give one sentence for each label map (H, W)."""
        views = [SampleView("", {}, None, one.numpy(), at) for one, at in zip(labels, conditions, strict=True)]
        return self._captioner.describe(views, [present_classes(view.labels, len(self.phrases)) for view in views])


def load_scenes(experiment: Experiment, split: str) -> tuple[list[Scene], tuple[str, ...]]:
    """Read a split into memory, small, and give it with the names of its classes."""
    source = DatasetSource(experiment, split, [Modality(name) for name in experiment.model.modalities])
    scenes = []
    for index in tqdm(range(len(source.ids)), desc=f"read {split}", unit="sample"):
        view = source[index]
        pictures = {modality: small(picture) for modality, picture in view.pictures.items()}
        labels = functional.interpolate(torch.from_numpy(view.labels)[None, None].float(), KEPT_PX)[0, 0].byte()
        scenes.append(Scene(pictures, labels, view.condition))
    return scenes, source.classes.names


def small(picture: Tensor) -> Tensor:
    """Shrink (3, H, W), uint8 or in [0, 1], to (3, KEPT_PX, KEPT_PX) uint8."""
    image = picture.as_subclass(torch.Tensor)
    image = image.float() if image.dtype == torch.uint8 else 255 * image.float()
    return resized(image, KEPT_PX).round().clamp(0, 255).byte()


def resized(image: Tensor, side: int) -> Tensor:
    """Resize (3, H, W) to a square."""
    found: Tensor = functional.interpolate(image[None], (side, side), mode="bilinear", antialias=True)[0]
    return found


def build_tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """Know every word of some texts, and no other."""
    splitter = pre_tokenizers.Sequence([pre_tokenizers.Whitespace()])
    words = {word for text in texts for word, _ in splitter.pre_tokenize_str(text.lower())}
    vocabulary = {word: index for index, word in enumerate([SPECIAL["unk_token"], *sorted(words)])}
    vocabulary |= {SPECIAL["bos_token"]: len(vocabulary), SPECIAL["eos_token"]: len(vocabulary) + 1}
    inner = Tokenizer(models.WordLevel(vocabulary, SPECIAL["unk_token"]))
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = splitter
    ends = [(SPECIAL[name], vocabulary[SPECIAL[name]]) for name in ("bos_token", "eos_token")]
    inner.post_processor = processors.TemplateProcessing(
        single=f"{SPECIAL['bos_token']} $A {SPECIAL['eos_token']}", special_tokens=ends
    )
    return PreTrainedTokenizerFast(tokenizer_object=inner, model_max_length=TOKENS, **SPECIAL)


def build_model(tokenizer: PreTrainedTokenizerFast) -> CLIPModel:
    """Draw random weights."""
    common = {"hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "num_attention_heads": HEADS}
    common |= {"projection_dim": DIM, "hidden_act": "gelu"}
    ids = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    text = {"vocab_size": len(tokenizer), "max_position_embeddings": TOKENS, "num_hidden_layers": LAYERS["text"]}
    vision = {"image_size": SIDE_PX, "patch_size": PATCH_PX, "num_hidden_layers": LAYERS["vision"]}
    return CLIPModel(CLIPConfig(text_config=common | text | ids, vision_config=common | vision, projection_dim=DIM))


def contrast(images: Tensor, texts: Tensor, scale: Tensor, captions: Sequence[str]) -> Tensor:
    """CLIP's symmetric loss of (B, D) vectors of length 1; equal captions are each other's targets too."""
    kinds = {text: index for index, text in enumerate(dict.fromkeys(captions))}
    kind = torch.tensor([kinds[text] for text in captions])
    targets = (kind[:, None] == kind).float()
    targets = targets / targets.sum(dim=1, keepdim=True)
    logits = scale.clamp(max=MOST_SURE).exp() * images @ texts.T
    return (functional.cross_entropy(logits, targets) + functional.cross_entropy(logits.T, targets)) / 2


class Cutter:
    """Draws crops of scenes, each seen by one sensor at random."""

    def __init__(self, scenes: Sequence[Scene], describe: Describer, seed: int) -> None:
        self._scenes, self._describe = [scene for scene in scenes if scene.pictures], describe
        self._generator = torch.Generator().manual_seed(seed)

    def __call__(self, count: int) -> tuple[Tensor, list[str]]:
        """Give (count, 3, SIDE_PX, SIDE_PX) in [0, 1] and their descriptions."""
        images, labels, conditions = [], [], []
        for index in torch.randint(len(self._scenes), (count,), generator=self._generator).tolist():
            scene = self._scenes[index]
            part, down, right, flip, sensor = torch.rand(5, generator=self._generator).tolist()
            side = round(KEPT_PX * (SMALLEST_CROP + (1 - SMALLEST_CROP) * part))
            first_row, first_column = (int(at * (KEPT_PX - side + 1)) for at in (down, right))
            rows, columns = slice(first_row, first_row + side), slice(first_column, first_column + side)
            seen = list(scene.pictures.values())[int(sensor * len(scene.pictures))]
            image = resized(seen[:, rows, columns].float() / 255, SIDE_PX)
            images.append(image.flip(-1) if flip < 0.5 else image)
            labels.append(scene.labels[rows, columns].contiguous())
            conditions.append(scene.condition)
        return torch.stack(images), self._describe(labels, conditions)


def train(
    model: CLIPModel, tokenizer: PreTrainedTokenizerFast, cut: Cutter, *, steps: int, batch: int, rate: float
) -> None:
    """Bring pictures and descriptions together."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.1, betas=(0.9, 0.98))
    warm_up = max(steps // 10, 1)
    mean, std = (torch.tensor(value)[:, None, None] for value in (MEAN, STD))
    with tqdm(range(steps), desc="train", unit="step") as bar:
        for step in bar:
            for group in optimiser.param_groups:
                done = max(step - warm_up, 0) / max(steps - warm_up, 1)
                group["lr"] = rate * min((step + 1) / warm_up, 0.5 + 0.5 * math.cos(math.pi * done))
            pictures, captions = cut(batch)
            rows = tokenizer(captions, padding="max_length", truncation=True, max_length=TOKENS, return_tensors="pt")
            with torch.autocast("cpu", torch.bfloat16):
                found = model(input_ids=rows["input_ids"], pixel_values=(pictures - mean) / std)
            loss = contrast(found.image_embeds.float(), found.text_embeds.float(), model.logit_scale, captions)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            bar.set_postfix(loss=f"{loss.item():.3f}")


def rightly_paired(teacher: Teacher, scenes: Sequence[Scene], captions: Sequence[str]) -> dict[str, float]:
    """How often a picture is closer to its own description than to another one's, per modality; by chance in half."""
    texts = teacher.encode_texts(captions)
    kinds = {text: index for index, text in enumerate(dict.fromkeys(captions))}
    kind = torch.tensor([kinds[text] for text in captions])
    other = kind[:, None] != kind
    scores = {}
    for modality in dict.fromkeys(modality for scene in scenes for modality in scene.pictures):
        given = [index for index, scene in enumerate(scenes) if modality in scene.pictures]
        shown = torch.stack([scenes[index].pictures[modality] for index in given]).float() / 255
        cosines = torch.cat([teacher.encode_images(modality, part) for part in shown.split(64)]) @ texts.T
        closer = cosines[torch.arange(len(given)), given][:, None] > cosines
        scores[modality.value] = float(closer[other[given]].float().mean())
    return scores


def write_folder(model: CLIPModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write all that hf_clip loads."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    size = {"height": SIDE_PX, "width": SIDE_PX}
    CLIPImageProcessor(
        size=size, do_center_crop=False, resample=2, image_mean=list(MEAN), image_std=list(STD)
    ).save_pretrained(folder)


def make(experiment: Experiment, options: argparse.Namespace) -> dict[str, Any]:
    """Train, score and write the teacher; the folder appears when all of it is there."""
    folder = Path(experiment.teacher.path)
    if experiment.teacher.kind != "hf_clip" or folder.exists():
        found = f"{folder}, which exists already" if folder.exists() else f"teacher.kind {experiment.teacher.kind}"
        msg = f"street_clip: found {found}, expected teacher.kind hf_clip and a teacher.path to be made; change it"
        raise ConfigError(msg)
    scenes, names = load_scenes(experiment, experiment.data.train_split)
    describe = Describer(experiment, names)
    whole = describe([scene.labels for scene in scenes], [scene.condition for scene in scenes])
    tokenizer = build_tokenizer([*whole, *describe.phrases])
    torch.manual_seed(options.seed)
    model = build_model(tokenizer)
    train(
        model.train(),
        tokenizer,
        Cutter(scenes, describe, options.seed),
        steps=options.steps,
        batch=options.batch_size,
        rate=options.rate,
    )
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    write_folder(model.eval(), tokenizer, unfinished)
    config = experiment.teacher.model_copy(update={"path": str(unfinished)})
    held_out, _ = load_scenes(experiment, experiment.data.eval_split)
    captions = describe([scene.labels for scene in held_out], [scene.condition for scene in held_out])
    scores = {
        "rightly_paired": rightly_paired(open_teacher(config, torch.device("cpu")), held_out, captions),
        "images": len(held_out),
        "steps": options.steps,
        "batch_size": options.batch_size,
        "weights": sum(one.numel() for one in model.parameters()),
    }
    (unfinished / "scores.json").write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")
    unfinished.rename(folder)
    return scores


def main(arguments: list[str] | None = None) -> int:
    """Make the teacher; the exit status is described above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("experiment", type=Path, help="YAML file: its data, its teacher's path and words")
    add("overrides", nargs="*", metavar="group.field=value", help="settings that win over the file")
    add("--steps", type=int, default=1000, help="steps of training (%(default)s)")
    add("--batch-size", type=int, default=64, help="pictures of a step (%(default)s)")
    add("--rate", type=float, default=5e-4, help="largest learning rate (%(default)s)")
    add("--seed", type=int, default=0, help="decides weights and crops (%(default)s)")
    options = parser.parse_intermixed_args(arguments)
    try:
        experiment = load_experiment(options.experiment, options.overrides)
        scores = make(experiment, options)
    except Any2SegError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{experiment.teacher.path}: closer to the own description than to another's, on {scores['images']} images:")
    for name, share in scores["rightly_paired"].items():
        print(f"  {name}: {100 * share:.1f} % (chance 50)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
