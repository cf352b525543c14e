"""What an evaluation found, as ``evaluation.json`` holds it: the same when it is read, whenever it was written."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from gangen.evaluation.results import Frontier, Result
from gangen.metrics.figures import Figure
from gangen.metrics.tradeoff import Axis, Tradeoff


def rows(height):
    return [{"temperature": at, "fit": height - at / 2, "spread": at} for at in (0.5, 1.0)]


FOUND = Result(
    run="runs/a",
    seed=7,
    step=20,
    recipe={"data": {"use": "acme/rings", "sd": None}},
    recipe_sha256="0" * 64,
    metrics=[{"use": "acme/distance", "samples": 1000, "protocol": {"samples": 900}}],
    extractors={"eye": "1" * 64},
    figures={"fit": Figure(0.5, 0.95, "high"), "bare": Figure(24.0)},
    warnings=["too few"],
    frontier=Frontier(
        Tradeoff(Axis("fit", "high"), Axis("spread", "low")),
        rows(0.9),
        "warm",
        rows(0.8),
        rows(0.81),
        {"fit": 0.95, "spread": 0.9},
    ),
)
# As evaluations were written while figures were plain numbers.
OLDER = {
    "run": "runs/a",
    "seed": 7,
    "step": 20,
    "recipe_sha256": "0" * 64,
    "gangen": "0.1.0",
    "metrics": FOUND.metrics,
    "extractors": FOUND.extractors,
    "figures": {"fit": 0.5, "fit_real": 0.95, "bare": 24},
    "warnings": ["too few"],
    "frontier": {
        "setting": "temperature",
        "quality": "fit",
        "diversity": "spread",
        "good": {"fit": "high", "spread": "low"},
        "model": rows(0.9),
        "baseline": rows(0.8),
        "baseline_again": rows(0.81),
        "baseline_phase": "warm",
        "real": {"fit": 0.95, "spread": 0.9},
        "comparison": {"outcome": "dominates"},
    },
    "verdict": "dominates its baseline",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "evaluation.json"


@pytest.mark.parametrize("found", [FOUND, replace(FOUND, frontier=None)])
def test_what_is_written_is_read_as_it_was(found, path):
    found.write(path)
    read = Result.read(path)
    assert read == found
    assert read.verdict == found.verdict


def test_what_follows_from_the_rest_is_written_beside_it(path):
    FOUND.write(path)
    content = json.loads(path.read_text())
    assert content["verdict"] == FOUND.verdict
    assert content["frontier"]["comparison"]["outcome"] == FOUND.frontier.comparison.outcome == "dominates"
    assert content["figures"]["fit"] == {"value": 0.5, "real": 0.95, "good": "high"}
    assert "gangen" in content


def test_what_is_not_finite_is_null_and_read_as_nan(path):
    points = [{"temperature": 0.5, "fit": math.inf, "spread": 0.2}]
    replace(FOUND, figures={"fit": Figure(math.nan)}, frontier=replace(FOUND.frontier, model=points)).write(path)
    content = json.loads(path.read_text())
    assert content["figures"]["fit"]["value"] is content["frontier"]["model"][0]["fit"] is None
    read = Result.read(path)
    assert math.isnan(read.figures["fit"].value) and math.isnan(read.frontier.model[0]["fit"])


def test_older_evaluations_are_read(path):
    path.write_text(json.dumps(OLDER))
    figures = {"fit": Figure(0.5, 0.95), "bare": Figure(24.0)}
    read = Result.read(path)
    assert read == replace(FOUND, recipe={}, figures=figures)
    assert read.verdict == FOUND.verdict


@pytest.mark.parametrize(
    "content",
    [
        "",
        '{"step": 20, "figures"',
        "[1]",
        "{}",
        json.dumps(OLDER | {"figures": [[]]}),
        json.dumps(OLDER | {"frontier": {"quality": {}, "diversity": [1]}}),
        json.dumps(OLDER | {"frontier": {"model": [3]}}),
        json.dumps(OLDER | {"metrics": ["damaged"]}),
        json.dumps(OLDER | {"metrics": [{}]}),
        json.dumps(OLDER | {"metrics": [{"use": "acme/distance", "protocol": None}]}),
        json.dumps({key: [[]] for key in OLDER}),
    ],
)
def test_what_is_damaged_counts_as_missing(content, path):
    assert Result.read(path) is None
    path.write_text(content)
    assert Result.read(path) is None
