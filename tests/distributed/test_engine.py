"""Two processes, each with an engine that writes for it, play as one process does; also where weights are sharded."""

import pytest

RECIPE = """
data: {use: text/prompts, size: 60, max_length: 10, max_prompt_length: 12}
players:
  generator: {use: text/causal_lm, architecture: gpt2, hidden_size: 16, engine: vllm, shard: SHARD, ema: 0.9,
              optimizer: {lr: 0.01, eps: 1e-4}}
  discriminator: {use: text/sequence_classifier, architecture: gpt2, hidden_size: 16, optimizer: {lr: 0.01, eps: 1e-4}}
objective: {use: text/adversarial_distillation, group: 3, kl: 0}
phases: {adversarial: {steps: 3, turns: {discriminate: 1, policy: 1}}}
trainer: {batch_size: 8, precision: fp64, threads: 1}
"""


@pytest.fixture(scope="module")
def played(play_on_one_and_two, root):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(root / "tests" / "fixtures" / "standin-vllm"))
        return play_on_one_and_two({shard: RECIPE.replace("SHARD", shard) for shard in ("true", "false")})


@pytest.mark.parametrize("shard", ["true", "false"])
def test_two_processes_with_engines_play_as_one_does(shard, played):
    assert played.turns(shard) == {"discriminate", "policy"}
    assert played.differences(shard) == []
