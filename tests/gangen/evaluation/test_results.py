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


def swept(height):
    return {"temperature": rows(height)}


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
    frontiers=[
        Frontier(
            Tradeoff(Axis("fit", "high"), Axis("spread", "low"), {"temperature": (0.5, 1.0)}),
            swept(0.9),
            "warm",
            swept(0.8),
            swept(0.81),
            {"fit": 0.95, "spread": 0.9},
        )
    ],
)
[FRONTIER] = FOUND.frontiers
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


@pytest.mark.parametrize("found", [FOUND, replace(FOUND, frontiers=[FRONTIER] * 2), replace(FOUND, frontiers=[])])
def test_what_is_written_is_read_as_it_was(found, path):
    found.write(path)
    read = Result.read(path)
    assert read == found
    assert [it.verdict for it in read.frontiers] == [it.verdict for it in found.frontiers]


def test_what_follows_from_the_rest_is_written_beside_it(path):
    FOUND.write(path)
    content = json.loads(path.read_text())
    [frontier] = content["frontiers"]
    assert frontier["verdict"] == FRONTIER.verdict
    assert frontier["comparison"]["outcome"] == FRONTIER.comparison.outcome == "dominates"
    assert content["figures"]["fit"] == {"value": 0.5, "real": 0.95, "good": "high"}
    assert "gangen" in content


def test_what_is_not_finite_is_null_and_read_as_nan(path):
    points = {"temperature": [{"temperature": 0.5, "fit": math.inf, "spread": 0.2}]}
    replace(FOUND, figures={"fit": Figure(math.nan)}, frontiers=[replace(FRONTIER, model=points)]).write(path)
    content = json.loads(path.read_text())
    assert content["figures"]["fit"]["value"] is content["frontiers"][0]["model"]["temperature"][0]["fit"] is None
    read = Result.read(path)
    assert math.isnan(read.figures["fit"].value) and math.isnan(read.frontiers[0].model["temperature"][0]["fit"])


# As they were while there was one trade-off and one setting of it.
LATER = {"quality": {"figure": "fit", "good": "high"}, "diversity": {"figure": "spread", "good": "low"}}
LATER = {
    key: value for key, value in OLDER["frontier"].items() if key not in ("quality", "diversity", "good", "setting")
} | {"tradeoff": LATER | {"setting": "temperature", "values": [0.5, 0.6, 1]}}


@pytest.mark.parametrize("frontier", [OLDER["frontier"], LATER, None])
def test_older_evaluations_are_read(frontier, path):
    path.write_text(json.dumps(OLDER | {"frontier": frontier}))
    figures = {"fit": Figure(0.5, 0.95), "bare": Figure(24.0)}
    read = Result.read(path)
    assert read == replace(FOUND, recipe={}, figures=figures, frontiers=[FRONTIER] if frontier else [])


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
        json.dumps(OLDER | {"recipe": {"metrics": 5}}),
        json.dumps(OLDER | {"recipe": {"trainer": None}}),
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
