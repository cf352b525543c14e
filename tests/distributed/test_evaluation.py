"""An evaluation on two processes finds what one finds."""

import json

import pytest

import gangen

RECIPE = """
data: {use: text/oracle, vocab_size: 12, length: 5, train_size: 64, heldout_size: 30}
players:
  generator: {use: text/lstm, embedding_dim: 4, hidden_dim: 4, ema: 0.5}
  discriminator: {use: text/cnn, embedding_dim: 4, filter_widths: [1, 2], filter_counts: [2, 2]}
objective: text/gumbel
phases: {adversarial: {steps: 4, turns: {imitate: 1, discriminate: 1, relax: 1}}}
trainer: {batch_size: 8, precision: fp64}
every: {log: 0, sample: 0, evaluate: 2, checkpoint: 0}
metrics:
- text/nll
- text/nll_oracle
- text/unique
- text/bleu
- text/self_bleu
- {use: kid, extractor: text/ngrams}
- {use: frechet, extractor: {use: text/encoder, steps: 3}}
keep_best: {lowest: nll_oracle}
"""


def test_figures_of_two_processes_are_those_of_one(tmp_path, python):
    recipe = tmp_path / "game.yaml"
    recipe.write_text(RECIPE)
    rows, best = {}, {}
    gangen.train(recipe, run=str(tmp_path / "one"))
    # What they wrote is what counts: gloo now and then aborts a process that is done, at the interpreter's exit.
    python("-m", "gangen", recipe, f"run={tmp_path / 'two'}", processes=2, check=False)
    for name in ("one", "two"):
        rows[name] = [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        rows[name] = [row for row in rows[name] if "warning" not in row]
        best[name] = json.loads((tmp_path / name / "best/best.json").read_text())
    assert [row["step"] for row in rows["one"]] == [row["step"] for row in rows["two"]] == [2, 4]
    for one, two in zip(rows["one"], rows["two"], strict=True):
        assert two == {
            name: {key: pytest.approx(it, rel=1e-6) if isinstance(it, float) else it for key, it in value.items()}
            if isinstance(value, dict)
            else value
            for name, value in one.items()
        }
        assert one["nll_oracle"]["value"] != one["nll_oracle"]["real"]
    assert best["two"]["step"] == best["one"]["step"]
