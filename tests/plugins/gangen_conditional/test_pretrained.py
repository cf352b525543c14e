"""Pretrained encoders: states are the model's own, what is frozen is neither learned nor stored, what does not fit."""

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from gangen import UsageError
from gangen.networks import load_state, state_of
from gangen_conditional.data.captions import WORDS
from gangen_conditional.data.shapes import Shapes
from gangen_conditional.networks.pretrained import Transformers
from gangen_conditional.networks.word_resnet import WordResNetGenerator


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("models") / "tiny-bert"
    words = {name: number for number, name in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = BertConfig(vocab_size=len(words), max_position_embeddings=32, initializer_range=0.5, **shape)
        BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def data(bert):
    return Shapes(scenes=20, heldout=5, size=16, tokenizer=bert)


def test_states_are_those_of_the_model_for_the_text_by_its_own_tokenizer(bert, data):
    from transformers import AutoModel, AutoTokenizer

    encoder = Transformers(data.codec.spec, model=bert).train()
    rows = data.heldout.rows()["input"]
    states, mask, alone = encoder(rows)
    net, tokenizer = AutoModel.from_pretrained(bert).eval(), AutoTokenizer.from_pretrained(bert)
    for text, found, within in zip(data.codec.input.decode(rows), states, mask, strict=True):
        ids = torch.tensor([[tokenizer.cls_token_id, *tokenizer(text)["input_ids"], tokenizer.sep_token_id]])
        with torch.no_grad():
            expected = net(input_ids=ids).last_hidden_state[0, 1:]
        torch.testing.assert_close(found[within], expected, atol=1e-5, rtol=1e-5)
        assert not found[~within].any()
    torch.testing.assert_close(alone, AutoModel.from_pretrained(bert).embeddings.word_embeddings(rows))


def test_opening_a_model_says_nothing(bert, data, capfd):
    capfd.readouterr()
    Transformers(data.codec.spec, model=bert)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("tuned", [False, True])
def test_what_is_frozen_is_neither_learned_nor_stored_within_another_network_too(bert, data, tuned):
    spec = data.codec.spec
    generators = [
        WordResNetGenerator(
            spec, encoder=Transformers(spec, model=bert, tuned=tuned), latent_dim=3, width=2, max_width=4
        )
        for _ in range(2)
    ]
    kept = state_of(generators[0])
    assert any(name.startswith("encoder.") for name in kept) == tuned
    condition, latent = {"input": data.heldout.rows()["input"]}, torch.zeros(5, 3)
    load_state(generators[1], kept)
    made = [it.eval().sample(5, condition, latent=latent) for it in generators]
    assert torch.equal(*made)
    made[0].sum().backward()
    learned = {name.split(".")[0] for name, it in generators[0].named_parameters() if it.grad is not None}
    assert ("encoder" in learned) == tuned and "blocks" in learned


def test_data_of_other_tokens_and_longer_texts_are_refused(bert):
    with pytest.raises(UsageError, match=r"reads the tokens of '.*tiny-bert', and these data have others: set data"):
        Transformers(Shapes(scenes=20, heldout=5).codec.spec, model=bert)
    longer = Shapes(scenes=20, heldout=5, tokenizer=bert, max_length=32).codec.spec
    with pytest.raises(UsageError, match=r"reads 32 tokens at most; set data.max_length to less"):
        Transformers(longer, model=bert)
