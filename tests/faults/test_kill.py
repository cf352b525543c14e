"""A run that was killed at any moment and started again ends as one that was never killed, to the bit."""

import json
import os
import random
import shutil
import signal

import numpy as np
import pytest

RECIPE = """
run: {run}
code: [{killer}]
data: {{use: text/lines, path: {path}, label_column: label, tokenizer: words, max_length: 8}}
players:
  generator:
    use: text/lstm
    hidden_dim: 8
    dropout: 0.2
    optimizer: {{lr: {{start: 0.02, end: 0.001, shape: cosine, warmup: 0.2}}}}
    ema: 0.9
  discriminator: {{use: text/cnn, filter_widths: [1, 2], filter_counts: [3, 3], dropout: 0.3}}
objective: {{use: text/seqgan, rollouts: 2}}
phases:
  pretrain: {{steps: 10, turns: {{imitate: 1}}}}
  adversarial:
    steps: 7
    turns: {{discriminate: 2, policy: {{every: 2}}}}
    optimizers: {{generator: {{lr: 0.005}}}}
trainer: {{batch_size: 16, keep_checkpoints: 2}}
every: {{log: 2, sample: 5, evaluate: 6, checkpoint: 3}}
metrics: [text/nll]
keep_best: {{lowest: nll}}
callbacks: [local/killer]
"""

# What text has none of: convolutions with channels last, and an objective that remembers.
IMAGES = """
run: {run}
code: [{killer}]
data: {{use: image/arrays, images: "{path}:images", labels: "{path}:labels"}}
players:
  generator: {{use: image/resnet, latent_dim: 4, width: 4, ema: {{half_life: 100, ramp_up: 0.1}}}}
  discriminator: {{use: image/resnet, width: 4}}
objective:
  use: image/gan
  loss: hinge
  penalties: [{{use: lecam, weight: 0.3}}]
  augmentation: {{use: adaptive, samples: 100}}
phases:
  adversarial: {{steps: 8, turns: {{discriminate: 1, generate: 1}}}}
trainer: {{batch_size: 8}}
every: {{log: 2, sample: 5, checkpoint: 3}}
callbacks: [local/killer]
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory, labelled_csv, root):
    folder = tmp_path_factory.mktemp("kill")
    images = folder / "images.npz"
    chance = np.random.default_rng(0)
    np.savez(images, images=chance.integers(0, 256, (40, 8, 8, 3), np.uint8), labels=np.arange(40) % 2)

    def write(run: str, template: str = RECIPE):
        path = folder / f"{run}.yaml"
        data = labelled_csv if template is RECIPE else images
        path.write_text(template.format(run=folder / run, killer=root / "tests/faults/killer.py", path=data))
        return path, folder / run

    return write


@pytest.fixture(scope="module")
def unharmed(recipe, python):
    """What a run leaves that nobody killed, for one and for two processes."""

    played = {}

    def play(processes: int):
        if processes not in played:
            path, run = recipe(f"unharmed{processes}")
            counted = {"GANGEN_KILL": "count:0", "GANGEN_COUNT": str(run.with_suffix(".calls"))}
            python("-m", "gangen", path, processes=processes, check=processes == 1, **counted)
            played[processes] = run
        return played[processes]

    return play


def remains(run):
    """The bytes of everything a run ends with, by path; recipe and plugins name the run, a heartbeat the time."""
    files = {path.relative_to(run).as_posix(): path.read_bytes() for path in run.rglob("*") if path.is_file()}
    own = ("recipe.yaml", "plugins.json", "heartbeat.json")
    return {name: content for name, content in files.items() if name not in own}


@pytest.mark.parametrize(
    ("moment", "processes"),
    [
        ("step:7", 1),
        ("step:10", 1),
        ("step:14", 1),
        ("write:2", 1),
        ("write:23", 1),
        ("metric:2", 1),
        ("metric:4", 1),
        ("step:16", 2),
    ],
)
def test_a_killed_run_resumes_to_the_bit(moment, processes, recipe, unharmed, python):
    path, run = recipe(f"{moment.replace(':', '')}x{processes}")
    killed = python("-m", "gangen", path, processes=processes, check=False, GANGEN_KILL=moment)
    assert killed.returncode != 0
    assert (run / "checkpoints/step-00000017").exists() == (moment == "metric:4")
    again = python("-m", "gangen", path, processes=processes, check=False)
    assert f"{run}\nsamples:" in again.stdout or f"{run} is finished" in again.stdout, again.stderr
    expected, found = remains(unharmed(processes)), remains(run)
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []


# `make faults` takes 30 instants of one process and 10 of two.
INSTANTS = [(1, number) for number in range(int(os.environ.get("GANGEN_INSTANTS", "1")))]
INSTANTS += [(2, number) for number in range(len(INSTANTS) // 3)]


@pytest.mark.parametrize(("processes", "number"), INSTANTS)
def test_a_run_that_is_killed_at_a_random_instant_resumes_to_the_bit(processes, number, recipe, unharmed, python):
    whole = unharmed(processes)
    instant = random.Random(number).randrange(int(whole.with_suffix(".calls").read_text()))
    path, run = recipe(f"instant{number}x{processes}")
    python("-m", "gangen", path, processes=processes, check=False, GANGEN_KILL=f"call:{instant}")
    again = python("-m", "gangen", path, processes=processes, check=False)
    assert f"{run}\nsamples:" in again.stdout or f"{run} is finished" in again.stdout, again.stderr
    expected, found = remains(whole), remains(run)
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == [], instant


def test_a_killed_run_of_images_resumes_to_the_bit(recipe, python):
    path, unharmed = recipe("images", IMAGES)
    python("-m", "gangen", path)
    path, run = recipe("images5", IMAGES)
    assert python("-m", "gangen", path, check=False, GANGEN_KILL="step:5").returncode == -signal.SIGKILL
    assert "from step 3" in python("-m", "gangen", path).stdout
    expected, found = remains(unharmed), remains(run)
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []


def test_a_checkpoint_that_was_being_written_is_not_taken_for_one(recipe, python):
    path, run = recipe("half")
    assert python("-m", "gangen", path, check=False, GANGEN_KILL="write:2").returncode == -signal.SIGKILL
    assert [entry.name for entry in (run / "checkpoints").iterdir()] == [".step-00000003.part"]
    again = python("-m", "gangen", path)
    assert "from the start" in again.stdout


def test_sigterm_saves_and_the_same_command_goes_on(recipe, unharmed, python):
    path, run = recipe("term")
    stopped = python("-m", "gangen", path, check=False, GANGEN_KILL="term:8")
    assert stopped.returncode == 130
    assert "stopped by SIGTERM after step 8; the same command goes on from there" in stopped.stderr
    assert (run / "checkpoints/latest").read_text() == "step-00000008\n"
    again = python("-m", "gangen", path)
    assert "from step 8" in again.stdout
    weights = "model/generator.safetensors"
    assert (run / weights).read_bytes() == (unharmed(1) / weights).read_bytes()
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)


def test_sigterm_in_an_evaluation_loses_neither_the_step_nor_the_figures(recipe, unharmed, python):
    path, run = recipe("long")
    stopped = python("-m", "gangen", path, check=False, GANGEN_KILL="metric-term:1")
    assert stopped.returncode == 130
    assert "stopped by SIGTERM after step 6; the same command goes on from there" in stopped.stderr
    assert (run / "checkpoints/latest").read_text() == "step-00000006\n"
    assert "from step 6" in python("-m", "gangen", path).stdout
    expected, found = remains(unharmed(1)), remains(run)
    assert [name for name in expected if found[name] != expected[name]] == []


def test_a_finished_run_says_so_and_changes_nothing(recipe, unharmed, python):
    run = unharmed(1)
    before = remains(run)
    path, _ = recipe("unharmed1")
    said = python("-m", "gangen", path).stdout
    assert "is finished: all 17 steps were played" in said
    assert remains(run) == before


def test_a_changed_recipe_is_refused_with_the_difference(recipe, unharmed, python):
    run = unharmed(1)
    before = remains(run)
    path, _ = recipe("unharmed1")
    refused = python("-m", "gangen", path, "phases.adversarial.steps=5", "seed=3", check=False)
    assert refused.returncode == 1
    assert "holds a run of another recipe" in refused.stderr
    assert "phases.adversarial.steps: 7 -> 5\n" in refused.stderr
    assert (
        "(step 7 of phase adversarial was played)" in refused.stderr
        and "seed" in refused.stderr
        and "Traceback" not in refused.stderr
    )
    assert remains(run) == before


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_goes_on_to_the_bit(recipe, unharmed, python):
    path, run = recipe("damaged")
    shutil.copytree(unharmed(1), run)
    damaged = run / "checkpoints/step-00000017/generator/optimizer.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-20] + bytes(20))
    said = python("-m", "gangen", path).stdout
    words = (
        "step-00000017 is damaged: generator/optimizer.safetensors is not as it was saved; taking step-00000015 instead"
    )
    assert words in said and "from step 15" in said
    expected, found = remains(unharmed(1)), remains(run)
    rows = found["metrics.jsonl"].splitlines(keepends=True)
    found["metrics.jsonl"] = b"".join(row for row in rows if b"is damaged" not in row)
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []
