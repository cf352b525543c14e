"""Texts that another engine writes, by a stand-in for vllm: the network's own law, its weights of now, resume."""

import sys
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from rich.console import Console
from transformers import GenerationConfig

import gangen
from gangen import UsageError, noise
from gangen.components.registry import Registry
from gangen.recipe.load import load_recipe
from gangen.run_directory import RunDirectory
from gangen.training import checkpoint
from gangen.training.assemble import assemble
from gangen_text.data.corpus import make_codec
from gangen_text.networks.causal_lm import CausalLM
from gangen_text.networks.draws import truncated

STANDIN = Path(__file__).parents[2] / "fixtures" / "standin-vllm"


@pytest.fixture
def vllm(monkeypatch):
    """The stand-in, in the place of the package."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "vllm"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(STANDIN))
    yield
    for name in ("vllm", "vllm.platforms"):
        sys.modules.pop(name, None)


def network(llama, **options):
    spec = make_codec([], [], tokenizer=str(llama), max_length=8).spec
    return CausalLM(spec, model=str(llama), engine="vllm", **options)


def likeliest(net, n=1, **condition):
    return net.sample(n, condition, top_k=1)


def test_the_engine_writes_with_the_weights_that_the_network_has_now(vllm, llama):
    net = network(llama)
    before = likeliest(net)
    torch.manual_seed(5)
    drawn = torch.rand(3)
    torch.manual_seed(5)
    net.before_training()
    assert net.writer is not None and torch.equal(torch.rand(3), drawn)
    assert torch.equal(likeliest(net), before)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.3)
    for _ in range(3):
        optimizer.zero_grad()
        net.log_prob(before).sum().backward()
        optimizer.step()
    after = likeliest(net)
    net.writer = None
    assert torch.equal(after, likeliest(net)) and not torch.equal(after, before)


def test_texts_go_on_from_prefixes_and_end_by_any_end_of_the_model(vllm, llama):
    ends = [7, network(llama).spec.pad]
    GenerationConfig(eos_token_id=[network(llama).spec.end, *ends]).save_pretrained(llama)
    net = network(llama)
    net.before_training()
    begun = torch.tensor([[4, 5], [6, net.spec.end], [9, 9]])
    with noise.shared(0):
        rows = net.sample(300, {"prefix": begun.repeat(100, 1)})
    assert torch.equal(rows[:, :2], begun.repeat(100, 1))
    assert rows[1].tolist() == [6, net.spec.end, *[net.spec.pad] * 6]
    text = rows[net.spec.text(rows)]
    assert not torch.isin(text, torch.tensor([net.spec.start, *ends])).any() and rows.max() < net.spec.vocab_size
    ended = (rows[0::3, 2] == net.spec.end).double().mean()
    logits = net.net(input_ids=torch.tensor([[net.spec.start, 4, 5]])).logits[0, -1, :11]
    logits[net.spec.start] = -torch.inf
    torch.testing.assert_close(ended, logits.softmax(-1)[[net.spec.end, *ends]].sum().double(), atol=0.1, rtol=0)


@pytest.mark.parametrize("setting", [{"top_k": 3}, {"top_p": 0.5}, {"min_p": 0.5}])
def test_unlikely_tokens_are_left_out_as_the_network_leaves_them_out(setting, vllm, llama):
    net = network(llama)
    logits = net.logits(net.read(net.embedding(torch.tensor([[net.spec.start]])), None))[0]
    kept = truncated(logits.detach() / 0.7, **setting).isfinite().nonzero()[:, 1]
    net.before_training()
    with noise.shared(0):
        assert net.sample(200, temperature=0.7, **setting)[:, 0].unique().tolist() == kept.tolist()


def test_an_engine_that_writes_other_texts_than_the_network_is_refused(vllm, llama, monkeypatch):
    import vllm as standin

    net = network(llama)
    net.net.lm_head.weight.data.neg_()  # as the stand-in seeds its own as the model was
    monkeypatch.setattr(standin.LLM, "collective_rpc", lambda self, *given, **named: [None])  # it keeps its own weights
    with pytest.raises(
        UsageError, match=r"vllm writes other texts than the network.*\ninstall another version of vllm, or"
    ):
        net.before_training()


def test_what_is_written_for_a_row_does_not_depend_on_the_others(vllm, llama):
    net = network(llama)
    net.before_training()
    with noise.by_row([3, 4, 5]):
        rows = net.sample(3, temperature=1.5)
    assert len(rows.unique(dim=0)) > 1
    with noise.by_row([5]):
        assert torch.equal(net.sample(1, temperature=1.5)[0], rows[2])


RECIPE = """
data: {{use: text/prompts, path: {folder}/answers.jsonl, tokenizer: {model}, max_length: 5, max_prompt_length: 6}}
players:
  generator: {{use: text/causal_lm, model: {model}, engine: ENGINE, ADAPTER ema: 0.5, optimizer: {{lr: 0.02}}}}
  discriminator: {{use: text/sequence_classifier, model: {model}}}
  reference: {{kind: generators, copy_of: {{player: generator, every: 2}}}}
objective: {{use: text/adversarial_distillation, group: 2, kl: 0.1}}
phases: {{adversarial: {{steps: 4, turns: {{discriminate: 1, policy: 1}}}}}}
trainer: {{batch_size: 4, threads: 1}}
every: {{sample: 2, checkpoint: 0}}
"""


@pytest.fixture
def game(llama, tmp_path):
    """``game(engine, adapter)``: the path of a recipe."""
    rows = ["a b", "b c", "c", "d e f", "g", "f a", "e", "a"]
    (tmp_path / "answers.jsonl").write_text("".join(f'{{"prompt": "{it}", "answer": "{it}"}}\n' for it in rows))

    def write(engine="vllm", adapter=""):
        text = RECIPE.format(folder=tmp_path, model=llama).replace("ENGINE", engine).replace("ADAPTER", adapter)
        (tmp_path / "game.yaml").write_text(text)
        return tmp_path / "game.yaml"

    return write


@pytest.mark.parametrize("adapter", ["", "adapter: {rank: 2},"])
def test_a_run_goes_on_to_the_bit_and_its_average_writes_with_its_own_weights(adapter, vllm, game, tmp_path):
    if adapter:
        pytest.importorskip("peft")

    def trainer():
        registry = Registry.discover()
        recipe = load_recipe(game("vllm", adapter), [f"run={tmp_path / 'run'}"], registry)
        return assemble(recipe, registry, Accelerator(cpu=True), RunDirectory(recipe.run), Console(quiet=True))

    whole, resumed = trainer(), trainer()
    for step in range(4):
        if step == 2:
            half = checkpoint.save(whole, tmp_path / "half", keep=1)
        whole.play_step(whole.phases[0])
    checkpoint.restore(resumed, half)
    for _ in range(2):
        resumed.play_step(resumed.phases[0])
    for one, other in zip(whole.players.values(), resumed.players.values(), strict=True):
        assert all(map(torch.equal, one.net.state_dict().values(), other.net.state_dict().values()))
    player = whole.players["generator"]
    assert player.net.writer is player.average.writer is whole.players["reference"].net.writer
    with torch.no_grad():
        for parameter in player.trainable:
            parameter.add_(torch.randn_like(parameter))
    prompts = {"input": whole.data.train.rows()["input"]}
    count = len(prompts["input"])
    by_both = [likeliest(net, count, **prompts) for net in (player.net, player.average)]
    for net, rows in zip((player.net, player.average), by_both, strict=True):
        net.writer = None
        assert torch.equal(likeliest(net, count, **prompts), rows)
    assert not torch.equal(*by_both)


def test_a_trained_model_writes_by_itself_where_there_is_no_engine(vllm, game, tmp_path, monkeypatch):
    gangen.train(game(), run=str(tmp_path / "run"))
    monkeypatch.setitem(sys.modules, "vllm", None)
    model = gangen.load(tmp_path / "run")
    assert model.sample("a b", seed=1) == model.sample("a b", seed=1)


def test_an_engine_that_cannot_be_had_is_refused_before_training(vllm, game, llama, tmp_path, monkeypatch):
    def refused(*changes):
        with pytest.raises(UsageError) as error:
            gangen.train(game(), run=str(tmp_path / "run"), **dict(changes))
        assert not (tmp_path / "run" / "checkpoints").exists()
        return str(error.value)

    net = network(llama, engine_memory=0.99)
    with pytest.raises(UsageError, match=r"vllm cannot run this model: Free memory .*\nset engine: transformers"):
        net.before_training()
    net = network(llama)
    net.before_training()
    with pytest.raises(UsageError, match=r"vllm draws at temperatures from 0.01 to 2, got 3; set engine: transformers"):
        net.sample(1, temperature=3)
    import vllm.platforms

    for kind, words in (("cuda", "vllm computes on cuda, and this run on cpu"), ("", "on no device of this machine")):
        monkeypatch.setattr(vllm.platforms.current_platform, "device_type", kind)
        assert words in refused()
    monkeypatch.setitem(sys.modules, "vllm", None)
    assert 'text/causal_lm needs the package vllm to write with it: pip install "gangen[vllm]"' in refused()
