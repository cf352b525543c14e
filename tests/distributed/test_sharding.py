"""Players of which two processes keep a part each: what is learned, kept and given away is that of one process."""

import json

import pytest
import torch
from safetensors.torch import load_file

import gangen

DISTILLATION = """
data: {use: text/prompts, size: 60, max_length: 10, max_prompt_length: 12}
players:
  generator: {use: text/causal_lm, architecture: llama, hidden_size: 16, shard: true, clip: 0.5, ema: 0.9,
              optimizer: {lr: 0.01, eps: 1e-4}}
  discriminator: {use: text/sequence_classifier, architecture: llama, hidden_size: 16, init: generator, shard: true,
                  optimizer: {use: sgd, lr: 0.1, momentum: 0.5}}
  reference: {kind: generators, copy_of: {player: generator, every: 2}, shard: true}
objective: {use: text/adversarial_distillation, group: 3, kl: 0.5}
phases:
  warmup: {steps: 1, turns: {imitate: 1, discriminate: 1}}
  adversarial: {steps: 3, turns: {discriminate: 1, policy: 2}, optimizers: {generator: {use: rmsprop, eps: 1e-2}}}
trainer: {batch_size: 16, accumulate: 2, precision: fp64, threads: 1}
"""
ADAPTER = """
data: {use: text/lines, path: LINES, tokenizer: MODEL, max_length: 8}
players:
  generator: {use: text/causal_lm, model: MODEL, adapter: {rank: 2}, shard: SHARD, ema: 0.5,
              optimizer: {lr: 0.01, eps: 1e-4}}
  reference: {kind: generators, copy_of: generator}
objective: text/ddo
phases: {pretrain: {steps: 2, turns: {imitate: 1}}, adversarial: {steps: 2, turns: {discriminate: 1}}}
trainer: {batch_size: 4, precision: fp64, threads: 1}
"""
ROLLOUTS = """
data: {use: text/lines, path: LINES, tokenizer: words, max_length: 8}
players:
  generator: {use: text/lstm, hidden_dim: 6, shard: true, ema: 0.9, optimizer: {lr: 0.01, eps: 1e-4}}
  discriminator: {use: text/cnn, filter_widths: [1], filter_counts: [4], dropout: 0.0, optimizer: {lr: 0.01, eps: 1e-4}}
objective: {use: text/seqgan, rollouts: 2, rollout_with: average}
phases: {adversarial: {steps: 3, turns: {imitate: 1, discriminate: 1, policy: 1}}}
trainer: {batch_size: 4, precision: fp64, threads: 1}
"""
CONVOLUTIONS = """
data: {use: image/digits, size: 32}
players:
  generator: {use: image/dcgan, width: 8, shard: true, ema: 0.9, optimizer: {lr: 0.001, eps: 1e-4}}
  discriminator: {use: image/dcgan, width: 8, shard: true, optimizer: {lr: 0.001, eps: 1e-4}}
objective: {use: image/gan}
phases: {adversarial: {steps: 2, turns: {discriminate: 1, generate: 1}}}
trainer: {batch_size: 8, precision: fp64, threads: 1}
"""
PENALTIES = """
data: {use: image/points, size: 256, heldout_size: 64}
players:
  generator: {use: image/mlp, hidden_dim: 5, shard: true, optimizer: {use: sgd, lr: 0.1, momentum: 0.5}, ema: 0.9}
  discriminator: {use: image/mlp, hidden_dim: 5, shard: true, weight_clip: 0.3,
                  optimizer: {use: adamw, lr: 0.01, eps: 1e-4, groups: [{match: "*.bias", lr: 0.1}]}}
objective: {use: image/gan, loss: relativistic_average, penalties: [r1], lazy_penalties: [gradient_penalty]}
phases: {adversarial: {steps: STEPS, turns: {discriminate: 1, generate: 1, penalize: {every: 2}}}}
trainer: {batch_size: 32, precision: fp64, threads: 1}
every: {log: 1, sample: 2, evaluate: 2, checkpoint: 2}
metrics: [image/modes]
keep_best: kl
"""

# Of three rows the two on the first process change; the weight that has no dimension is on both.
STEP = """
import json

import torch
from accelerate import Accelerator
from torch import nn

from gangen.contracts import Clock
from gangen.optimizers import Learning, sgd
from gangen.schedules import Schedule
from gangen.training.players import Player, learning

accelerator = Accelerator(cpu=True)
net = nn.Module()
net.rows, net.scale = nn.Parameter(torch.ones(3, 3 * 2**19)), nn.Parameter(torch.tensor(2000.0))
player = Player("player", net, Learning(sgd, {"lr": Schedule(0.5)}))
player.shard()
with learning({"player": player}, ["player"]):
    (net.rows[:2].sum() + 1000 * net.scale).backward()
    player.share_gradients()
    figures = player.step(Clock("phase", 0, 10), measure=True)
figures = {name: figure.item() for name, figure in figures.items()}
if accelerator.is_main_process:
    print(json.dumps(figures))
accelerator.end_training()
"""


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """A folder with a small language model, whose embedding is its output layer too, and a file of lines for it."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("model")
    words = {word: number for number, word in enumerate(["[PAD]", "[END]", *"abcdefg"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[END]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {"pad_token": "[PAD]", "eos_token": "[END]", "bos_token": "[END]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    shape = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(vocab_size=len(words), tie_word_embeddings=True, **shape)).save_pretrained(folder)
    (folder / "lines.txt").write_text("a b\nb c d\nc\nd e f\ng a\nf f a\n")
    return folder


@pytest.fixture(scope="module")
def played(play_on_one_and_two, pretrained):
    games = {"distillation": DISTILLATION, "penalties": PENALTIES.replace("STEPS", "4"), "rollouts": ROLLOUTS}
    games["convolutions"] = CONVOLUTIONS
    for shard in ("true", "false"):
        games[f"adapter, shard {shard}"] = ADAPTER.replace("MODEL", str(pretrained)).replace("SHARD", shard)
    games = {name: text.replace("LINES", str(pretrained / "lines.txt")) for name, text in games.items()}
    return play_on_one_and_two(games)


@pytest.mark.parametrize(
    "name", ["distillation", "penalties", "rollouts", "convolutions", "adapter, shard true", "adapter, shard false"]
)
def test_sharded_players_have_the_gradients_of_one_process(name, played):
    assert len(played.turns(name)) > 1
    assert played.differences(name) == []


def test_a_sharded_run_is_sampled_measured_kept_and_gone_on_with_as_any_other(tmp_path, python):
    (tmp_path / "four.yaml").write_text(PENALTIES.replace("STEPS", "4"))
    (tmp_path / "eight.yaml").write_text(PENALTIES.replace("STEPS", "8"))
    gangen.train(tmp_path / "eight.yaml", run=str(tmp_path / "whole"))
    gangen.train(tmp_path / "four.yaml", run=str(tmp_path / "more"))
    python("-m", "gangen", "eight.yaml", "run=more", processes=2, cwd=tmp_path)
    python("-m", "gangen", "four.yaml", "run=two", processes=2, cwd=tmp_path)
    python("-m", "gangen", "four.yaml", "run=other", processes=2, cwd=tmp_path)
    python("-m", "gangen", "eight.yaml", "run=two", processes=2, cwd=tmp_path)
    python("-m", "gangen", "eight.yaml", "run=other", "players.generator.shard=false", cwd=tmp_path)
    files = [file.relative_to(tmp_path / "whole") for file in (tmp_path / "whole").rglob("*.safetensors")]
    assert {"model", "best", "checkpoints"} == {file.parts[0] for file in files}
    for run in ("more", "two", "other"):
        for file in files:
            found, expected = load_file(tmp_path / run / file), load_file(tmp_path / "whole" / file)
            assert found.keys() == expected.keys()
            for name, tensor in expected.items():
                torch.testing.assert_close(found[name], tensor, rtol=1e-9, atol=1e-9)
        rows = [json.loads(line) for line in (tmp_path / run / "metrics.jsonl").read_text().splitlines()]
        assert not any("failed" in row.get("warning", "") for row in rows)  # as a sheet, or a metric
        assert [row["step"] for row in rows if "kl" in row] == [2, 4, 6, 8]
        assert len(list((tmp_path / run / "samples").glob("step-*"))) == 4
    assert gangen.load(tmp_path / "two").sample(n=3, seed=1)


@pytest.mark.parametrize("shard", ["true", "false"])
def test_of_an_adapter_two_processes_keep_its_own_matrices_alone(shard, pretrained, tmp_path, python):
    text = ADAPTER.replace("MODEL", str(pretrained)).replace("LINES", str(pretrained / "lines.txt"))
    (tmp_path / "adapter.yaml").write_text(text.replace("SHARD", shard))
    python("-m", "gangen", "adapter.yaml", "run=run", processes=2, cwd=tmp_path)
    kept = {file.stem: load_file(file) for file in (tmp_path / "run").glob("checkpoints/*4/generator/*.safetensors")}
    assert kept.keys() == {"model", "average", "optimizer"}
    kept["exported"] = load_file(tmp_path / "run" / "model" / "generator.safetensors")
    sizes = {name: sum(it.numel() for it in tensors.values() if it.dim()) for name, tensors in kept.items()}
    assert sizes["average"] == sizes["exported"] == sizes["model"] == sizes.pop("optimizer") / 2  # Adam's two moments
    assert all("lora_" in tensor for name in sizes for tensor in kept[name])


def test_a_step_is_as_large_with_parts_as_with_the_whole(tmp_path, python):
    (tmp_path / "step.py").write_text(STEP)
    alone, together = (json.loads(python(tmp_path / "step.py", processes=n).stdout) for n in (1, 2))
    assert together == pytest.approx(alone, rel=1e-5)


def test_an_optimizer_that_cannot_step_with_parts_is_refused_before_training(tmp_path, python):
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "from gangen import hookimpl\n"
        "def lifted(parameters):\n"
        "    return torch.optim.Adagrad(parameters, fused=True)\n"
        "def wordless(parameters):\n"
        "    assert not any(hasattr(it, 'full_tensor') for group in parameters for it in group['params'])\n"
        "    return torch.optim.SGD(parameters)\n"
        "@hookimpl\n"
        "def gangen_optimizers(register):\n"
        "    register('lifted', f'{__name__}:lifted')\n"
        "    register('wordless', f'{__name__}:wordless')\n"
    )
    (tmp_path / "game.yaml").write_text("code: mine.py\n" + PENALTIES.replace("STEPS", "4"))
    others = "players.generator.optimizer={use: local/lifted}", "players.discriminator.optimizer={use: local/wordless}"
    words = "-m", "gangen", "game.yaml", "run=run", *others
    said = python(*words, processes=2, check=False, cwd=tmp_path)
    assert "this optimizer cannot step with parts of the weights of 'generator', which is sharded" in said.stderr
    assert "of the weights of 'discriminator', which is sharded: AssertionError" in said.stderr
    assert not (tmp_path / "run").exists()
    python(*words, cwd=tmp_path)  # alone, a process has all of them
