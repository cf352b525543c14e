"""A pretrained model as discriminator: it reads texts, learns what it may, and is stored without the rest."""

import copy
import json
import shutil
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import one_hot

from gangen import saved_model
from gangen.components.registry import Registry
from gangen.errors import UsageError
from gangen.networks import Players, load_state, state_of
from gangen.recipe.load import load_recipe
from gangen.training.run import train
from gangen_text.networks.cnn import CNNDiscriminator
from gangen_text.networks.pretrained import PretrainedDiscriminator
from gangen_text.objectives.gumbel import Gumbel


def made(data, folder, seed=0, **options):
    torch.manual_seed(seed)
    return PretrainedDiscriminator(data.codec.spec, model=str(folder), **options)


def some(data, n=6):
    rows = data.heldout.rows()
    return rows["tokens"][:n], {"label": rows["label"][:n]}


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_logits_are_those_of_the_models_states_of_the_text(kind, data, request):
    from transformers import AutoModel, AutoTokenizer

    folder = request.getfixturevalue(kind)
    tokens, condition = some(data)
    net, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    judge = made(data, folder, pooling="last").train()
    for text, label, found in zip(data.codec.decode(tokens), condition["label"], judge(tokens, condition), strict=True):
        ids = tokenizer(text, return_tensors="pt")["input_ids"][:, :12]
        state = net(input_ids=ids).last_hidden_state[0, -1]
        expected = state @ judge.output.weight[0] + judge.output.bias[0] + state @ judge.projection.weight[label]
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_a_logit_depends_on_its_text_and_label_alone(bert, data):
    judge, (tokens, condition) = made(data, bert), some(data, 70)
    with torch.no_grad():
        together = judge(tokens, condition)
        alone = torch.cat([judge(tokens[n : n + 1], {"label": condition["label"][n : n + 1]}) for n in range(70)])
        other = judge(tokens, {"label": 1 - condition["label"]})
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=1e-5)
    assert (together != other).all()
    # What stands behind the end of a text is not read.
    behind = torch.where(data.codec.spec.mask(tokens), tokens, 5)
    assert torch.equal(judge(behind, condition), judge(tokens, condition))
    with pytest.raises(UsageError, match="label"):
        judge(tokens)


@pytest.mark.parametrize(("frozen", "learned"), [("nothing", True), ("embeddings", True), ("all", False)])
def test_what_is_frozen_neither_learns_nor_is_stored(frozen, learned, bert, data):
    judge, other = made(data, bert, frozen=frozen), made(data, bert, seed=1, frozen=frozen)
    tokens, condition = some(data)
    judge(tokens, condition).sum().backward()
    moved = {name for name, it in judge.named_parameters() if it.grad is not None}
    assert any("attention" in name for name in moved) == learned
    assert any("word_embeddings" in name for name in moved) == (frozen == "nothing")
    kept = state_of(judge)
    assert set(kept) == {name for name, it in judge.named_parameters() if it.requires_grad}
    with torch.no_grad():
        for it in judge.parameters():
            if it.requires_grad:
                it.add_(0.1)
    load_state(other, state_of(judge))
    assert torch.equal(other(tokens, condition), judge(tokens, condition))


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_of_a_number_of_layers_those_that_follow_learn(kind, data, request):
    folder = request.getfixturevalue(kind)
    judge = made(data, folder, frozen=1)
    judge(*some(data)).sum().backward()
    names = [name for name, _ in judge.reader.named_parameters()]
    last = {f"reader.{name}" for name in names if {"bert": "encoder.layer.1.", "gpt2": ".h.1."}[kind] in name}
    moved = {name for name, it in judge.named_parameters() if it.grad is not None}
    assert last and moved == last | {"output.weight", "output.bias", "projection.weight"}
    assert set(state_of(judge)) == moved
    assert not any(it.requires_grad for name, it in made(data, folder, frozen=2).reader.named_parameters())
    with pytest.raises(UsageError, match=r"discriminator text/pretrained: frozen is 3, and '.*' has 2 layers"):
        made(data, folder, frozen=3)


def test_texts_are_cut_after_max_length_tokens(bert, data):
    tokens, condition = some(data)
    cut = tokens.clone()
    cut[:, 5:] = data.codec.spec.pad
    cut[:, 4] = data.codec.spec.end
    short, whole = made(data, bert, max_length=4), made(data, bert)
    assert torch.equal(short(tokens, condition), short(cut, condition))
    assert (whole(tokens, condition) != whole(cut, condition)).all()


def test_a_copy_judges_alike(bert, data):
    judge, (tokens, condition) = made(data, bert), some(data)
    assert torch.equal(copy.deepcopy(judge)(tokens, condition), judge(tokens, condition))


def test_a_model_that_chooses_by_one_is_opened_again_with_its_folder(bert, data, tmp_path):
    texts = data.codec.decode(data.train.rows()["tokens"][:80])
    (tmp_path / "texts.txt").write_text("".join(f"{text}\n" for text in sorted(set(texts))))
    recipe, registry = tmp_path / "game.yaml", Registry.discover()
    recipe.write_text(
        f"""
run: {tmp_path / "run"}
data: {{use: text/lines, path: {tmp_path / "texts.txt"}, tokenizer: words, max_length: 12}}
players:
  generator: {{use: text/lstm, embedding_dim: 8, hidden_dim: 8}}
  discriminator: {{use: text/pretrained, model: {bert}}}
objective: {{use: text/seqgan, loss: non_saturating}}
sampler: {{use: text/residual, candidates: 3}}
phases: {{imitate: {{steps: 1, turns: {{imitate: 1}}}}, discriminate: {{steps: 1, turns: {{discriminate: 1}}}}}}
trainer: {{batch_size: 8, threads: 1}}
every: {{sample: 0, checkpoint: 0}}
"""
    )
    train(load_recipe(recipe, registry=registry), registry)
    assert len(saved_model.load(tmp_path / "run").sample(n=2, seed=1)) == 2
    bert.rename(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match=r"text/pretrained cannot open model .*: there is no such folder"):
        saved_model.load(tmp_path / "run")


def test_relaxed_tokens_and_numbers_that_stand_for_no_text_are_refused(bert, data):
    tokens, condition = some(data)
    with pytest.raises(UsageError) as error:
        made(data, bert)(one_hot(tokens, data.codec.spec.vocab_size).float(), condition)
    assert str(error.value) == (
        "discriminator text/pretrained reads words, and relaxed tokens are none; "
        "play text/seqgan, or take text/cnn in its place"
    )
    with pytest.raises(UsageError, match="reads texts, and the tokens of these data stand for none"):
        PretrainedDiscriminator(replace(data.codec.spec, tokenizer=None), model="x")


def test_a_game_that_relaxes_tokens_is_refused_before_any_training(bert, data):
    game, judge = Gumbel(data.codec.spec), made(data, bert)
    for turns in ({"imitate", "discriminate", "relax"}, {"discriminate"}, {"relax"}):
        with pytest.raises(UsageError, match=r"relaxes tokens, and the discriminator reads words: play text/seqgan"):
            game.check(Players({"discriminator": judge}), turns)
    game.check(Players({"discriminator": judge}), {"imitate"})
    game.check(Players({"discriminator": CNNDiscriminator(data.codec.spec)}), {"discriminate", "relax"})


def an_empty_folder(folder):
    shutil.rmtree(folder)
    folder.mkdir()


def no_folder(folder):
    shutil.rmtree(folder)


def a_file(folder):
    shutil.rmtree(folder)
    folder.write_text("{}")


def no_tokenizer(folder):
    for path in folder.glob("tokenizer*"):
        path.unlink()


def a_pickle(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def half_of_its_weights(folder):
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])


def code_of_its_own(folder):
    code = {"AutoConfig": "modeling.Config", "AutoModel": "modeling.Net"}
    (folder / "config.json").write_text(json.dumps({"model_type": "mystery", "auto_map": code}))
    (folder / "modeling.py").write_text("raise SystemExit('this was run')")


def a_model_of_images(folder):
    from transformers import ViTConfig, ViTModel

    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    ViTModel(ViTConfig(image_size=16, **shape)).save_pretrained(folder)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (an_empty_folder, "Unrecognized model"),
        (no_folder, "there is no such folder"),
        (a_file, "it is a file"),
        (no_tokenizer, "there are no files of a tokenizer, such as tokenizer.json"),
        (a_pickle, "no file named model.safetensors"),
        (half_of_its_weights, "incomplete metadata"),
        (a_model_of_images, "it is no model of text alone"),
    ],
)
def test_a_model_that_cannot_be_opened_is_refused_by_name(spoil, reason, bert, data):
    spoil(bert)
    with pytest.raises(UsageError) as error:
        made(data, bert)
    first, *advice = str(error.value).split("\n")
    assert first.startswith(f"discriminator text/pretrained cannot open model {str(bert)!r}: ") and reason in first
    assert " ".join(advice) == (
        "name a folder that save_pretrained() of a model and what goes with it wrote, or a model on the hub weights "
        "must be safetensors, as pickles (pytorch_model.bin) can run code: save such a model again to convert it"
    )


def test_a_model_that_brings_code_is_refused_for_that(bert, data):
    code_of_its_own(bert)
    with pytest.raises(UsageError, match=r"it brings code of its own, .* is run\ntake a model of an architecture that"):
        made(data, bert)


def test_without_a_network_a_name_on_the_hub_is_refused_with_the_way_by_a_folder(data, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UsageError, match=r"(?s)'nobody/nothing': it was not fetched before, .*; then name that folder"):
        made(data, "nobody/nothing")


def test_the_tokenizer_is_no_part_of_what_makes_descriptions_equal(data):
    spec = data.codec.spec
    bare = replace(spec, tokenizer=None)
    assert spec == bare and "tokenizer" not in repr(spec)
    assert spec.texts(some(data)[0]) == data.codec.decode(some(data)[0])
    with pytest.raises(UsageError, match="the tokens of these data stand for no text"):
        bare.texts(some(data)[0])
