"""Language models of transformers as generators: likelihoods that no padding changes, samples, folders."""

import sys
from dataclasses import dataclass, replace

import pytest
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from rich.console import Console
from safetensors.torch import load_file

import gangen
from gangen import UsageError, noise
from gangen.components.registry import Registry
from gangen.recipe.load import load_recipe
from gangen.run_directory import RunDirectory
from gangen.training import checkpoint
from gangen.training.assemble import assemble
from gangen_text.codec import TextCodec
from gangen_text.data.corpus import make_codec
from gangen_text.networks.causal_lm import CausalLM
from gangen_text.spec import TextSpec

SHAPE = {"hidden_size": 16, "num_attention_heads": 2}
PLAIN = TextSpec(vocab_size=9, max_length=5, start=0, end=1, pad=2)


@dataclass(frozen=True, kw_only=True)
class Prompted(TextSpec):
    input: TextSpec


SPEC = Prompted(vocab_size=9, max_length=5, start=0, end=1, pad=2, input=replace(PLAIN, max_length=7))
PROMPTS = torch.tensor([[3, 1, 2, 2, 2, 2, 2], [4, 5, 1, 6, 7, 8, 1], [8, 3, 4, 1, 2, 2, 2]])
TEXTS = torch.tensor([[4, 6, 1, 2, 2], [5, 5, 6, 7, 8], [1, 2, 2, 2, 2]])
BATCH = {"input": PROMPTS, "tokens": TEXTS}


def network(architecture="llama", precision=torch.float64, **options):
    torch.manual_seed(0)
    net = CausalLM(SPEC, architecture=architecture, **{**SHAPE, "config": {"initializer_range": 0.5}, **options})
    return net.to(precision)


def by_hand(net, prompt, text):
    """log p of the tokens of one text behind its prompt, by the whole network without padding."""
    length = (text != 2).sum()
    logits = net.net(input_ids=torch.cat([prompt, text[:length]])[None]).logits[0, len(prompt) - 1 : -1]
    logits[:, [0, 2]] = -torch.inf
    found = logits.log_softmax(-1).gather(1, text[:length, None]).squeeze(1)
    return F.pad(found, (0, len(text) - length))


ARCHITECTURES = ["llama", "gpt2", "qwen2", "gpt_neox", "opt", "phi", "bloom"]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_likelihoods_of_a_padded_batch_are_those_of_each_row_alone(architecture, dtype, tolerance):
    options = {"word_embed_proj_dim": 16, "init_std": 0.5} if architecture == "opt" else {"initializer_range": 0.5}
    net = network(architecture, dtype, config=options)
    together = net.log_prob(TEXTS, BATCH)
    assert together[0, :3].std() > 0.1
    for row, prompt in enumerate(([3], [4, 5, 1, 6, 7, 8], [8, 3, 4])):
        alone = net.log_prob(TEXTS[row, None], {"input": PROMPTS[row, None]})[0]
        torch.testing.assert_close(together[row], alone, atol=tolerance, rtol=0)
        expected = by_hand(net, torch.tensor(prompt), TEXTS[row])
        torch.testing.assert_close(together[row], expected, atol=tolerance, rtol=0)
    net.log_prob(TEXTS, BATCH).sum().backward()
    assert all(it.grad is not None for it in net.parameters())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_is_sampled_has_the_probability_that_it_is_said_to_have(architecture):
    net = network(architecture, config={"word_embed_proj_dim": 16} if architecture == "opt" else {})
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    _, features, state = net._first(3, BATCH)
    for t in range(4):
        expected = net._features(TEXTS, BATCH)[:, t]
        read = SPEC.mask(TEXTS)[:, t]
        # Some networks normalise in float32, whatever their weights are.
        torch.testing.assert_close(features[read], expected[read], atol=2e-6, rtol=0)
        features, state = net.step(state, net.embedding(TEXTS[:, t]))


def test_samples_of_a_row_do_not_depend_on_the_batch_around_it():
    net = network()
    seeds = [5, 6, 7]
    with noise.by_row(seeds):
        together = net.sample(3, BATCH)
    for row, seed in enumerate(seeds):
        with noise.by_row([seed]):
            assert torch.equal(net.sample(1, {"input": PROMPTS[row, None]})[0], together[row])
    with noise.by_row(seeds):
        likeliest = net.sample(3, BATCH, top_k=1)
    state = torch.cat([torch.tensor([3]), likeliest[0]])
    logits = net.net(input_ids=state[None]).logits[0]
    logits[:, [0, 2]] = -torch.inf
    assert logits.argmax(-1)[0] == likeliest[0, 0]


def test_rollouts_keep_what_is_there_and_go_on_by_the_same_law():
    net = network()
    with noise.shared(0):
        ways = dict(net.rollout(TEXTS[1:2], {"input": PROMPTS[1:2]}, count=4000, stride=3))
    assert list(ways) == [3]
    assert torch.equal(ways[3][:, :3], TEXTS[1:2, :3].expand(4000, -1))
    tokens = torch.tensor([[5, 5, 6, token, 1] for token in range(9)])
    law = net.log_prob(tokens, {"input": PROMPTS[1:2].expand(9, -1)})[:, 3].exp()
    drawn = torch.bincount(ways[3][:, 3], minlength=9) / 4000
    torch.testing.assert_close(drawn.double()[3:], law[3:], atol=0.03, rtol=0)


def test_tokens_below_a_share_of_the_likeliest_are_not_drawn():
    net = network()
    with noise.shared(0):
        rows = net.sample(300, {"input": PROMPTS[:1].expand(300, -1)}, temperature=2.0, min_p=0.5)
    logits = net.net(input_ids=torch.tensor([[3]])).logits[0, -1] / 2
    logits[[0, 2]] = -torch.inf
    law = logits.softmax(-1)
    assert set(rows[:, 0].tolist()) == set((law >= 0.5 * law.max()).nonzero().flatten().tolist())
    assert 1 < len(rows[:, 0].unique()) < 7


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_weights_in_half_precision_are_near_full_ones(architecture):
    options = {"word_embed_proj_dim": 16} if architecture == "opt" else {}
    full, half = (network(architecture, None, config=options, dtype=it) for it in (None, "bfloat16"))
    assert {it.dtype for it in half.parameters()} == {torch.bfloat16}
    with noise.shared(0):
        rows = half.sample(3, BATCH)
        assert half.relaxed(3, BATCH).shape == (3, 5, 9)
    log_prob = half.log_prob(rows, BATCH)
    assert log_prob.dtype == torch.float32
    torch.testing.assert_close(log_prob, full.log_prob(rows, BATCH), atol=0.03, rtol=0.03)
    log_prob.sum().backward()
    full.log_prob(rows, BATCH).sum().backward()
    ours, theirs = (torch.cat([it.grad.flatten().float() for it in net.parameters()]) for net in (half, full))
    assert (ours - theirs).norm() < 0.1 * theirs.norm()


def test_checkpointing_has_the_same_gradients():
    gradients = []
    for checkpointing in (False, True):
        net = network("gpt2", checkpointing=checkpointing).train()
        net.log_prob(TEXTS, BATCH).sum().backward()
        gradients.append(torch.cat([it.grad.flatten() for it in net.parameters()]))
    torch.testing.assert_close(*gradients)


def codec_of(llama, length=8):
    return make_codec([], [], tokenizer=str(llama), max_length=length)


def test_a_pretrained_model_writes_tokens_of_its_tokenizer_alone(llama):
    codec = codec_of(llama)
    net = CausalLM(codec.spec, model=str(llama), architecture="gpt2")  # which is for where there is none
    assert codec.spec.vocab_size == 11 < net.embedding.num_embeddings
    with noise.shared(0):
        rows = net.sample(64)
    assert rows.max() < 11 and all(set(text.split()) <= {*"abcdefg", "<unk>"} for text in codec.decode(rows))
    tokens = codec.pack(codec.tokenize(["a b c"]))
    logits = net.net(input_ids=torch.tensor([[codec.spec.start, *tokens[0, :3]]])).logits[0, :, :11]
    logits[:, [codec.spec.start, codec.spec.pad]] = -torch.inf
    expected = logits.log_softmax(-1).gather(1, tokens[0, :4, None]).squeeze(1)
    torch.testing.assert_close(net.log_prob(tokens)[0, :4], expected)
    rows = net.relaxed(2, straight_through=True)
    rows[..., 4].sum().backward()
    assert rows.shape == (2, 8, 11) and net.embedding.weight.grad.abs().sum() > 0


def test_any_token_that_ends_a_text_for_the_model_ends_it(llama, tmp_path):
    from transformers import GenerationConfig

    codec = codec_of(llama, 3)
    spec, others = codec.spec, [5, codec.spec.pad]
    GenerationConfig(eos_token_id=[spec.end, *others]).save_pretrained(llama)
    net = CausalLM(spec, model=str(llama)).double()
    logits = net.net(input_ids=torch.tensor([[spec.start]])).logits[0, 0, :11]
    logits[spec.start] = -torch.inf
    law = logits.softmax(-1)
    ending = law[[spec.end, *others]].sum()
    with noise.shared(0):
        rows = net.sample(4000)
    assert not torch.isin(rows[:, 0], torch.tensor(others)).any()
    torch.testing.assert_close((rows[:, 0] == spec.end).double().mean(), ending, atol=0.03, rtol=0)
    empty = torch.tensor([[spec.end, spec.pad, spec.pad]])
    log_prob = net.log_prob(empty)
    torch.testing.assert_close(log_prob[0], torch.stack([ending.log(), *torch.zeros(2)]))
    torch.testing.assert_close(net.log_distributions(empty)[0, spec.end], ending.log())
    torch.testing.assert_close(net.log_distributions(empty).exp().sum(), torch.ones(()).double())
    log_prob.sum().backward()
    ours = net.net.get_output_embeddings().weight.grad.clone()
    net.zero_grad()
    net.log_distributions(empty)[0, spec.end].backward()
    torch.testing.assert_close(ours, net.net.get_output_embeddings().weight.grad)
    net.save_pretrained(tmp_path / "student")
    assert GenerationConfig.from_pretrained(tmp_path / "student").eos_token_id == [spec.end, *others]


@pytest.mark.parametrize("fresh", [True, False])
def test_what_was_saved_is_opened_by_transformers(fresh, llama, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    codec = codec_of(llama)
    net = CausalLM(codec.spec, **({"architecture": "gpt2", **SHAPE} if fresh else {"model": str(llama)}))
    with torch.no_grad():
        net.embedding.weight.mul_(1.5)
    net.save_pretrained(tmp_path / "student")
    assert not [file for file in (tmp_path / "student").iterdir() if file.suffix in (".bin", ".pt", ".pkl")]
    opened, tokenizer = (it.from_pretrained(tmp_path / "student") for it in (AutoModelForCausalLM, AutoTokenizer))
    read = tokenizer("a b c", add_special_tokens=False)["input_ids"]
    assert read == codec.tokenize(["a b c"])[0] and tokenizer.eos_token_id == codec.spec.end
    ids = torch.tensor([[codec.spec.start, *read]])
    torch.testing.assert_close(opened(input_ids=ids).logits, net.net(input_ids=ids).logits)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "needs a model, a folder or a name on the hub, or an architecture"),
        ({"architecture": "lama"}, "transformers has no causal model 'lama'; did you mean 'llama'"),
        ({"architecture": "llama", "config": {"rope": 1}}, "a configuration of 'llama' has no 'rope'"),
        ({"architecture": "llama", "config": {"vocab_size": 1}}, "vocab_size is no further field"),
        ({"architecture": "llama", "hidden_size": 15}, "transformers cannot make such a 'llama'"),
        ({"architecture": "mamba", **SHAPE}, "'mamba' keeps other states than keys and values"),
        ({"architecture": "bert", **SHAPE}, "'bert' reads texts in both directions"),
        ({"architecture": "gemma2", **SHAPE}, "'gemma2' changes the logits of its output layer"),
        ({"architecture": "mistral", **SHAPE, "config": {"sliding_window": 4}}, "attends to the last 4 tokens"),
        ({"architecture": "llama", "adapter": {}}, "an adapter is for a pretrained model, and none is named"),
        ({"model": "./nowhere"}, "cannot open model './nowhere': there is no such folder"),
    ],
)
def test_networks_that_cannot_be_are_refused(options, message):
    if options.get("architecture") in ("bert", "gemma2"):
        options = options | {"config": {"initializer_range": 0.5}}
    with pytest.raises(UsageError, match=message):
        CausalLM(PLAIN, **options)


def test_data_that_do_not_fit_a_pretrained_model_are_refused(llama):
    with pytest.raises(UsageError, match=r"reads 12 tokens at most, and these data have up to 21; set data.max_length"):
        CausalLM(codec_of(llama, 20).spec, model=str(llama))
    other = make_codec(["x y"], [], tokenizer="words", vocab_size=30, max_length=8)
    with pytest.raises(UsageError, match=r"these data have others: set data.tokenizer to it"):
        CausalLM(other.spec, model=str(llama))
    with pytest.raises(UsageError, match="knows no labels"):
        CausalLM(replace(PLAIN, labels=("a", "b")), architecture="llama")
    with pytest.raises(UsageError, match="these data have others for what they start from; take text/prompts"):
        CausalLM(replace(SPEC, input=replace(PLAIN, vocab_size=8)), architecture="llama")
    with pytest.raises(UsageError, match="reads prompts: its condition needs an input"):
        network().sample(1)
    assert isinstance(codec_of(llama), TextCodec)


RECIPE = """
data: {{use: text/lines, path: {path}, tokenizer: {tokenizer}, max_length: 8}}
players:
  generator: {{use: text/causal_lm, {network}, ema: 0.5, optimizer: {{lr: 0.01}}}}
  reference: {{kind: generators, copy_of: generator}}
objective: text/ddo
phases: {{pretrain: {{steps: 2, turns: {{imitate: 1}}}}, adversarial: {{steps: 2, turns: {{discriminate: 1}}}}}}
trainer: {{batch_size: 4, threads: 1}}
"""


@pytest.mark.parametrize("fresh", [True, False])
def test_a_run_is_played_opened_and_given_away(fresh, llama, tmp_path):
    from transformers import AutoModelForCausalLM

    (tmp_path / "lines.txt").write_text("a b\nb c d\nc\nd e f\ng a\nf f a\n")
    network = "architecture: gpt2, hidden_size: 16, num_attention_heads: 2" if fresh else f"model: {llama}"
    text = RECIPE.format(path=tmp_path / "lines.txt", tokenizer="words" if fresh else llama, network=network)
    (tmp_path / "game.yaml").write_text(text)
    gangen.train(tmp_path / "game.yaml", run=str(tmp_path / "run"))
    model = gangen.load(tmp_path / "run")
    texts = model.sample(n=6, seed=1, temperature=0.7)
    assert texts == model.sample(n=6, seed=1, temperature=0.7) and len(set(texts)) > 1
    assert model.sample("a b", seed=1)[0].startswith("a b")
    model.save_pretrained(tmp_path / "student")
    opened = AutoModelForCausalLM.from_pretrained(tmp_path / "student").state_dict()
    ours = model.networks["generator"].net.state_dict()
    assert ours.keys() == opened.keys() and all(torch.equal(ours[name], opened[name]) for name in ours)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot write a pretrained model to"):
        model.save_pretrained(tmp_path / "file")


@pytest.fixture
def adapted(llama, tmp_path):
    """A recipe whose generator is the model of ``llama`` with an adapter."""
    pytest.importorskip("peft")
    (tmp_path / "lines.txt").write_text("a b\nb c d\nc\nd e f\ng a\nf f a\n")
    network = f"model: {llama}, adapter: {{rank: 2}}"
    path = tmp_path / "game.yaml"
    path.write_text(RECIPE.format(path=tmp_path / "lines.txt", tokenizer=llama, network=network))
    return path


def test_of_a_model_with_an_adapter_nothing_else_learns_or_is_kept(adapted, llama, tmp_path):
    from transformers import AutoModelForCausalLM

    run = RunDirectory(gangen.train(adapted, run=str(tmp_path / "run")).folder)
    kept = {file.name: load_file(file) for file in run.root.glob("checkpoints/*4/generator/*.safetensors")}
    assert kept.keys() == {"model.safetensors", "average.safetensors", "optimizer.safetensors"}
    size = 14 * 2 * (2 * 16)  # two matrices of rank 2 beside each of the 14 layers, which are all [16, 16]
    for tensors in (*kept.values(), load_file(run.root / "model" / "generator.safetensors")):
        assert sum(it.numel() for it in tensors.values() if it.dim() == 2) in (size, 2 * size)
    assert all("lora_" in name for name in kept["model.safetensors"].keys() | kept["average.safetensors"].keys())
    model = gangen.load(run.root)
    net, base = model.networks["generator"].net, load_file(llama / "model.safetensors")
    state = {name.replace(".base_layer.", "."): it for name, it in net.state_dict().items()}
    assert all(torch.equal(it, state[name]) for name, it in base.items())
    assert any(it.abs().sum() > 0 for name, it in state.items() if "lora_B" in name)
    model.save_pretrained(tmp_path / "student")
    opened, tokens = AutoModelForCausalLM.from_pretrained(tmp_path / "student"), torch.arange(9)[None]
    assert opened.state_dict().keys() == base.keys() | {"lm_head.weight"}
    torch.testing.assert_close(opened(input_ids=tokens).logits, net(input_ids=tokens).logits)
    assert (opened(input_ids=tokens).logits - AutoModelForCausalLM.from_pretrained(llama)(tokens).logits).std() > 1e-3


def test_a_run_with_an_adapter_goes_on_to_the_bit(adapted, tmp_path):
    def trainer(name):
        registry = Registry.discover()
        recipe = load_recipe(adapted, [f"run={tmp_path / name}"], registry)
        return assemble(recipe, registry, Accelerator(cpu=True), RunDirectory(recipe.run), Console(quiet=True))

    whole, resumed = trainer("whole"), trainer("resumed")
    for step in range(4):
        if step == 3:
            half = checkpoint.save(whole, tmp_path / "half", keep=1)
        whole.play_step(whole.phases[whole.state.phase])
    checkpoint.restore(resumed, half)
    resumed.play_step(resumed.phases[resumed.state.phase])
    for one, other in zip(whole.players.values(), resumed.players.values(), strict=True):
        assert all(map(torch.equal, one.net.state_dict().values(), other.net.state_dict().values()))


def test_an_adapter_without_its_package_says_what_brings_it(llama, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(UsageError, match=r'needs the package peft for an adapter: pip install "gangen\[lm\]"'):
        CausalLM(codec_of(llama).spec, model=str(llama), adapter={"rank": 2})
