"""Two processes play the same text game as one: equal gradients in every turn, identical weights on all ranks."""

import textwrap

import pytest

# A large eps: Adam would blow up the rounding of gradients that are zero in theory, as that of a bias in a relativistic
# loss, into differences of weights.
RECIPE = """
data: {{use: text/lines, path: {path}, label_column: label, tokenizer: words, max_length: 8}}
players:
  generator: {{use: {generator}, optimizer: {{lr: 0.01, eps: 1e-4}}, clip: 1.0, ema: 0.9}}
  discriminator: {{use: {discriminator}, dropout: 0.0, optimizer: {{lr: 0.01, eps: 1e-4}}}}
  {other}
objective: {objective}
phases: {phases}
trainer: {{batch_size: 16, accumulate: {accumulate}, precision: fp64, threads: 1}}
"""
LSTM, TRANSFORMER = "text/lstm, hidden_dim: 16", "text/transformer, dim: 16, heads: 2, layers: 1, dropout: 0.0"
CNN, ENCODER = (
    "text/cnn, filter_widths: [1, 3], filter_counts: [4, 4]",
    "text/transformer, dim: 16, heads: 2, layers: 1",
)
READER = "text/lstm, hidden_dim: 8"
TURNS = """
  pretrain: {{steps: 2, turns: {{imitate: 1}}}}
  adversarial: {{steps: 2, turns: {{{turns}}}}}
"""
GAMES = {
    "gumbel": (LSTM, CNN, "{use: text/gumbel, loss: non_saturating}", ("discriminate", "relax")),
    "gumbel, relativistic average": (
        LSTM,
        CNN,
        "{use: text/gumbel, loss: relativistic_average}",
        ("discriminate", "relax"),
    ),
    "gumbel, relativistic paired, transformers": (
        TRANSFORMER,
        ENCODER,
        "{use: text/gumbel, loss: relativistic_paired, straight_through: true}",
        ("discriminate", "relax"),
    ),
    "seqgan": (LSTM, CNN, "{use: text/seqgan, rollouts: 2}", ("discriminate", "policy")),
    "seqgan, prefix baseline, transformers": (
        TRANSFORMER,
        ENCODER,
        "{use: text/seqgan, rollouts: 2, baseline: prefix, reward: logit, rollout_with: average}",
        ("discriminate", "policy"),
    ),
    "maligan": (LSTM, CNN, "{use: text/maligan, baseline: 0.5}", ("discriminate", "policy")),
    "coop": (LSTM, CNN, "{use: text/coop, candidates: 3, by: weights}", ("discriminate", "cooperate")),
    "coop by choice": (LSTM, CNN, "{use: text/coop, candidates: 3, by: choice}", ("discriminate", "cooperate")),
    "cot": (LSTM, CNN, "text/cot", ("mediate", "cooperate")),
    "jsdgan": (LSTM, CNN, "{use: text/jsdgan, texts: 80}", ("generate",)),
    "ddo": (LSTM, CNN, "text/ddo", ("discriminate",)),
    "relgan": (
        "text/relational_memory, dim: 8",
        CNN + ", embedding_dim: 1, representations: 3",
        "{use: text/gumbel, loss: relativistic_paired, temperature: {start: 1, end: 0.01, shape: exponential}}",
        ("discriminate", "relax"),
    ),
    "penalties and spectral norm": (
        LSTM,
        CNN + ", own_gate: true, spectral_norm: true",
        "{use: text/gumbel, loss: hinge, penalties: [gradient_penalty], lazy_penalties: [r1]}",
        ("discriminate", "relax", "penalize"),
    ),
    "seqgan's own discriminator": (
        LSTM,
        CNN + ", own_gate: true",
        "{use: text/seqgan, rollouts: 2, l2: 0.2}",
        ("discriminate", "policy"),
    ),
    "rankgan": (LSTM, CNN, "{use: text/rankgan, rollouts: 2}", ("discriminate", "policy")),
    "sentigan": (LSTM, CNN, "{use: text/sentigan, rollouts: 2}", ("discriminate", "policy")),
    "leakgan": (
        f"text/hierarchical, goal_dim: 3, leak: {{use: {CNN}}}",
        CNN,
        "{use: text/leakgan, rollouts: 2}",
        ("discriminate", "policy"),
    ),
    "scratchgan": (LSTM, READER, "{use: text/scratchgan, decay: 0.5}", ("discriminate", "policy")),
}
OTHERS = {
    "cot": "mediator: {kind: generators, init: generator, optimizer: {lr: 0.01, eps: 1e-4}}",
    "ddo": "reference: {kind: generators, copy_of: generator}",
}
# Games of a language model that answers prompts; its layers are of one precision, as those of others are not.
DISTILLATION = """
data: {use: text/prompts, size: 60, max_length: 10, max_prompt_length: 12}
players:
  generator: {use: text/causal_lm, architecture: gpt2, hidden_size: 16, optimizer: {lr: 0.01, eps: 1e-4}}
  discriminator: {use: text/sequence_classifier, architecture: gpt2, hidden_size: 16, init: generator,
                  optimizer: {lr: 0.01, eps: 1e-4}}
  reference: {kind: generators, copy_of: generator}
objective: OBJECTIVE
phases:
  warmup: {steps: 1, turns: {imitate: 1, discriminate: 1}}
  adversarial: {steps: 2, turns: {discriminate: 1, policy: 2}}
trainer: {batch_size: 8, precision: fp64, threads: 1}
"""
DISTILLING = {
    "text/adversarial_distillation": "{use: text/adversarial_distillation, group: 3, kl: 0.5}",
    "text/imitation_rl": "text/imitation_rl",
    "text/self_play": "text/self_play",
    "text/sequence_kd": "text/sequence_kd",
    "text/ddo": "text/ddo",
}


def recipe(path, generator, discriminator, objective, phases, accumulate=1, other=""):
    return textwrap.dedent(RECIPE).format(
        path=path,
        generator=generator,
        discriminator=discriminator,
        objective=objective,
        phases=phases,
        accumulate=accumulate,
        other=other,
    )


@pytest.fixture(scope="module")
def played(play_on_one_and_two, labelled_csv):
    games = {}
    for name, (generator, discriminator, objective, turns) in GAMES.items():
        phases = TURNS.format(turns=", ".join(f"{turn}: 1" for turn in turns))
        games[name] = recipe(labelled_csv, generator, discriminator, objective, phases, other=OTHERS.get(name, ""))
    for accumulate in (1, 4):
        objective = "{use: text/seqgan, rollouts: 2, baseline: none, whiten: false}"
        phases = "{adversarial: {steps: 4, turns: {imitate: 1, discriminate: 1}}}"
        games[f"in {accumulate}"] = recipe(labelled_csv, LSTM, CNN, objective, phases, accumulate)
    games |= {name.replace("/", "."): DISTILLATION.replace("OBJECTIVE", it) for name, it in DISTILLING.items()}
    return play_on_one_and_two(games)


@pytest.mark.parametrize("name", GAMES)
def test_two_processes_have_the_gradients_of_one(name, played):
    assert played.turns(name) == {"imitate", *GAMES[name][-1]}
    assert played.differences(name) == []


@pytest.mark.parametrize("name", DISTILLING)
def test_two_processes_distil_as_one_does(name, played):
    assert "imitate" in played.turns(name.replace("/", "."))
    assert played.differences(name.replace("/", ".")) == []


def test_micro_batches_have_the_gradient_of_the_whole_batch(played):
    # What is logged of a loss is the mean of what it was in each micro-batch, of however many tokens.
    assert played.differences("in 4", "in 1") == ["figures.imitate/loss"]
