"""Language models of transformers as discriminators: the state of the last token, whatever padding is around."""

from dataclasses import replace

import pytest
import torch

from gangen import UsageError
from gangen.components.registry import Registry
from gangen.errors import RecipeError
from gangen.networks import state_of
from gangen.recipe.load import load_recipe
from gangen.training.assemble import build_game
from gangen_text.data.corpus import make_codec
from gangen_text.networks.causal_lm import CausalLM
from gangen_text.networks.sequence_classifier import SequenceClassifier
from gangen_text.spec import PromptedSpec, TextSpec

PLAIN = TextSpec(vocab_size=9, max_length=5, start=0, end=1, pad=2)
SPEC = PromptedSpec(vocab_size=9, max_length=5, start=0, end=1, pad=2, input=replace(PLAIN, max_length=7))
PROMPTS = torch.tensor([[3, 1, 2, 2, 2, 2, 2], [4, 5, 1, 6, 7, 8, 1], [8, 3, 4, 1, 2, 2, 2]])
TEXTS = torch.tensor([[4, 6, 1, 2, 2], [5, 5, 6, 7, 8], [1, 2, 2, 2, 2]])
WHOLE = ([3, 4, 6, 1], [4, 5, 1, 6, 7, 8, 5, 5, 6, 7, 8], [8, 3, 4, 1])


def network(spec=SPEC, architecture="llama", **options):
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_attention_heads": 2, "config": {"initializer_range": 0.5}}
    return SequenceClassifier(spec, architecture=architecture, **{**shape, **options}).double()


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_a_logit_is_that_of_prompt_and_answer_alone(architecture):
    net = network(architecture=architecture)
    logits = net(TEXTS, {"input": PROMPTS})
    for row, tokens in enumerate(WHOLE):
        state = net.net(input_ids=torch.tensor([tokens])).last_hidden_state[:, -1]
        torch.testing.assert_close(logits[row], net.output(state)[0, 0], atol=1e-10, rtol=0)
    with torch.no_grad():
        torch.testing.assert_close(net(TEXTS, {"input": PROMPTS}), logits)
    logits.sum().backward()
    assert all(it.grad is not None for it in net.parameters())


def test_texts_without_prompts_come_after_their_start():
    net = network(PLAIN)
    state = net.net(input_ids=torch.tensor([[0, 4, 6, 1]])).last_hidden_state[:, -1]
    torch.testing.assert_close(net(TEXTS)[0], net.output(state)[0, 0], atol=1e-10, rtol=0)
    with pytest.raises(UsageError, match="relaxed tokens are none"):
        net(torch.zeros(1, 5, 9).double())
    with pytest.raises(UsageError, match="reads prompts: its condition needs an input"):
        network()(TEXTS)


def test_a_model_with_another_tokenizer_reads_texts_again_and_says_so(tmp_path, caplog):
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    theirs, ours = (make_codec([text], [], tokenizer="words", vocab_size=30, max_length=6) for text in ("c b a", "a b"))
    special = {"bos_token": "<start>", "eos_token": "<end>", "pad_token": "<pad>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=theirs.tokenizer, **special).save_pretrained(tmp_path)
    torch.manual_seed(0)
    shape = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 4}
    GPT2LMHeadModel(GPT2Config(vocab_size=7, initializer_range=0.5, **shape)).save_pretrained(tmp_path)
    spec = PromptedSpec(
        **{name: getattr(ours.spec, name) for name in ("vocab_size", "max_length", "start", "end", "pad", "tokenizer")},
        input=ours.spec,
    )
    net = SequenceClassifier(spec, model=str(tmp_path))
    assert "has other tokens than the data: it reads prompts and answers again as texts" in caplog.text
    rows = [ours.pack(ours.tokenize(texts)) for texts in (["b", "b a b a"], ["a", "b"])]
    logits = net(rows[0], {"input": rows[1]})
    for row, text in enumerate((["a", "b"], ["b", "a", "b", "a"])):  # cut to the last four
        ids = torch.tensor([[theirs.tokenizer.token_to_id(word) for word in text]])
        state = net.net(input_ids=ids).last_hidden_state[:, -1]
        torch.testing.assert_close(logits[row], net.output(state)[0, 0])
    with pytest.raises(UsageError, match="the tokens of these data stand for none"):
        SequenceClassifier(PLAIN, model=str(tmp_path))


def test_with_an_adapter_it_keeps_that_and_its_logit_alone(llama):
    pytest.importorskip("peft")
    spec = make_codec([], [], tokenizer=str(llama), max_length=8).spec
    generator, net = (it(spec, model=str(llama), adapter={"rank": 2}) for it in (CausalLM, SequenceClassifier))
    with torch.no_grad():
        for parameter in generator.parameters():
            if parameter.requires_grad:
                parameter.normal_()
    net.begin_as(generator)
    tokens = torch.tensor([[5, 6, spec.end]])
    state = generator.body(input_ids=torch.tensor([[spec.start, 5, 6, spec.end]])).last_hidden_state[:, -1]
    torch.testing.assert_close(net(tokens), net.output(state)[:, 0])
    kept = state_of(net)
    assert {name for name in kept if ".lora_" not in name} == {"output.weight", "output.bias"}
    assert kept.keys() == {name for name, it in net.named_parameters() if it.requires_grad}


RECIPE = """
run: run
data: {use: text/prompts, size: 40, max_length: 12, max_prompt_length: 12}
players:
  generator: {use: text/causal_lm, architecture: llama, hidden_size: 16, num_attention_heads: 2}
  discriminator: {use: text/sequence_classifier, architecture: llama, hidden_size: 16, num_attention_heads: 2, ema: 0.9}
objective: text/seqgan
phases: {pretrain: {steps: 1, turns: {imitate: 1, discriminate: 1}}}
trainer: {batch_size: 8}
"""


def test_it_begins_as_the_generator_does(tmp_path):
    (tmp_path / "game.yaml").write_text(RECIPE)
    registry = Registry.discover()

    def built(*changes):
        recipe = load_recipe(tmp_path / "game.yaml", changes, registry)
        return build_game(recipe, registry, torch.device("cpu"))[1]

    generator, other = (it.net.body.state_dict() for it in built().values())
    assert any(not torch.equal(generator[name], other[name]) for name in generator)
    players = built("players.discriminator.init=generator")
    generator = players["generator"].net.body.state_dict()
    for net in (players["discriminator"].net, players["discriminator"].average):
        assert all(torch.equal(it, generator[name]) for name, it in net.body.state_dict().items())
    with pytest.raises(RecipeError, match="discriminator text/sequence_classifier can begin as a text/causal_lm"):
        built("players.discriminator.init=generator", "players.discriminator.hidden_size=8")
    with pytest.raises(RecipeError, match="cannot take over the weights of 'generator'"):
        built("players.discriminator.init=generator", "players.generator={use: text/lstm}")
