"""``gangen eval``: what it writes down, which runs it takes for one, and what it refuses."""

import hashlib
import json
import shutil
from functools import wraps
from pathlib import Path

import pytest

from gangen import Axis, Tradeoff, cli
from gangen_text.networks.lstm import LSTMGenerator

ORACLE = """\
data: {use: text/oracle, vocab_size: 12, length: 4, train_size: 64, heldout_size: 32}
players:
  generator: {use: text/lstm, embedding_dim: 4, hidden_dim: 4, ema: 0.5}
  discriminator: {use: text/cnn, embedding_dim: 4, filter_widths: [1, 2], filter_counts: [2, 2]}
objective: text/seqgan
phases:
  pretrain: {steps: 2, turns: {imitate: 1}}
  adversarial: {steps: 1, turns: {imitate: 1}}
trainer: {batch_size: 8, threads: 1}
every: {log: 0, sample: 0, evaluate: 0, checkpoint: 1}
metrics: [text/nll, {use: text/nll_oracle, samples: 20}, {use: text/unique, samples: 10}]
"""
CHOSEN = (
    ORACLE.replace(
        "objective: text/seqgan", "objective: {use: text/seqgan, loss: non_saturating}\nsampler: text/residual"
    )
    .replace("adversarial: {steps: 1, turns: {imitate: 1}}", "discriminate: {steps: 1, turns: {discriminate: 1}}")
    .replace(", ema: 0.5", "")
)
POINTS = """\
data: {use: image/points, size: 100, heldout_size: 20}
players:
  generator: {use: image/mlp, latent_dim: 2}
  discriminator: image/mlp
objective: image/gan
phases:
  adversarial: {steps: 1, turns: {discriminate: 1}}
trainer: {threads: 1}
every: {log: 0, sample: 0, evaluate: 0, checkpoint: 1}
metrics: [image/modes]
"""


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> Path:
    """A folder with runs: o0 and o1, which differ in their seeds, longer, points, and chosen, by a discriminator."""
    folder = tmp_path_factory.mktemp("played")
    for name, recipe, *overrides in [
        ("o0", ORACLE),
        ("o1", ORACLE, "seed=1"),
        ("longer", ORACLE, "phases.adversarial.steps=2"),
        ("points", POINTS),
        ("chosen", CHOSEN),
    ]:
        path = folder / f"{name}.yaml"
        path.write_text(recipe)
        assert cli.main([str(path), f"run={folder / 'runs' / name}", *overrides]) == 0
    return folder


@pytest.fixture
def runs(played, tmp_path, monkeypatch):
    """Copies of these runs, below runs/ in the current folder."""
    shutil.copytree(played / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)


def evaluated(name: str, *arguments: str) -> dict:
    assert cli.main(["eval", f"runs/{name}", *arguments]) == 0
    return json.loads(Path("runs", name, "evaluation.json").read_text())


def test_what_is_found_is_written_down(runs):
    found = evaluated("o0", "--sweep", "1,0.5")
    recipe = Path("runs/o0/recipe.yaml").read_bytes()
    assert found["run"] == "runs/o0"
    assert (found["seed"], found["step"]) == (0, 3)
    assert found["recipe_sha256"] == hashlib.sha256(recipe).hexdigest()
    protocol = {"samples": 20, "held-out rows": 32}
    assert found["metrics"][1] == {"use": "text/nll_oracle", "samples": 20, "protocol": protocol}
    assert list(found["figures"]) == ["nll", "nll_oracle", "nll_oracle_median", "unique"]
    assert found["figures"]["nll_oracle"].keys() == {"value", "real", "good"}
    assert [figure["good"] for figure in found["figures"].values()] == ["low", "real", "real", "high"]

    [frontier] = found["frontiers"]
    assert frontier["tradeoff"]["quality"] == {"figure": "nll_oracle", "good": "low"}
    assert frontier["tradeoff"]["diversity"] == {"figure": "nll", "good": "low"}
    assert frontier["tradeoff"]["sweeps"] == {"temperature": [0.5, 1]}
    assert frontier["baseline_phase"] == "pretrain"
    model, baseline, again = (frontier[side]["temperature"] for side in ("model", "baseline", "baseline_again"))
    for rows in (model, baseline, again):
        assert [row["temperature"] for row in rows] == [0.5, 1.0]
    assert again[0]["nll"] == baseline[0]["nll"]  # no samples are drawn for it
    assert again[0]["nll_oracle"] != baseline[0]["nll_oracle"]
    assert frontier["comparison"]["noise"] > 0
    assert frontier["verdict"].startswith("no verdict on one run, which ")
    assert f"the baseline differs from itself by {frontier['comparison']['noise']:.2g}" in frontier["verdict"]
    # At temperature 1 a sweep measures what the metrics do, and another one of any of its figures.
    assert {key: model[1][key] for key in ("nll", "nll_oracle")} == {
        key: found["figures"][key]["value"] for key in ("nll", "nll_oracle")
    }
    assert frontier["real"] == {"nll_oracle": found["figures"]["nll_oracle"]["real"]}
    for figure in ("nll", "nll_oracle"):
        assert model[0][figure] != model[1][figure]
    assert baseline[1]["nll"] != model[1]["nll"]


def test_the_weights_are_those_of_the_model_that_is_sampled_from(runs):
    from gangen.components.registry import Registry
    from gangen.recipe.load import load_recipe
    from gangen.saved_model import load

    registry = Registry.discover()
    model = load("runs/o0", registry=registry)
    heldout = registry.build(load_recipe("runs/o0/recipe.yaml", registry=registry).data).heldout.rows()["tokens"]
    nll = -model.networks["generator"].log_prob(heldout).mean().item()
    assert evaluated("o0", "--no-sweep")["figures"]["nll"]["value"] == pytest.approx(nll, abs=1e-6)


def test_evaluating_again_finds_the_same(runs):
    assert evaluated("o0") == evaluated("o0")


def test_a_model_that_is_its_baseline_equals_it(runs):
    # As if the last phase had changed nothing; the weights in the checkpoint are those that are evaluated.
    shutil.copy("runs/o0/model/generator.safetensors", "runs/o0/phases/pretrain/generator.safetensors")
    assert evaluated("o0")["frontiers"][0]["comparison"]["outcome"] == "equals"


def test_model_and_baseline_stand_side_by_side(runs, capsys):
    found = evaluated("o0", "--sweep", "0.5,1")["frontiers"][0]
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    # At one end of the diversities that both reach one of them has a point of its own.
    low = found["comparison"]["low"]
    [row] = [row for side in ("model", "baseline") for row in found[side]["temperature"] if row["nll"] == low]
    [line] = [line for line in printed if line[:1] == [f"{low:.4g}"]]
    assert f"{row['nll_oracle']:.4g}" in line and line.count("temperature") == 2


def test_any_setting_of_sampling_may_be_what_trades_quality_for_diversity(runs, monkeypatch):
    tradeoff = Tradeoff(Axis("good", "high"), Axis("modes", "high"), {"truncation": (0.5, 1.0), "unheard_of": (1, 2)})
    monkeypatch.setattr("gangen_image.metrics.modes.Modes.tradeoff", tradeoff, raising=False)
    wide = ("points", "--metric", "{use: image/modes, radius: 70}")
    points = evaluated(*wide)["frontiers"][0]["model"]
    rows = points["truncation"]
    assert points.keys() == {"truncation"}  # what the sampler has
    assert [row["truncation"] for row in rows] == [0.5, 1.0] and rows[0]["good"] != rows[1]["good"]
    for asked in ("0.25,1", "truncation=0.25,1"):
        points = evaluated(*wide, "--sweep", asked)["frontiers"][0]["model"]
        assert [row["truncation"] for row in points["truncation"]] == [0.25, 1]


PAIRS = ("--metric", "text/bleu,text/self_bleu,text/forward_nll,text/reverse_nll", "--samples", "20")


def test_all_trade_offs_are_swept_on_the_same_samples(runs, monkeypatch, capsys):
    drawn = []
    sample = LSTMGenerator.sample

    @wraps(sample)
    def recorded(*rows, **settings):
        drawn.append(settings)
        return sample(*rows, **settings)

    monkeypatch.setattr(LSTMGenerator, "sample", recorded)
    asked = ("--sweep", "0.5,1", "--sweep", "top_p=0.5,1", "--sweep", "best_of=2")
    bleu, nll = evaluated("o0", *PAIRS, *asked)["frontiers"]
    assert [frontier["tradeoff"]["quality"]["figure"] for frontier in (bleu, nll)] == ["bleu_4", "forward_nll"]
    for frontier in (bleu, nll):
        assert [row["temperature"] for row in frontier["baseline_again"].pop("temperature")] == [0.5, 1]
        assert not frontier["baseline_again"]  # for a reading of noise the first setting is enough
        for side in ("model", "baseline"):
            points = frontier[side]
            settings = [{name: row[name]} for name, rows in points.items() for row in rows]
            assert settings == [{"temperature": 0.5}, {"temperature": 1}, {"top_p": 0.5}, {"top_p": 1}, {"best_of": 2}]
            # What changes nothing is drawn once.
            figures = frontier["tradeoff"]["quality"]["figure"], frontier["tradeoff"]["diversity"]["figure"]
            assert [points["temperature"][1][it] for it in figures] == [points["top_p"][1][it] for it in figures]
    one = [{"temperature": 0.5}, {"temperature": 1}, {"top_p": 0.5}, {"best_of": 2}]
    # The oracle writes the data; the model's own figures are those of the sweep where nothing is set.
    assert drawn == [{}, {}, {"temperature": 0.5}, {"top_p": 0.5}, {"best_of": 2}, *one, *one[:2]]
    printed = capsys.readouterr().out
    assert "frontier of runs/o0 (bleu_4" in printed and "frontier of runs/o0 (forward_nll" in printed


def test_texts_are_swept_over_all_that_trades_quality_for_diversity(runs):
    for frontier in evaluated("o0", *PAIRS)["frontiers"]:
        for side in ("model", "baseline"):
            assert list(frontier[side]) == ["temperature", "top_p", "top_k", "best_of"]


def test_the_baseline_of_a_discriminator_that_chooses_is_the_generator_alone(runs):
    swept = evaluated("chosen", *PAIRS, "--sweep", "candidates=1,2", "--sweep", "temperature=1")["frontiers"][0]
    assert swept["baseline"].keys() == swept["baseline_again"].keys() == {"temperature"}
    [alone], (one, two) = swept["baseline"]["temperature"], swept["model"]["candidates"]
    assert one["bleu_4"] == alone["bleu_4"] != two["bleu_4"]  # the last phase taught the discriminator alone


def test_without_a_baseline_there_is_a_frontier_but_no_verdict(runs, capsys):
    shutil.rmtree("runs/o0/phases")
    found = evaluated("o0", "--sweep", "0.5,1")
    [frontier] = found["frontiers"]
    assert len(frontier["model"]["temperature"]) == 2
    assert frontier["baseline"] is frontier["verdict"] is None
    assert "there is no earlier phase to compare with" in capsys.readouterr().out


def test_other_metrics_and_counts_can_be_asked_for(runs):
    found = evaluated("o0", "--metric", "unique,text/distinct", "--samples", "7", "--no-sweep")
    options = [{key: value for key, value in metric.items() if key != "protocol"} for metric in found["metrics"]]
    assert options == [{"use": "text/unique", "samples": 7}, {"use": "text/distinct", "n": 2, "samples": 7}]
    assert found["metrics"][0]["protocol"]["held-out rows"] == 7
    assert list(found["figures"]) == ["unique", "distinct_2"]
    assert round(found["figures"]["unique"]["value"] * 7, 6).is_integer()
    assert found["frontiers"] == []


def test_former_names_still_work_and_the_new_ones_are_told(runs, install, capsys):
    text = (
        'register("differing", "gangen_text.metrics.variety:Unique", was=("old/unique", "older/unique"), since="1.2")'
    )
    install("acme", f"@hookimpl\ndef gangen_metrics(register): {text}")
    recipe = Path("runs/o0/recipe.yaml")
    recipe.write_text(recipe.read_text().replace("text/unique", "old/unique"))
    assert [metric["use"] for metric in evaluated("o0", "--metric", "older/unique")["metrics"]] == ["acme/differing"]
    said = [line for line in capsys.readouterr().err.splitlines() if "is not called" in line]
    assert said == [
        f"gangen: metric 'acme/differing' is not called '{name}' since gangen-acme 1.2: give the new name"
        for name in ("old/unique", "older/unique")
    ]


def test_data_of_another_kind_need_no_temperature(runs, capsys):
    found = evaluated("points", "--samples", "50")
    assert found["figures"].keys() == {"modes", "good", "kl"}
    assert found["frontiers"] == []
    assert "temperature" not in capsys.readouterr().out


def test_runs_that_differ_in_their_seed_alone_are_one_group(runs, capsys):
    assert cli.main(["eval", "runs/o0", "runs/o1", "runs/longer", "--no-sweep"]) == 0
    lines = capsys.readouterr().out.splitlines()
    figures = [json.loads(Path("runs", name, "evaluation.json").read_text())["figures"] for name in ("o0", "o1")]
    mean = sum(each["nll"]["value"] for each in figures) / 2
    spread = abs(figures[0]["nll"]["value"] - figures[1]["nll"]["value"]) / 2**0.5
    row = next(line.split() for line in lines if line.split()[:1] == ["nll"])
    arrow, group, alone = row[1:4]
    assert arrow == "↓"
    shown = [float(part) for part in group.split("±")]
    assert shown == [pytest.approx(mean, abs=1e-3), pytest.approx(spread, rel=0.05, abs=1e-3)]
    assert "±" not in alone


def test_real_data_stand_beside_figures(runs, capsys):
    found = evaluated("o0", "--metric", "text/bleu", "--no-sweep")
    out, err = capsys.readouterr()
    assert "runs/o0: bleu_2 " in err
    line = next(line.split() for line in out.splitlines() if line.split()[:1] == ["bleu_4"])
    assert line[1:] == ["≈"] + [f"{found['figures']['bleu_4'][side]:.4g}" for side in ("value", "real")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["runs/nowhere"], "runs/nowhere is no run: it has no recipe.yaml\nname the folder"),
        (["runs/o0", "--metric", "text/uniqe"], "no metric is called 'text/uniqe'; did you mean 'text/unique'?"),
        (["runs/o0", "--samples", "0"], "metric text/nll_oracle: samples must be at least 1"),
        (["runs/o0", "--metric", "image/modes"], "metric image/modes needs data with known modes"),
        (
            ["runs/o0", "--sweep", "0.5,-1"],
            "numbers from 0 with commas between them, as in 0.7,1.0 or NAME=0.8,0.9; got '0.5,-1'",
        ),
        (["runs/o0", "--sweep", "best_of=1.5"], "--sweep best_of: 1.5 is no value of it: "),
        (["runs/o0", "--sweep", "top_p=1.5"], "--sweep top_p: 1.5 is no value of it: Input should be less than or"),
        (["runs/o0", "--sweep", "top_p=0.8", "--sweep", "top_p=0.9"], "--sweep top_p is given twice: put its values"),
        (
            ["runs/o0", "--sweep", "0.5", "--sweep", "temperature=0.7"],
            "--sweep temperature is given twice, once",
        ),
        (["runs/o0", "--sweep", "temperatur=1"], "has no temperatur to sweep; did you mean 'temperature'?\nleave"),
        (["runs/o0", "--sweep", "1", "--no-sweep"], "not allowed with argument"),
        (["runs/points", "--sweep", "1"], "no two of its metrics are a quality and the diversity"),
        (["runs/o0", "--sweep", "1", "--metric", "unique"], "name both with --metric"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_evaluated_is_refused_in_a_few_words(arguments, message, runs, capsys):
    assert cli.main(["eval", *arguments]) != 0
    refusal = capsys.readouterr().err  # before anything is measured: no figure stands above it
    assert message in refusal
    assert refusal.startswith("gangen: error: ")
    assert "Traceback" not in refusal and len(refusal.strip().splitlines()) <= 3
    assert not list(Path("runs").glob("*/evaluation.json"))


def test_a_run_without_a_checkpoint_is_refused_before_others_are_evaluated(runs, capsys):
    shutil.rmtree("runs/o1/checkpoints")
    assert cli.main(["eval", "runs/o0", "runs/o1"]) == 1
    assert "runs/o1 has no checkpoint to evaluate" in capsys.readouterr().err
    assert not Path("runs/o0/evaluation.json").exists()


def test_what_metrics_saw_with_is_written_down_and_may_not_change(runs, capsys):
    found = evaluated("points", "--metric", "frechet,memorised")
    assert found["metrics"][0]["extractor"] is None  # that of the data
    protocol = {"samples": 20, "held-out rows": 20, "extractor": "identity"}
    assert found["metrics"][0]["protocol"] == protocol
    assert found["metrics"][1]["protocol"] == protocol | {"training rows": 100}
    assert len(found["extractors"]["identity"]) == 64
    record, digests = Path("runs/points/evaluation.json"), Path("runs/points/extractors.json")
    assert json.loads(digests.read_text()) == found["extractors"]
    digests.write_text(json.dumps({"identity": "0" * 64}))
    evaluated("points", "--metric", "modes")  # looks through none, and forgets none
    before = record.read_bytes()
    assert cli.main(["eval", "runs/points", "--metric", "frechet"]) == 1
    words = capsys.readouterr().err
    assert "extractor 'identity' is not what it was before in this run: 00000000 then" in words
    assert "move runs/points/extractors.json away to measure anew" in words
    assert record.read_bytes() == before
    digests.rename("runs/points/earlier.json")
    assert cli.main(["eval", "runs/points", "--metric", "frechet"]) == 0


def test_all_uses_of_a_metric_are_taken_and_of_equal_names_the_first(runs):
    recipe = Path("runs/o0/recipe.yaml")
    text = recipe.read_text()
    start = text.index("metrics:")
    uses = "[{use: text/distinct, n: 1}, {use: text/distinct, n: 2}, {use: text/distinct, n: 2, samples: 5}]"
    recipe.write_text(f"{text[:start]}metrics: {uses}\n" + "".join(_after(text[start:])))
    found = evaluated("o0", "--metric", "distinct", "--no-sweep")
    assert list(found["figures"]) == ["distinct_1", "distinct_2"]
    coarse, twice = found["warnings"]
    assert twice == "two metrics report distinct_2; the figures of the first are kept"
    assert coarse.startswith(
        "metric 'text/distinct' is coarse: it looks at 5 samples and 5 held-out rows, and wants 50"
    )


def _after(text):
    """What follows the first entry of a mapping."""
    lines = text.splitlines(keepends=True)[1:]
    while lines and lines[0][0] in " -":
        lines.pop(0)
    return lines


def test_metrics_can_be_given_with_options_as_in_a_recipe(runs):
    found = evaluated("o0", "--metric", "{use: text/distinct, n: 1},unique,{use: text/distinct, n: 2}", "--no-sweep")
    assert list(found["figures"]) == ["distinct_1", "unique", "distinct_2"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--metric", "prdc", "--samples", "5"], "metric 'gangen/prdc' compares 5 held-out rows with as many samples"),
        (["--metric", "text/unique"], "metric 'text/unique' looks at text, which these data are not"),
        (
            ["--metric", "{use: modes, radus: 1}"],
            "unknown option 'radus' for metric 'image/modes'; did you mean 'radius'?",
        ),
        (["--metric", "{use: kid, samples: 2024-01-01}"], "samples must be an integer, got '2024-01-01'"),
        (
            ["--metric", "{use: frechet, extractor: {use: image/features, model: /nowhere}}"],
            "while building extractor 'image/features' of gangen",
        ),
        (["--metric", "{use"], "not valid YAML: expected ',' or '}', but got ']'"),
        (["--metric", "modes,3"], "metrics as in frechet,'{use: kid, samples: 500}'; got 'modes,3'"),
    ],
)
def test_what_was_asked_for_beside_the_recipe_is_not_looked_for_in_it(runs, words, message, capsys):
    assert cli.main(["eval", "runs/points", *words]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "recipe.yaml:" not in said


def test_samples_that_metrics_find_worth_looking_at_are_drawn(runs):
    evaluated("points", "--metric", "memorised")
    assert Path("runs/points/samples/nearest_training_rows.png").stat().st_size > 1000


def test_warnings_are_written_down_and_shown(runs, capsys):
    found = evaluated("points", "--metric", "frechet", "--samples", "2")
    [warning] = found["warnings"]
    assert warning.startswith(
        "metric 'gangen/frechet' is coarse: it compares 2 samples in the 2 features of 'identity' and wants 3"
    )
    assert warning in " ".join(capsys.readouterr().out.split())


def test_a_damaged_checkpoint_is_refused(runs, capsys):
    for broken in Path("runs/o0/checkpoints").glob("*/generator/average.safetensors"):
        broken.write_bytes(b"cut off")
    assert cli.main(["eval", "runs/o0"]) == 1
    assert "is damaged" in capsys.readouterr().err


def test_a_run_that_would_not_be_trained_so_today_is_evaluated(runs):
    recipe = Path("runs/points/recipe.yaml")
    text = recipe.read_text()
    assert "lazy_penalties: []" in text
    recipe.write_text(text.replace("lazy_penalties: []", "lazy_penalties: [r1]"))
    assert "modes" in evaluated("points")["figures"]


def test_networks_that_are_not_those_of_the_checkpoint_take_no_memory(runs, capsys):
    recipe = Path("runs/points/recipe.yaml")
    text = recipe.read_text()
    assert "hidden_dim: 128" in text
    recipe.write_text(text.replace("hidden_dim: 128", "hidden_dim: 1000000"))  # 4 TB
    assert cli.main(["eval", "runs/points"]) == 1
    said = capsys.readouterr().err
    assert "step-00000001/generator is not of this run's recipe: model.safetensors does not fit: " in said
    assert "[128, 2] there and [1000000, 2] here" in said
