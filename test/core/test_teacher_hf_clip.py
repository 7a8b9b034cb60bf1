# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Families of the transformers library as teachers: each equals the library's own processor and model."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch.nn.functional import normalize
from transformers import (
    AutoImageProcessor,
    AutoModel,
    BertConfig,
    BertModel,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    MetaClip2Config,
    MetaClip2Model,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
)

from any2seg_core.errors import CheckpointError
from any2seg_core.experiment import TeacherConfig
from any2seg_core.frames import Modality
from any2seg_core.teacher.kinds import open_teacher
from any2seg_core.teacher.tokens import HfTokenizer

WORDS = ["<s>", "<pad>", "</s>", "<unk>", "a", "street", "scene", "with", "road", "cars", "at", "night", "Road"]
SIZE = 28
CPU = torch.device("cpu")


def tokenizer(*, adds_end=True, words=WORDS, end="</s>", lower=False):
    """A tokenizer of whole words, whose end token has id 2 unless it is another."""
    names = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": end, "unk_token": "<unk>"}
    inner = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, names["unk_token"]))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    if lower:
        inner.normalizer = normalizers.Lowercase()
    if adds_end:
        inner.post_processor = processors.TemplateProcessing(
            single=f"<s> $A {end}", special_tokens=[("<s>", 0), (end, words.index(end))]
        )
    return PreTrainedTokenizerFast(tokenizer_object=inner, **names)


def clip_tokenizer():
    """As CLIP's: lower-cases, its end token is the largest id."""
    return tokenizer(words=[*WORDS, "<end>"], end="<end>", lower=True)


def sizes(**text):
    common = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision = common | {"image_size": SIZE, "patch_size": 7}
    return {"vision_config": vision, "text_config": common | {"vocab_size": len(WORDS), **text}}


def build(family):
    torch.manual_seed(0)
    ends = {"max_position_embeddings": 16, "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
    if family == "clip":
        ends["eos_token_id"] = len(WORDS)  # the largest id, after one more word
        parts = sizes(**ends)
        parts["text_config"]["vocab_size"] += 1
        model = CLIPModel(CLIPConfig(**parts, projection_dim=20))
        processor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": SIZE, "width": SIZE})
    elif family == "metaclip_2":
        model = MetaClip2Model(MetaClip2Config(**sizes(**ends), projection_dim=20))
        processor = CLIPImageProcessor(size={"shortest_edge": SIZE}, crop_size={"height": SIZE, "width": SIZE})
    else:
        model = SiglipModel(SiglipConfig(**sizes(max_position_embeddings=12, projection_size=32)))
        processor = SiglipImageProcessor(size={"height": SIZE, "width": SIZE})
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn(weight.shape) * 0.2)
    return model.eval(), processor


FAMILIES = ("clip", "metaclip_2", "siglip")


@pytest.fixture(scope="module", params=FAMILIES)
def saved(request, tmp_path_factory):
    family = request.param
    folder = tmp_path_factory.mktemp(family)
    model, processor = build(family)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    words = {"clip": clip_tokenizer, "metaclip_2": tokenizer, "siglip": lambda: tokenizer(adds_end=False)}[family]()
    words.save_pretrained(folder)
    return family, folder, model


def opened(folder, **settings):
    return open_teacher(TeacherConfig(kind="hf_clip", path=str(folder), **settings), CPU)


def pooled(output):
    return normalize(output if isinstance(output, torch.Tensor) else output.pooler_output, dim=-1)


def test_pictures_equal_the_librarys_own_processing(saved):
    _, folder, model = saved
    processor = AutoImageProcessor.from_pretrained(folder)
    rows, columns = np.mgrid[0:45, 0:60]
    smooth = np.stack([rows * 4, columns * 4, 255 - rows * 2 - columns], axis=2).astype(np.uint8)
    teacher = opened(folder)
    for picture in (smooth, smooth.transpose(1, 0, 2)):
        with torch.no_grad():
            inputs = processor(images=Image.fromarray(np.ascontiguousarray(picture)), return_tensors="pt")
            expected = pooled(model.get_image_features(**inputs))
        tensor = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None] / 255
        found = teacher.encode_images(Modality.LIDAR, tensor)
        assert float((found * expected).sum()) > 0.9999
        ours = teacher.view.normalise(teacher.view.fit(tensor))
        # Rounding to 8 bits between resizing and normalising is the only difference.
        assert float((ours - inputs["pixel_values"]).abs().max()) < 0.02


def test_texts_equal_the_librarys_own_processing(saved):
    family, folder, model = saved
    teacher = opened(folder)
    texts = ["a street scene with road", "cars at night", "Road"]
    for text, found in zip(texts, teacher.encode_texts(texts), strict=True):
        ids = [WORDS.index(word) for word in text.lower().split()]
        if family == "siglip":
            row = [*ids, *[1] * (12 - len(ids))]  # padded to the full length, answered at its last place
        elif family == "clip":
            row = [0, *ids, len(WORDS)]
        else:
            row = [0, *[WORDS.index(word) for word in text.split()], 2]
        with torch.no_grad():
            expected = pooled(model.get_text_features(input_ids=torch.tensor([row])))
        torch.testing.assert_close(found[None], expected, atol=1e-6, rtol=0)


def test_what_the_families_say_of_themselves(saved):
    family, folder, _ = saved
    teacher = opened(folder)
    assert teacher.dim == (32 if family == "siglip" else 20)
    assert teacher.max_tokens == (12 if family == "siglip" else 16)
    assert teacher.count_tokens("a street") == (2 if family == "siglip" else 4)
    assert set(teacher.towers.values()) == {"image"}
    view = teacher.view
    expected = {"clip": ("crop", 32), "metaclip_2": ("crop", 28), "siglip": ("squash", 28)}[family]
    assert (view.resize, view.short_side) == expected
    assert view.mean[0] == pytest.approx(0.5 if family == "siglip" else 0.48145466)
    assert view.interpolation == ("bilinear" if processor_resamples(folder) == 2 else "bicubic")
    assert opened(folder, resize="squash").view.resize == "squash"
    found = teacher.fingerprint()
    assert found["weights"]["family"] == family
    assert found == opened(folder).fingerprint()
    json.dumps(found)


def processor_resamples(folder):
    return int(AutoImageProcessor.from_pretrained(folder).resample)


def test_an_old_clip_file_says_2_and_means_the_largest_id(tmp_path):
    model, processor = build("clip")
    model.config.text_config.eos_token_id = 2
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    clip_tokenizer().save_pretrained(tmp_path)
    row = torch.tensor([[0, WORDS.index("road"), len(WORDS)]])
    with torch.no_grad():
        expected = pooled(AutoModel.from_pretrained(tmp_path).get_text_features(input_ids=row))
    torch.testing.assert_close(opened(tmp_path).encode_texts(["road"]), expected, atol=1e-6, rtol=0)


def write(folder, family="clip", words=None):
    model, processor = build(family)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    (words or clip_tokenizer()).save_pretrained(folder)
    return folder


def test_weights_that_would_stay_random_are_refused(tmp_path):
    write(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    del state["vision_model.encoder.layers.1.mlp.fc1.weight"]
    save_file(state, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"1 weights missing.*layers\.1\.mlp\.fc1\.weight.*would stay random"):
        opened(tmp_path)


def test_what_cannot_be_a_teacher(tmp_path):
    with pytest.raises(CheckpointError, match="AutoModel cannot load it"):
        opened(tmp_path)
    BertModel(
        BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, vocab_size=9)
    ).save_pretrained(tmp_path / "bert")
    with pytest.raises(CheckpointError, match="type 'bert', expected one of clip, metaclip_2, siglip"):
        opened(tmp_path / "bert")
    folder = write(tmp_path / "wide")
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 24, "width": 28}).save_pretrained(folder)
    with pytest.raises(CheckpointError, match="expected squares of 28 by bilinear or bicubic"):
        opened(folder)
    folder = write(tmp_path / "nearest")
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 28, "width": 28}, resample=0).save_pretrained(
        folder
    )
    with pytest.raises(CheckpointError, match="resampling 0, expected"):
        opened(folder)


def test_a_text_tower_never_answers_without_its_end_token(tmp_path):
    with pytest.raises(CheckpointError, match="end token 2, expected 13, where the text tower reads its answer"):
        opened(write(tmp_path / "other", words=tokenizer()))
    bare = HfTokenizer(tokenizer(adds_end=False), length=8, eos=2)
    with pytest.raises(CheckpointError, match="no end token 2 in 'cars at', expected one in every row"):
        bare(["road </s>", "cars at"])
