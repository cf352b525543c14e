"""Runs side by side: what is one group, what is said of it, and what does not compare."""

import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from statistics import mean, stdev

import pytest
from rich.console import Console

from gangen.cli import main
from gangen.errors import RunError
from gangen.evaluation.results import Frontier, Result
from gangen.metrics.figures import Figure
from gangen.metrics.tradeoff import Axis, Tradeoff
from gangen.report.side_by_side import write_side_by_side
from gangen.report.terminal import show

pytest.importorskip("matplotlib")

ATTACK = "<script>alert(1)</script>"
RECIPE = {"data": {"use": "acme/rings"}, "players": {"generator": {"width": 8}}, "metrics": [{"use": "acme/distance"}]}
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
metrics: [{use: image/modes, samples: 50}]
"""
DISTANCES = (7.0, 8.0, 9.5)


def frontier(shift: float) -> Frontier:
    def rows(height: float) -> dict[str, list[dict[str, float]]]:
        return {"temperature": [{"temperature": at, "fit": height + shift - at / 2, "spread": at} for at in (0.5, 1.0)]}

    tradeoff = Tradeoff(Axis("fit", "high"), Axis("spread", "high"))
    return Frontier(tradeoff, rows(0.9), "warm", rows(0.8), rows(0.81), {"fit": 0.95, "spread": 0.9})


def result(folder: Path, name: str, seed: int = 0, recipe: dict = RECIPE, distance: float = 7.0, **changes) -> Result:
    """A run's result, and what the pages read from its folder."""
    samples = folder / name / "samples"
    samples.mkdir(parents=True)
    (samples / "step-00000010.txt").write_text(f"early {name}\n")
    (samples / "step-00000020.txt").write_text(f"late {name}\n")
    (samples / "real.txt").write_text("what is real\n")
    (folder / name / "recipe.yaml").write_text(f"run: {name}\nseed: {seed}\n")
    fields = {
        "run": str(folder / name),
        "seed": seed,
        "step": 20,
        "recipe": recipe | {"run": name, "seed": seed},
        "recipe_sha256": "",
        "metrics": [{"use": "acme/distance", "samples": 1000}],
        "extractors": {"eye": "0123456789"},
        "figures": {"distance": Figure(distance, 3.5, "low")},
        "warnings": [],
        "frontiers": [],
    }
    return Result(**fields | changes)


@pytest.fixture
def seeds(tmp_path: Path) -> list[Result]:
    return [result(tmp_path, f"s{seed}", seed, distance=distance) for seed, distance in enumerate(DISTANCES)]


@pytest.fixture
def wide(tmp_path: Path) -> Result:
    return result(tmp_path, "wide", recipe=RECIPE | {"players": {"generator": {"width": 99}}}, distance=5.25)


def text_of(results: list[Result], path: Path) -> str:
    """What a reader sees, a space between parts."""
    page = write_side_by_side(results, path).read_text(encoding="utf-8").split("</style>")[1].split("<script>")[0]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())


def printed(results: list[Result]) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        show(results, console)
    return capture.get()


def test_what_metrics_say_of_their_figures_stands_below_these(tmp_path):
    said = printed([result(tmp_path, "s0", remarks=["half of it is left"])])
    assert said.index("distance") < said.index("s0: half of it is left")


def test_seeds_are_one_group_with_mean_and_spread_beside_real_data(seeds, wide, tmp_path):
    text = text_of([*seeds, wide], tmp_path / "page.html")
    assert "s0 (3 runs) · wide" in text
    for seed in range(3):
        assert f"s{seed} (seed {seed})" in text
    row = re.search(r"distance ↓ (\S+)±(\S+) 5\.25 (\S+) ", text)
    assert float(row[1]) == pytest.approx(mean(DISTANCES), abs=0.05)
    assert float(row[2]) == pytest.approx(stdev(DISTANCES), abs=0.05)
    assert row[3] == "3.5"


def test_settings_that_differ_stand_beside_each_other(seeds, wide, tmp_path):
    more = RECIPE | {"metrics": [{"use": "acme/distance", "unit": ATTACK}], "ema": None}
    text = text_of([*seeds, wide, result(tmp_path, "more", recipe=more)], tmp_path / "page.html")
    assert "players.generator.width 8 99 8" in text
    assert f"metrics.acme/distance.unit - - {ATTACK}" in text
    assert "ema - - null" in text
    assert "data.use" not in text and "What differs" not in text_of(seeds, tmp_path / "page.html")


def test_every_group_has_its_verdict_and_its_curves(tmp_path):
    other = RECIPE | {"players": {}}
    results = [result(tmp_path, f"s{seed}", seed, frontiers=[frontier(seed / 10)]) for seed in (0, 1)]
    results += [result(tmp_path, "other", recipe=other, frontiers=[frontier(0.0)]), result(tmp_path, "bare", recipe={})]
    text = text_of(results, tmp_path / "page.html")
    assert "s0 (2 runs) Better than its baseline: at equal spread" in text
    assert "other No verdict on one run, which dominates its baseline: at equal spread" in text
    assert "bare Has no baseline to compare with" in text
    for name in ("s0 (2 runs)", "other"):
        assert f"{name} model" in text and f"{name} baseline" in text
    assert "s0 (2 runs) model temperature 0.5 0.700±0.071 0.5 " in text and "what phase warm ended with" in text
    assert len(re.findall("<svg", (tmp_path / "page.html").read_text())) == 1


def test_runs_without_baselines_are_sent_to_the_figures(seeds, tmp_path):
    assert "Without baselines to compare with" in text_of(seeds, tmp_path / "page.html")


def test_the_last_sheets_stand_beside_real_ones(seeds, wide, tmp_path):
    (Path(wide.run) / "samples" / "step-00000030.bin").write_bytes(b"no sheet of text")
    (tmp_path / "pages").mkdir()
    page = tmp_path / "pages" / "page.html"
    text = text_of([*seeds, wide], page)
    assert "late s0" in text and "early" not in text and "late s1" not in text
    assert text.count("what is real") == 1
    assert 'href="../wide/samples/step-00000030.bin"' in page.read_text()


def test_other_extractors_and_other_options_do_not_compare(seeds, wide, tmp_path):
    assert "not the same" not in printed([*seeds, wide]) and "other options" not in printed([*seeds, wide])
    metrics = [{"use": "acme/distance", "samples": 10}]
    odd = result(tmp_path, "odd", 7, extractors={"eye": "9876543210"}, metrics=metrics)
    for text in (printed([*seeds, odd]), text_of([*seeds, odd], tmp_path / "page.html")):
        assert "extractor eye is not the same in all runs, figures with its name do not compare: 01234567 in " in text
        assert f"; 98765432 in {odd.run}" in text
        assert f"than in {odd.run}: its figures do not compare" in text


def test_runs_on_different_data_are_said_not_to_compare(seeds, tmp_path):
    other = result(tmp_path, "other", 7, recipe=RECIPE | {"data": {"use": "acme/lines"}})
    for text in (printed([*seeds, other]), text_of([*seeds, other], tmp_path / "page.html")):
        assert "runs on different data do not compare: " in text and f"; acme/lines in {other.run}" in text
    assert "different data" not in printed(seeds)


def test_warnings_of_a_run_are_printed_and_shown(seeds, tmp_path):
    odd = result(tmp_path, "odd", 8, warnings=["too [few] samples"])
    assert f"warning: {odd.run}: too [few] samples" in printed([*seeds, odd])
    assert f"{odd.run}: Evaluation: too [few] samples" in text_of([*seeds, odd], tmp_path / "page.html")


@pytest.mark.parametrize("missing", [float("nan"), float("inf")])
def test_figures_that_are_not_finite_are_left_out_and_counted(seeds, missing, tmp_path):
    broken = result(tmp_path, "broken", 9, distance=missing)
    for text in (printed([*seeds, broken]), text_of([*seeds, broken], tmp_path / "page.html")):
        assert re.search(r"distance ↓\s+8\.2±1\.3 \(3 of 4\)\s+3\.5\s", text)
    assert re.search(r"distance ↓\s+-\s+3\.5\s", printed([broken]))


def test_text_of_a_stranger_is_text(seeds, tmp_path):
    recipe = {ATTACK: ATTACK, "data": {"use": ATTACK}}
    metrics = [{"use": ATTACK, ATTACK: [ATTACK]}]
    evil = result(
        tmp_path, "<b>", recipe=recipe, figures={ATTACK: Figure(1.0)}, metrics=metrics, extractors={ATTACK: ATTACK}
    )
    (Path(evil.run) / "samples" / "step-00000020.txt").write_text(ATTACK)
    page = write_side_by_side([*seeds, evil], tmp_path / "page.html").read_text()
    assert page.count("<script") == 1 and "<b>" not in page
    assert page.count("&lt;script&gt;alert(1)") > 5


def test_what_cannot_be_written_is_an_error(seeds, tmp_path):
    with pytest.raises(RunError, match="cannot write"):
        write_side_by_side(seeds, tmp_path / "nowhere" / "page.html")


def test_eval_writes_the_page_besides_the_reports(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("points.yaml").write_text(POINTS)
    assert main(["points.yaml", "run=runs/points"]) == 0
    capsys.readouterr()
    assert main(["eval", "runs/points", "-o", "page.html"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == ["report: runs/points/report.html", "comparison: page.html"]
    assert "What differs" not in Path("page.html").read_text() and Path("runs/points/report.html").is_file()


def test_a_folder_that_is_not_there_is_refused_before_anything_is_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for output in ("nowhere/page.html", "."):
        assert main(["eval", "runs/none", "-o", output]) == 2
        assert f"cannot write {output}: name a file in a folder that exists" in capsys.readouterr().err


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium")
def test_a_browser_renders_it_without_complaint(seeds, tmp_path):
    results = [*seeds, result(tmp_path, "other", recipe={}, frontiers=[frontier(0.1)])]
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"]
    page = write_side_by_side(results, tmp_path / "page.html").as_uri()
    command = ["chromium", *options, f"--user-data-dir={tmp_path / 'browser'}", page]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "CONSOLE" not in done.stderr and "late s0" in done.stdout
