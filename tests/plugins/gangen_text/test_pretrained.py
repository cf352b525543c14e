"""A pretrained model as discriminator: it reads texts, learns what it may, and is stored without the rest."""

import copy
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import one_hot

from gangen.errors import UsageError
from gangen.networks import load_state, state_of
from gangen_text.networks.pretrained import PretrainedDiscriminator


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
        alone = judge(tokens[:1], {"label": condition["label"][:1]})
        other = judge(tokens, {"label": 1 - condition["label"]})
    torch.testing.assert_close(together[:1], alone, atol=1e-6, rtol=1e-5)
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


def test_a_copy_judges_alike(bert, data):
    judge, (tokens, condition) = made(data, bert), some(data)
    assert torch.equal(copy.deepcopy(judge)(tokens, condition), judge(tokens, condition))


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


def test_a_model_that_cannot_be_opened_is_refused_by_name(data, tmp_path):
    (tmp_path / "nothing").mkdir()
    with pytest.raises(UsageError, match=r"discriminator text/pretrained cannot open model '.*nothing': "):
        made(data, tmp_path / "nothing")


def test_the_tokenizer_is_no_part_of_what_makes_descriptions_equal(data):
    spec = data.codec.spec
    bare = replace(spec, tokenizer=None)
    assert spec == bare and "tokenizer" not in repr(spec)
    assert spec.texts(some(data)[0]) == data.codec.decode(some(data)[0])
    with pytest.raises(UsageError, match="the tokens of these data stand for no text"):
        bare.texts(some(data)[0])
