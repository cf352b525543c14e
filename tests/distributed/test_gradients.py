"""Two processes play the same game as one: equal gradients in every turn, identical weights on all ranks."""

import textwrap

import pytest
import torch
from safetensors.torch import load_file

# A large eps: Adam would blow up the rounding of gradients that are zero in theory, as that of a bias in a relativistic
# loss, into differences of weights.
RECIPE = """
data: {{use: text/lines, path: {path}, label_column: label, tokenizer: words, max_length: 8}}
players:
  generator: {{use: {generator}, optimizer: {{lr: 0.01, eps: 1e-4}}, clip: 1.0, ema: 0.9}}
  discriminator: {{use: {discriminator}, dropout: 0.0, optimizer: {{lr: 0.01, eps: 1e-4}}}}
objective: {objective}
phases:
  pretrain: {{steps: 2, turns: {{imitate: 1}}}}
  adversarial: {{steps: 2, turns: {turns}}}
trainer: {{batch_size: 16, precision: fp64}}
"""
LSTM, TRANSFORMER = "text/lstm, hidden_dim: 16", "text/transformer, dim: 16, heads: 2, layers: 1, dropout: 0.0"
CNN, ENCODER = (
    "text/cnn, filter_widths: [1, 3], filter_counts: [4, 4]",
    "text/transformer, dim: 16, heads: 2, layers: 1",
)
RELAX, POLICY = "{discriminate: 1, relax: 1}", "{discriminate: 1, policy: 1}"
GAMES = {
    "gumbel": (LSTM, CNN, "{use: text/gumbel, loss: non_saturating}", RELAX),
    "gumbel, relativistic average": (LSTM, CNN, "{use: text/gumbel, loss: relativistic_average}", RELAX),
    "gumbel, relativistic paired, transformers": (
        TRANSFORMER,
        ENCODER,
        "{use: text/gumbel, loss: relativistic_paired, straight_through: true}",
        RELAX,
    ),
    "seqgan": (LSTM, CNN, "{use: text/seqgan, rollouts: 2}", POLICY),
    "seqgan, prefix baseline, transformers": (
        TRANSFORMER,
        ENCODER,
        "{use: text/seqgan, rollouts: 2, baseline: prefix, reward: logit, rollout_with: average}",
        POLICY,
    ),
}


@pytest.mark.parametrize("name", GAMES)
def test_two_processes_have_the_gradients_of_one(name, labelled_csv, tmp_path, python, root):
    generator, discriminator, objective, turns = GAMES[name]
    recipe = tmp_path / "game.yaml"
    recipe.write_text(
        textwrap.dedent(RECIPE).format(
            path=labelled_csv, generator=generator, discriminator=discriminator, objective=objective, turns=turns
        )
    )
    script = root / "tests/distributed/gradients.py"
    python(script, recipe, tmp_path / "one")
    # What they wrote is what counts: gloo now and then aborts a process that is done, at the interpreter's exit.
    python(script, recipe, tmp_path / "two", processes=2, check=False)

    one = load_file(tmp_path / "one/rank0.safetensors")
    ranks = [load_file(tmp_path / f"two/rank{rank}.safetensors") for rank in (0, 1)]
    assert one.keys() == ranks[0].keys()
    turns_seen = {key.split(".")[2] for key in one if not key.startswith("weights.")}
    assert turns_seen == {"imitate", "discriminate", "relax" if "gumbel" in objective else "policy"}
    for key, expected in one.items():
        assert torch.allclose(ranks[0][key], expected, rtol=0, atol=1e-10), key
        assert torch.equal(ranks[0][key], ranks[1][key]), key
    figures, expected = (load_file(tmp_path / run / "figures.safetensors") for run in ("two", "one"))
    for key in expected:
        assert figures[key].item() == pytest.approx(expected[key].item(), abs=1e-6), key


def test_micro_batches_have_the_gradient_of_the_whole_batch(labelled_csv, tmp_path, python, root):
    recipe = tmp_path / "game.yaml"
    objective = "{use: text/seqgan, rollouts: 2, baseline: none, whiten: false}"
    turns = "{discriminate: 1}"
    recipe.write_text(
        textwrap.dedent(RECIPE).format(
            path=labelled_csv, generator=LSTM, discriminator=CNN, objective=objective, turns=turns
        )
    )
    script = root / "tests/distributed/gradients.py"
    for accumulate in (1, 4):
        python(
            script,
            recipe,
            tmp_path / str(accumulate),
            f"trainer.accumulate={accumulate}",
            "phases.pretrain.turns={discriminate: 1}",
        )
    whole, pieces = (load_file(tmp_path / f"{accumulate}/rank0.safetensors") for accumulate in (1, 4))
    for key, expected in whole.items():
        assert torch.allclose(pieces[key], expected, rtol=0, atol=1e-10), key
