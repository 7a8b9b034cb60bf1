# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Scene descriptions: the template, the file, a model that is asked, texts made elsewhere."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from any2seg_core.errors import CheckpointError, ConfigError, FrameError
from any2seg_core.experiment import TeacherConfig
from any2seg_core.frames import Modality
from any2seg_core.teacher import SampleView
from any2seg_core.teacher.captions import (
    Caption,
    CaptionFile,
    Origin,
    TemplateCaptioner,
    fit_text,
    import_captions,
    present_classes,
    write_captions,
)

PHRASES = ("road", "sky", "car", "two-wheeler")


class Samples:
    """Label maps in memory; counts how often each is read."""

    def __init__(self, count, condition="fog"):
        rng = np.random.default_rng(0)
        self.labels = [rng.integers(0, 4, (6, 7)).astype(np.uint8) for _ in range(count)]
        self.ids = [f"fog/train/a/{index:06d}" for index in range(count)]
        self.stamps = ["" for _ in self.ids]
        self.condition, self.reads = condition, []

    def __getitem__(self, index):
        self.reads.append(index)
        return SampleView(self.ids[index], {}, None, self.labels[index], self.condition)


def words(text):
    return len(text.split()) + 2


def write(path, samples, captioner=None, **options):
    captioner = captioner or TemplateCaptioner(PHRASES)
    return write_captions(captioner, samples, CaptionFile(path), classes=4, count=words, limit=20, **options)


def test_classes_are_listed_by_size_ties_by_id_without_specks():
    labels = np.full((50, 50), 255, np.uint8)
    labels[0, :10] = 3
    labels[1, :10] = 1
    labels[2, :30] = 2
    labels[3, :2] = 0  # 0.08 %
    assert present_classes(labels, 4) == (2, 1, 3)
    assert present_classes(np.full((2, 2), 255, np.uint8), 4) == ()
    many = np.repeat(np.arange(20, dtype=np.uint8), 10)
    assert present_classes(many, 20) == tuple(range(12))
    with pytest.raises(ConfigError, match=r"found labels \[4, 9\], expected 0 to 3 or 255"):
        present_classes(np.array([[0, 4, 9, 255]], np.uint8), 4)


@pytest.mark.parametrize(
    ("condition", "present", "expected"),
    [
        ("fog", (0, 1, 3), "A street scene with road, sky and two-wheeler in fog."),
        ("night", (0, 1), "A street scene with road and sky at night."),
        ("", (2,), "A street scene with car."),
        ("hail", (), "A street scene in hail."),
        ("", (), "A street scene."),
    ],
)
def test_the_template(condition, present, expected):
    view = SampleView("x", {}, None, np.zeros((1, 1), np.uint8), condition)
    assert TemplateCaptioner(PHRASES).describe([view], [present]) == [expected]


def test_the_template_may_keep_the_weather_to_itself():
    view = SampleView("x", {}, None, np.zeros((1, 1), np.uint8), "fog")
    with_it, without = TemplateCaptioner(PHRASES), TemplateCaptioner(PHRASES, condition=False)
    assert without.describe([view], [(0,)]) == ["A street scene with road."]
    assert with_it.origin != without.origin


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("  A  road.\n A car. ", 9, "A road. A car."),
        ("A road. A car drives by.", 6, "A road."),
        ("A road. A car. A bus.", 6, "A road. A car."),
        ("A long road, with many cars and trees", 6, "A long road, with."),
        ("A long road, with many cars", 5, "A long road."),
        ("Word", 2, ""),
        ("", 9, ""),
    ],
)
def test_answers_are_cut_at_sentences_or_words(text, limit, expected):
    assert fit_text(text, words, limit) == expected


@settings(max_examples=60, deadline=None)
@given(text=st.text(alphabet="ab .,!?\n", max_size=60), limit=st.integers(2, 12))
def test_no_text_is_longer_than_the_limit(text, limit):
    found = fit_text(text, words, limit)
    assert words(found) <= limit
    assert "\n" not in found
    assert fit_text(found, words, limit) == found


def test_every_sample_gets_a_line_with_its_provenance(tmp_path):
    samples = Samples(5)
    ticks = []
    texts = write(tmp_path / "deep" / "c.jsonl", samples, batch_size=2, done=ticks.append)
    assert list(texts) == samples.ids
    assert ticks == [0, 2, 2, 1]
    rows = [json.loads(line) for line in (tmp_path / "deep" / "c.jsonl").read_text().splitlines()]
    assert rows[0].keys() == {"id", "caption", "source", "model", "revision", "prompt_sha", "classes", "n_tokens"}
    for row, labels in zip(rows, samples.labels, strict=True):
        assert row["source"] == "template"
        assert row["classes"] == list(present_classes(labels, 4))
        assert row["n_tokens"] == words(row["caption"])


def test_a_killed_run_goes_on_after_the_torn_line(tmp_path):
    whole, torn = tmp_path / "whole.jsonl", tmp_path / "torn.jsonl"
    samples = Samples(6)
    texts = write(whole, samples)
    content = whole.read_bytes()
    line = content.index(b"\n")
    for cut, left in ((0, 6), (40, 6), (line, 5), (line + 1, 5), (len(content) - 30, 1), (len(content) - 1, 0)):
        torn.write_bytes(content[:cut])
        samples.reads.clear()
        assert write(torn, samples) == texts
        assert torn.read_bytes().rstrip() == content.rstrip()
        assert len(samples.reads) == left
    samples.reads.clear()
    write(whole, samples)
    assert samples.reads == []


def test_the_last_line_counts_and_texts_of_other_settings_are_written_anew(tmp_path):
    path = tmp_path / "c.jsonl"
    samples = Samples(3)
    before = write(path, samples)
    after = write(path, samples, TemplateCaptioner(PHRASES, condition=False))
    assert before[samples.ids[0]] != after[samples.ids[0]]
    assert len(path.read_text().splitlines()) == 6
    assert {name: row.caption for name, row in CaptionFile(path).read().items()} == after


def test_broken_lines_in_the_middle_are_refused(tmp_path):
    path = tmp_path / "c.jsonl"
    good = json.dumps({"id": "a", "caption": "A road."})
    for bad in ("{", '{"id": "b"}', "[]", '{"id": 3, "caption": "x"}', '{"id": "b", "caption": " "}'):
        path.write_text(f"{good}\n{bad}\n")
        with pytest.raises(CheckpointError, match=r"c\.jsonl: found line 2 unusable"):
            CaptionFile(path).read()
    path.write_text(f"{good}\n\n{good}")
    assert CaptionFile(path).read()["a"].caption == "A road."
    path.write_bytes(b"\xff\n")
    with pytest.raises(CheckpointError, match="found line 1 unusable"):
        CaptionFile(path).read()


def test_files_that_cannot_be_used(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(CheckpointError, match="cannot be read"):
        CaptionFile(tmp_path / "folder").read()
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot be written"):
        CaptionFile(tmp_path / "file" / "c.jsonl").append([Caption("a", "A road.", Origin("template"))])


def test_texts_made_elsewhere(tmp_path):
    path = tmp_path / "c.jsonl"
    path.write_text('{"id": "a", "caption": "A road."}\n{"id": "b", "caption": "Old."}\n{"id": "b", "caption": "Ü."}')
    assert import_captions(CaptionFile(path), ["b", "a"]) == {"b": "Ü.", "a": "A road."}
    with pytest.raises(CheckpointError, match=r"found none for 1 of 2 samples, first c, expected all"):
        import_captions(CaptionFile(path), ["a", "c"])
    with pytest.raises(CheckpointError, match="found none for 1 of 1"):
        import_captions(CaptionFile(tmp_path / "none.jsonl"), ["a"])


def test_a_model_that_says_nothing_is_refused(tmp_path):
    class Mute:
        origin = Origin("model", "mute")

        def describe(self, samples, classes):
            return ["" for _ in samples]

    with pytest.raises(CheckpointError, match="no text for fog/train/a/000000, expected a sentence"):
        write(tmp_path / "c.jsonl", Samples(1), Mute())


@pytest.fixture(scope="module")
def talker(tmp_path_factory):
    """A tiny random image-text-to-text model with its processor, on disk."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )

    special = {"unk_token": "<unk>", "pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
    names = ["<unk>", "<pad>", "<s>", "</s>", "<image>", "user", "assistant", "a", "the", "street", "scene", "with"]
    names += ["car", "road", "sky", ".", ",", "what", ":", "here"]
    inner = Tokenizer(models.WordLevel({name: index for index, name in enumerate(names)}, special["unk_token"]))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, **special, extra_special_tokens={"image_token": "<image>"}
    )
    template = (
        "{% for m in messages %}{{ m['role'] }} : {% for c in m['content'] %}{% if c['type'] == 'image' %}<image> "
        "{% else %}{{ c['text'] }} {% endif %}{% endfor %}{% endfor %}{% if add_generation_prompt %}assistant :"
        "{% endif %}"
    )
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessor(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}),
        tokenizer=tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        chat_template=template,
        num_additional_image_tokens=1,
    )
    common = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
    torch.manual_seed(3)
    model = LlavaForConditionalGeneration(
        LlavaConfig(
            vision_config=CLIPVisionConfig(**common, num_hidden_layers=2, image_size=28, patch_size=14),
            text_config=LlamaConfig(
                **common, num_hidden_layers=1, vocab_size=len(names), pad_token_id=1, bos_token_id=2, eos_token_id=3
            ),
            image_token_index=4,
            image_token_id=4,
        )
    )
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn(weight.shape) * 0.5)
    model.generation_config.pad_token_id = 1
    folder = tmp_path_factory.mktemp("talker")
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def ask(folder, samples, classes, **settings):
    from any2seg_core.teacher.captioner import ModelCaptioner

    config = TeacherConfig(caption_source="model", caption_model=str(folder), **settings)
    captioner = ModelCaptioner(config, PHRASES, device=torch.device("cpu"), dtype=torch.float32)
    return captioner, captioner.describe(samples, classes)


def pictures(count):
    generator = torch.Generator().manual_seed(0)
    return [
        SampleView(
            f"s{index}",
            {Modality.RGB: torch.randint(0, 256, (3, 30, 40), generator=generator, dtype=torch.uint8)},
            None,
            np.zeros((1, 1), np.uint8),
            "",
        )
        for index in range(count)
    ]


def test_a_model_answers_alike_alone_and_among_others(talker):
    views = pictures(3)
    captioner, together = ask(talker, views, [(0,), (0, 1, 2), ()])
    assert len(set(together)) > 1
    for index, present in enumerate([(0,), (0, 1, 2), ()]):
        assert captioner.describe([views[index]], [present]) == [together[index]]
    assert (captioner.origin.source, captioner.origin.model) == ("model", str(talker))
    other, _ = ask(talker, views[:1], [()], caption_prompt="what : {classes}")
    assert other.origin.prompt_sha != captioner.origin.prompt_sha


def test_the_question_names_the_classes_and_shows_the_picture(talker):
    views = pictures(2)
    captioner, _ = ask(talker, views[:1], [()], caption_prompt="what here {classes}")
    seen = []
    model = captioner._model
    captioner._model = type(
        "Spy", (), {"generate": lambda _, **inputs: seen.append(inputs) or model.generate(**inputs)}
    )()
    captioner.describe(views, [(0, 1), (2,)])
    texts = captioner._processor.batch_decode(seen[0]["input_ids"], skip_special_tokens=True)
    assert texts == ["user : what here road , sky assistant :", "user : what here car assistant :"]
    assert (seen[0]["do_sample"], seen[0]["max_new_tokens"]) == (False, 64)
    assert not torch.equal(*seen[0]["pixel_values"])
    assert seen[0]["input_ids"][1, 0] == 1  # padding stands on the left


def test_what_cannot_be_asked(talker, tmp_path):
    with pytest.raises(CheckpointError, match="transformers cannot load it"):
        ask(tmp_path, [], [])
    view = SampleView("s0", {}, None, np.zeros((1, 1), np.uint8), "")
    with pytest.raises(FrameError, match="no RGB picture in s0, expected one"):
        ask(talker, [view], [()])
    captioner, _ = ask(talker, pictures(1), [()])
    captioner._processor.chat_template = None
    with pytest.raises(CheckpointError, match=r"cannot be asked .* expected a chat model that takes pictures"):
        captioner.describe(pictures(1), [()])
