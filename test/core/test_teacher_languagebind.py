# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""LanguageBind's towers: names, LoRA, what is refused; against LoRA as it is defined, run in float64."""

import json
import re

import pytest
import torch
from safetensors.torch import save_file
from torch.nn.functional import normalize
from transformers import CLIPConfig, CLIPModel

from any2seg_core.errors import CheckpointError, ConfigError, FrameError
from any2seg_core.experiment import TeacherConfig
from any2seg_core.frames import Modality
from any2seg_core.teacher.kinds import open_teacher
from any2seg_core.teacher.languagebind import find_tower, read_tower
from any2seg_core.teacher.weights import check_whole, clip_config, plain_state

LORA = ("q_proj", "k_proj", "v_proj", "out_proj")
ALPHA, RANK = 16.0, 2
CPU = torch.device("cpu")


def vocabulary():
    """CLIP's BPE without merges: letters, letters that end a word, start and end tokens last."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)] + [".", ","]
    names = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return {name: index for index, name in enumerate(names)}


def small_config():
    entries = len(vocabulary())
    common = {"num_hidden_layers": 2, "projection_dim": 24, "hidden_act": "gelu"}
    return CLIPConfig(
        vision_config=common
        | {"hidden_size": 128, "intermediate_size": 96, "num_attention_heads": 2, "image_size": 28, "patch_size": 7},
        text_config=common
        | {"hidden_size": 64, "intermediate_size": 80, "num_attention_heads": 1, "vocab_size": entries}
        | {"max_position_embeddings": 77, "eos_token_id": entries - 1, "bos_token_id": entries - 2},
        projection_dim=24,
    )


def random_clip(seed):
    """A CLIP whose every weight, also biases and norms, is random."""
    model = CLIPModel(small_config()).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) * (0.2 if weight.ndim < 2 else 0.15))
    return model


def lora_halves(model, seed):
    generator = torch.Generator().manual_seed(seed)
    halves = {}
    for index in range(2):
        for part in LORA:
            name = f"vision_model.encoder.layers.{index}.self_attn.{part}"
            halves[name] = (
                torch.randn(RANK, 128, generator=generator) * 0.1,
                torch.randn(128, RANK, generator=generator) * 0.1,
            )
    return halves


def saved_state(model, halves=None, *, base_layer=False):
    """What LanguageBind writes: wrapped names, LoRA beside its layer, index buffers."""
    state = {}
    for name, tensor in model.state_dict().items():
        if halves and name.startswith("vision_model.encoder."):
            wrapped = name.replace("vision_model.encoder.", "vision_model.encoder.base_model.model.")
            layer = name.rpartition(".")[0]
            if base_layer and layer in halves:
                wrapped = re.sub(r"\.(weight|bias)$", r".base_layer.\1", wrapped)
            state[wrapped] = tensor.clone()
        else:
            state[name] = tensor.clone()
    for name, (a, b) in (halves or {}).items():
        wrapped = name.replace("vision_model.encoder.", "vision_model.encoder.base_model.model.")
        state[f"{wrapped}.lora_A.default.weight"], state[f"{wrapped}.lora_B.default.weight"] = a, b
    state["vision_model.embeddings.position_ids"] = torch.arange(17)[None]
    state["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    return state


def write_tower(folder, state, *, config=None, pickled=False, tokenizer=False):
    folder.mkdir(parents=True)
    # The published projection_dim of towers is wrong, and nobody may believe it.
    content = {"vision_config": {"projection_dim": 512, "hidden_act": "gelu"}} if config is None else config
    (folder / "config.json").write_text(json.dumps(content))
    if pickled:
        torch.save(state, folder / "pytorch_model.bin")
    else:
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "model.safetensors")
    if tokenizer:
        (folder / "vocab.json").write_text(json.dumps(vocabulary()))
        (folder / "merges.txt").write_text("#version: 0.2\n")
    return folder


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """Folders of an image tower and of a tuned depth tower, and the two reference models."""
    root = tmp_path_factory.mktemp("languagebind")
    image, depth = random_clip(1), random_clip(2)
    depth.text_model.load_state_dict(image.text_model.state_dict())
    depth.text_projection.load_state_dict(image.text_projection.state_dict())
    halves = lora_halves(depth, 3)
    write_tower(root / "LanguageBind_Image", saved_state(image), tokenizer=True)
    write_tower(
        root / "depth",
        saved_state(depth, halves),
        pickled=True,
        config={"vision_config": {"hidden_act": "gelu", "lora_alpha": ALPHA, "lora_r": 5}},
    )
    return root, image, with_lora(depth, halves)


def with_lora(model, halves):
    """LoRA as defined: every tuned layer gives W x + alpha / r * B (A x)."""
    model = model.double()
    layers = dict(model.named_modules())

    def adapt(name):
        a, b = (half.double() for half in halves[name])

        def hook(_, inputs, output):
            return output + ALPHA / RANK * (inputs[0] @ a.T @ b.T)

        layers[name].register_forward_hook(hook)

    for name in halves:
        adapt(name)
    return model


def opened(root, **settings):
    return open_teacher(TeacherConfig(kind="languagebind", path=str(root), **settings), CPU)


def reference_pixels(images):
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073], dtype=torch.float64)[:, None, None]
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711], dtype=torch.float64)[:, None, None]
    return (images.double() - mean) / std


def image_features(model, pixels):
    pooled = model.vision_model(pixel_values=pixels).pooler_output
    return normalize(model.visual_projection(pooled), dim=-1)


@pytest.mark.parametrize(("modality", "tower"), [(Modality.RGB, 1), (Modality.EVENT, 1), (Modality.DEPTH, 2)])
def test_towers_equal_the_definition_of_lora(release, modality, tower):
    reference = release[tower].double()
    images = torch.rand(3, 3, 28, 28, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        expected = image_features(reference, reference_pixels(images))
    found = opened(release[0]).encode_images(modality, images)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, atol=2e-6, rtol=0)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(3))


def test_the_text_tower_answers_at_the_end_token(release):
    teacher, reference = opened(release[0]), release[1].double()
    texts = ["a street", "cars at night with road", "road " * 60]
    ids = vocabulary()
    with torch.no_grad():
        for text, found in zip(texts, teacher.encode_texts(texts), strict=True):
            letters = [
                ids[letter + ("</w>" if last else "")]
                for word in text.split()
                for last, letter in zip([*[False] * (len(word) - 1), True], word, strict=True)
            ]
            row = torch.tensor([[ids["<|startoftext|>"], *letters[:75], ids["<|endoftext|>"]]])
            hidden = reference.text_model(input_ids=row).last_hidden_state[0, -1]  # final norm included
            expected = normalize(reference.text_projection(hidden), dim=-1)
            torch.testing.assert_close(found.double(), expected, atol=2e-6, rtol=0)
    assert teacher.count_tokens("a street") == 9
    assert teacher.count_tokens("road " * 60) == 242
    assert teacher.max_tokens == 77


def test_towers_are_frozen_gelu_networks_of_the_weights_sizes(release):
    teacher = opened(release[0])
    towers = [closure.__closure__[0].cell_contents for closure in (*teacher._images.values(), teacher._text)]
    assert len(towers) == 3
    for tower in towers:
        assert not tower.training
        assert not any(weight.requires_grad for weight in tower.parameters())
        assert tower.config.hidden_act == "gelu"
        assert tower.config.projection_dim == 24
    assert towers[-1].config.eos_token_id == vocabulary()["<|endoftext|>"]
    assert teacher.dim == 24


def test_the_callers_random_numbers_go_on_untouched(release):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    opened(release[0])
    assert torch.equal(torch.rand(3), expected)


def test_the_fingerprint_follows_weights_and_settings(release, tmp_path):
    first = opened(release[0]).fingerprint()
    json.dumps(first)
    assert first == opened(release[0]).fingerprint()
    assert set(first["weights"]) == {"image", "depth"}
    assert opened(release[0], resize="squash").fingerprint()["view"]["resize"] == "squash"
    assert opened(release[0], precision="bf16").fingerprint()["dtype"] == "bfloat16"
    state = saved_state(release[1].float())
    state["visual_projection.weight"][0, 0] += 1e-3
    write_tower(tmp_path / "image", state, tokenizer=True)
    other = opened(tmp_path, towers=["depth=image", "lidar=image"]).fingerprint()
    assert other["weights"]["image"] != first["weights"]["image"]
    assert other["tokenizer"] == first["tokenizer"]


def test_bf16_stays_near_fp32(release):
    images = torch.rand(2, 3, 28, 28, generator=torch.Generator().manual_seed(4))
    exact, rough = (
        opened(release[0], precision=precision).encode_images(Modality.DEPTH, images) for precision in ("fp32", "bf16")
    )
    assert rough.dtype == torch.float32
    assert float((exact * rough).sum(dim=1).min()) > 0.99


@pytest.mark.parametrize("base_layer", [False, True])
def test_merging_equals_float64(base_layer):
    model = random_clip(2)
    halves = lora_halves(model, 3)
    merged = plain_state(saved_state(model, halves, base_layer=base_layer), alpha=ALPHA, source="test")
    assert merged.keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        layer = name.removesuffix(".weight")
        if layer in halves:
            a, b = (half.double().numpy() for half in halves[layer])
            expected = tensor.double().numpy() + 8.0 * (b @ a)
            assert abs(merged[name].double().numpy() - expected).max() < 1e-7
        else:
            assert torch.equal(merged[name], tensor)


def vit_l_14_names():
    """Names and shapes of ViT-L/14 written down, without any library."""

    def norm(name, width):
        return {f"{name}.weight": (width,), f"{name}.bias": (width,)}

    def layers(tower, count, width, inner):
        found = {}
        for index in range(count):
            layer = f"{tower}.encoder.layers.{index}"
            for part in ("k_proj", "v_proj", "q_proj", "out_proj"):
                found |= {
                    f"{layer}.self_attn.{part}.weight": (width, width),
                    f"{layer}.self_attn.{part}.bias": (width,),
                }
            found |= {f"{layer}.mlp.fc1.weight": (inner, width), f"{layer}.mlp.fc1.bias": (inner,)}
            found |= {f"{layer}.mlp.fc2.weight": (width, inner), f"{layer}.mlp.fc2.bias": (width,)}
            found |= norm(f"{layer}.layer_norm1", width) | norm(f"{layer}.layer_norm2", width)
        return found

    return {
        "logit_scale": (),
        "vision_model.embeddings.class_embedding": (1024,),
        "vision_model.embeddings.patch_embedding.weight": (1024, 3, 14, 14),
        "vision_model.embeddings.position_embedding.weight": (257, 1024),
        **norm("vision_model.pre_layrnorm", 1024),
        **norm("vision_model.post_layernorm", 1024),
        **layers("vision_model", 24, 1024, 4096),
        "text_model.embeddings.token_embedding.weight": (49408, 768),
        "text_model.embeddings.position_embedding.weight": (77, 768),
        **norm("text_model.final_layer_norm", 768),
        **layers("text_model", 12, 768, 3072),
        "visual_projection.weight": (768, 1024),
        "text_projection.weight": (768, 768),
    }


def test_every_key_of_the_real_checkpoints_is_understood():
    names = vit_l_14_names()
    assert len(names) == 590
    with torch.device("meta"):
        plain = {name: torch.empty(shape) for name, shape in names.items()}
        buffers = {f"{tower}.embeddings.position_ids": torch.empty(1) for tower in ("vision_model", "text_model")}
        tuned = {
            name.replace("vision_model.encoder.", "vision_model.encoder.base_model.model."): tensor
            for name, tensor in plain.items()
        }
        for index in range(24):
            for part in LORA:
                layer = f"vision_model.encoder.base_model.model.layers.{index}.self_attn.{part}"
                tuned[f"{layer}.lora_A.default.weight"] = torch.empty(2, 1024)
                tuned[f"{layer}.lora_B.default.weight"] = torch.empty(1024, 2)
    assert (len(plain | buffers), len(tuned | buffers)) == (592, 784)
    for state in (plain | buffers, tuned | buffers):
        mapped = plain_state(state, alpha=16.0, source="test")
        assert {name: tuple(tensor.shape) for name, tensor in mapped.items()} == names
        config = clip_config(mapped, source="test")
        check_whole(mapped, config, source="test")
        vision, text = config.vision_config, config.text_config
        assert (vision.hidden_size, vision.num_hidden_layers, vision.num_attention_heads) == (1024, 24, 16)
        assert (vision.patch_size, vision.image_size, vision.projection_dim) == (14, 224, 768)
        assert (text.hidden_size, text.num_hidden_layers, text.num_attention_heads) == (768, 12, 12)
        assert (text.eos_token_id, text.max_position_embeddings, text.projection_dim) == (49407, 77, 768)
        assert (vision.hidden_act, text.hidden_act) == ("gelu", "gelu")


Q0 = "vision_model.encoder.base_model.model.layers.0.self_attn.q_proj"
DAMAGES = {
    "no B": (lambda s: s.pop(f"{Q0}.lora_B.default.weight"), r"layers\.0\.self_attn\.q_proj\.lora_A without its other"),
    "no A": (lambda s: s.pop(f"{Q0}.lora_A.default.weight"), r"q_proj\.lora_B without its other half"),
    "no layer": (lambda s: s.pop(f"{Q0}.weight"), r"LoRA for vision_model\.encoder\.layers\.0.*q_proj\.weight, which"),
    "rank": (
        lambda s: s.update({f"{Q0}.lora_B.default.weight": torch.zeros(128, 3)}),
        r"LoRA halves \(128, 3\) and \(2, 128\) for .*q_proj\.weight \(128, 128\)",
    ),
    "twice": (
        lambda s: s.update({"vision_model.encoder.layers.0.self_attn.q_proj.weight": torch.zeros(128, 128)}),
        r"vision_model\.encoder\.layers\.0\.self_attn\.q_proj\.weight twice",
    ),
    "two adapters": (lambda s: s.update({f"{Q0}.lora_A.more.weight": torch.zeros(2, 128)}), r"lora_A\.more.* twice"),
    "video": (lambda s: s.update({"vision_model.temporal_attn": torch.zeros(1)}), "weights for time.*video"),
    "missing": (lambda s: s.pop("visual_projection.weight"), "no 'visual_projection.weight'"),
    "missing inside": (
        lambda s: [s.pop(name) for name in list(s) if "layers.1.mlp.fc1" in name],
        r"4 missing: text_model\.encoder\.layers\.1\.mlp\.fc1\.bias, .*vision_model",
    ),
    "unexpected": (lambda s: s.update({"vision_model.more": torch.zeros(1)}), r"1 unexpected: vision_model\.more"),
    "shape": (
        lambda s: s.update({"vision_model.post_layernorm.weight": torch.zeros(3)}),
        r"1 mismatched: vision_model\.post_layernorm\.weight \(3,\) instead of \(128,\)",
    ),
    "no layers": (lambda s: [s.pop(name) for name in list(s) if ".layers." in name], "no .*layers.0.mlp.fc1.weight"),
    "audio": (
        lambda s: s.update({"vision_model.embeddings.position_embedding.weight": torch.zeros(19, 128)}),
        "found 18 patches, expected a square",
    ),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_damaged_weights_are_refused_by_name(tmp_path, case):
    damage, message = DAMAGES[case]
    model = random_clip(2)
    state = saved_state(model, lora_halves(model, 3))
    damage(state)
    folder = write_tower(tmp_path / "image", state, tokenizer=True)
    with pytest.raises(CheckpointError, match=message):
        read_tower(folder)


def test_a_tower_may_come_without_text(release, tmp_path):
    for name in ("LanguageBind_Image", "depth"):
        (tmp_path / name).symlink_to(release[0] / name)
    depth = {
        name: tensor for name, tensor in saved_state(random_clip(6)).items() if not name.startswith(("text_", "logit_"))
    }
    write_tower(tmp_path / "LanguageBind_Depth", depth)
    assert find_tower(tmp_path, "depth").name == "LanguageBind_Depth"
    opened(tmp_path)
    write_tower(tmp_path / "lonely" / "image", depth, tokenizer=True)
    with pytest.raises(CheckpointError, match="found no text tower, expected it beside the image tower"):
        opened(tmp_path / "lonely")


def test_towers_of_different_releases_do_not_mix(release, tmp_path):
    (tmp_path / "image").symlink_to(release[0] / "LanguageBind_Image")
    write_tower(tmp_path / "depth", saved_state(random_clip(7)))
    with pytest.raises(CheckpointError, match=r"text tower that differs from the image tower's in \d+ weights, first"):
        opened(tmp_path)


def test_missing_folders_files_and_pickles_with_code(release, tmp_path):
    (tmp_path / "image").symlink_to(release[0] / "LanguageBind_Image")
    with pytest.raises(CheckpointError, match="no folder LanguageBind_Depth or depth, expected the depth tower's"):
        opened(tmp_path)
    (tmp_path / "depth").mkdir()
    with pytest.raises(CheckpointError, match=r"neither model\.safetensors nor pytorch_model\.bin"):
        opened(tmp_path)
    torch.save({"state": open}, tmp_path / "depth" / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="cannot be read as weights"):
        opened(tmp_path)
    torch.save([1], tmp_path / "depth" / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="found list, expected a state dict of tensors"):
        opened(tmp_path)
    (tmp_path / "depth" / "pytorch_model.bin").write_bytes(b"PK broken")
    with pytest.raises(CheckpointError, match="cannot be read as weights"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"text_config": {"hidden_act": "quick_gelu"}}, r"hidden_act \['quick_gelu'\], expected gelu"),
        ([1], "cannot be read"),
    ],
)
def test_other_networks_are_refused(tmp_path, config, message):
    write_tower(tmp_path / "image", saved_state(random_clip(1)), config=config, tokenizer=True)
    with pytest.raises(CheckpointError, match=message):
        opened(tmp_path, towers=["depth=image", "lidar=image"])


def test_a_tokenizer_of_other_weights_is_refused(tmp_path):
    folder = write_tower(tmp_path / "image", saved_state(random_clip(1)), tokenizer=True)
    towers = ["depth=image", "lidar=image"]
    shuffled = {name: index for index, name in enumerate(reversed(list(vocabulary())))}
    (folder / "vocab.json").write_text(json.dumps(shuffled))
    with pytest.raises(CheckpointError, match=r"end token 0, expected 57, where the text tower reads its answer"):
        opened(tmp_path, towers=towers)
    (folder / "vocab.json").write_text("{")
    with pytest.raises((CheckpointError), match="no tokenizer"):
        opened(tmp_path, towers=towers)


def test_lora_scale_comes_from_the_config(tmp_path):
    model = random_clip(2)
    state = saved_state(model, lora_halves(model, 3))
    name = "vision_model.encoder.layers.0.self_attn.q_proj.weight"
    base = model.state_dict()[name]
    moved = {}
    for alpha in (None, 16, 32):
        config = {"vision_config": {} if alpha is None else {"lora_alpha": alpha}}
        read, _ = read_tower(write_tower(tmp_path / str(alpha), state, config=config))
        moved[alpha] = read[name] - base
    assert torch.equal(moved[None], moved[16])
    torch.testing.assert_close(moved[32], 2 * moved[16], atol=1e-6, rtol=1e-5)


def test_what_a_teacher_cannot_take(release):
    teacher = opened(release[0])
    with pytest.raises(FrameError, match=r"pictures \(3, 28, 28\) of torch.float32, expected \(B, 3, H, W\)"):
        teacher.encode_images(Modality.RGB, torch.rand(3, 28, 28))
    with pytest.raises(FrameError, match=r"of torch\.uint8"):
        teacher.encode_images(Modality.RGB, torch.zeros(1, 3, 28, 28, dtype=torch.uint8))
    with pytest.raises(FrameError, match=r"depth embeddings .* all finite"):
        teacher.encode_images(Modality.DEPTH, torch.full((1, 3, 28, 28), torch.nan))
    with pytest.raises(ConfigError, match="kind 'none', expected one of tiny, languagebind, hf_clip"):
        open_teacher(TeacherConfig(), CPU)
