"""The report as its reader meets it: what it says, what it leaves out, what a browser makes of it."""

import json
import math
import random
import re
import shutil
import subprocess
import sys
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from gangen.api import Run
from gangen.cli import main
from gangen.errors import RunError
from gangen.evaluation.results import Frontier, Result
from gangen.metrics.figures import Figure
from gangen.metrics.tradeoff import Axis, Tradeoff
from gangen.report import samples, write_report
from gangen.report.charts import thinned
from gangen.report.figures import panels_of_metrics
from gangen.run_directory import RunDirectory

pytest.importorskip("matplotlib")

ROWS = [
    {"step": 10, "phase": "warm", "judge/loss": 0.7, "judge/accuracy": 0.5, "judge/critic/gradient_norm": 2.0},
    {"step": 10, "phase": "warm", "distance": Figure(91.25, 3.875, "low")},
    {"step": 20, "phase": "duel", "judge/loss": 0.5, "judge/accuracy": 0.75, "judge/critic/gradient_norm": 500.0},
    {"step": 20, "phase": "duel", "distance": Figure(7.125, 3.875, "low"), "modes": Figure(24)},
]
FRONTIER = Frontier(
    tradeoff=Tradeoff(Axis("fit", "high"), Axis("spread", "low")),
    model={
        "temperature": [
            {"temperature": 0.5, "fit": 0.61, "spread": 0.8},
            {"temperature": 1.0, "fit": 0.42, "spread": 0.7},
        ],
        "top_p": [{"top_p": 0.75, "fit": 0.52, "spread": 0.6}],
    },
    baseline_phase="warm",
    baseline={"temperature": [{"temperature": 1.0, "fit": 0.33, "spread": 0.65}]},
    baseline_again={"temperature": [{"temperature": 1.0, "fit": 0.34, "spread": 0.65}]},
    real={"fit": 0.87, "spread": 0.91},
)
ATTACK = "<script>alert(1)</script>"


class Page(HTMLParser):
    """The tags of a page, the text that a reader sees, and the cells of its tables by row."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.cells: list[list[str]] = []
        self._in_cell = False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag == "tr":
            self.cells.append([])
        elif tag in ("td", "th"):
            self.cells[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag):
        self._in_cell = self._in_cell and tag not in ("td", "th")

    def handle_data(self, data):
        self.text += data
        if self._in_cell:
            self.cells[-1][-1] += data

    def tagged(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    run = RunDirectory(tmp_path / "a run")
    run.samples.mkdir(parents=True)
    run.recipe.write_text("run: a run\nseed: 77\ndata: {use: acme/rings}\n")
    run.plugins.write_text(json.dumps({"acme": "acme-rings 3.1"}))
    for row in ROWS:
        run.append_metrics(row)
    return run


def evaluate(run: RunDirectory, **found) -> None:
    """Leave an evaluation behind."""
    nothing = {"step": 20, "metrics": [], "extractors": {}, "figures": {}, "warnings": [], "frontiers": []}
    Result(run=str(run.root), seed=77, recipe={}, recipe_sha256="", **nothing | found).write(run.evaluation)


def page(run: RunDirectory) -> Page:
    return Page(write_report(run).read_text(encoding="utf-8"))


def picture(path: Path, size: int = 8, shade: int = 0) -> None:
    Image.new("L", (size, size), shade).save(path)


def test_figures_stand_beside_those_of_real_data(run):
    read = page(run)
    assert ["distance ↓", "91.25", "7.125", "3.875"] in read.cells
    assert ["modes", "-", "24", "-"] in read.cells
    assert ["figure", "after phase warm", "model", "real data"] in read.cells
    assert "Figures by step 20, taken while training." in read.text


def test_what_became_better_and_worse_in_the_last_phase_is_said(run):
    assert "Since phase warm better: distance (91.25, now 7.125). Whether that is more than chance" in page(run).text
    for phase, fit in (("warm", 0.9), ("duel", 0.8)):
        beyond = {"sharp": Figure(0.99 if phase == "warm" else 0.97, 0.95, "high")}  # than real data, both times
        run.append_metrics({"step": 20, "phase": phase, "fit": Figure(fit, 0.95, "high")} | beyond)
    assert "better: distance (91.25, now 7.125); worse: fit (0.9, now 0.8)." in page(run).text
    evaluate(run, figures={"fit": Figure(0.8, 0.95, "high"), "sharp": Figure(0.96, 0.95, "high")})
    assert "worse: fit (0.9, now 0.8)." in page(run).text
    evaluate(run, figures={"sharp": Figure(0.96, 0.95, "high")})
    assert "Since phase warm no figure is better or worse." in page(run).text
    evaluate(run, figures={"fit": Figure(0.8, 0.95, "high")}, metrics=[{"use": "acme/fit", "samples": 7}])
    assert "Since phase" not in page(run).text and "after phase" not in page(run).text  # not measured so before


def test_what_is_good_near_real_data_is_better_where_it_comes_nearer_from_either_side(run):
    for phase, near, far in (("warm", 0.433, 0.00036), ("duel", 0.465, 0.00024)):
        figures = {"near": Figure(near, 0.458, "real"), "far": Figure(far, 0.00035, "real")}
        run.append_metrics({"step": 20, "phase": phase} | figures)
    read = page(run)
    assert "near (0.433, now 0.465, real 0.458); worse: far (0.00036, now 0.00024, real 0.00035)." in read.text
    assert ["near ≈", "0.433", "0.465", "0.458"] in read.cells
    assert "≈ the nearer to real data the better" in read.text


def test_an_interval_is_a_band_around_its_figure_and_no_chart_of_its_own(run):
    for step in (10, 20):
        run.append_metrics(
            {"step": step, "phase": "duel", "gain": Figure(1.0), "gain_low": Figure(0.5), "gain_high": Figure(2.0)}
        )
    panels = {it.title: it for it in panels_of_metrics(list(run.read_metrics()))}
    [line] = panels["gain"].lines
    assert line.band == [(10, 0.5, 2.0), (20, 0.5, 2.0)] and panels["gain"].remark == "shaded: its interval"
    assert "shaded: its interval" in page(run).text
    assert not {"gain_low", "gain_high"} & panels.keys()


def test_how_long_what_was_trained_where(run):
    beat = {"step": 20, "steps": 20, "phase": "duel", "time": 1.7e9, "steps_per_second": 1.0, "memory": 1}
    last = {"state": "finished", "seconds": 130.0, "machine": "2 processes on A", "parameters": {"critic": 1234}}
    run.heartbeat.write_text(json.dumps(beat | last))
    facts = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", write_report(run).read_text(encoding="utf-8"))
    assert facts[-3:] == [
        ("parameters", "critic 1,234"),
        ("trained for", "2 min"),
        ("trained on", "2 processes on A"),
    ]


def test_what_metrics_say_of_their_figures_stands_below_these(run):
    evaluate(run, figures={"distance": Figure(1.0)}, remarks=["half of it is < nothing"])
    assert "half of it is < nothing" in page(run).text


def test_every_group_of_figures_has_its_chart_with_the_phases(run):
    text = write_report(run).read_text(encoding="utf-8")
    captions = re.findall(r"<figcaption>([^<]*)", text)
    assert [caption.strip() for caption in captions] == [
        "distance",
        "Losses",
        "Discriminator&#39;s accuracy",
        "Gradient norms",
    ]
    charts = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(charts) == 4
    for caption, chart in zip(captions, charts, strict=True):
        assert ">duel</text>" in chart  # where the second phase starts, in words
        assert ">step</text>" in chart
        assert f"{caption.strip()}</text>" not in chart  # which stands above it


def test_no_two_parts_have_the_same_id(run):
    ids = [attributes["id"] for _, attributes in page(run).tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_what_it_says_before_and_after_an_evaluation(run):
    said = page(run).text
    assert f"Played 20 steps; figures are those taken while training. gangen eval {run.root} measures" in said
    assert "Figures by step 20, taken while training." in said and "stands below" not in said
    run.recipe.write_text(run.recipe.read_text() + "metrics: [{use: acme/distance, samples: 70}]\n")
    read = page(run)
    assert ["acme/distance", "samples: 70", "-"] in read.cells and "stands below" in read.text
    run.metrics.unlink()
    assert f"not evaluated yet: gangen eval {run.root} measures it." in page(run).text
    evaluate(run, frontiers=[FRONTIER])
    read = page(run)
    assert (
        "No verdict on one run, which dominates its baseline: at equal spread (0.65 to 0.65)" in read.text
        and "while training" not in read.text
    )
    assert "spread: low is good" in read.text and "what phase warm ended with" in read.text
    assert "What changing temperature, top_p trades." in read.text
    # At the one diversity that both reach the model is best by a point of more diversity.
    assert ["0.65", "0.52", "top_p", "0.33", "temperature"] in read.cells
    for row in (
        ["model", "temperature 0.5", "0.61", "0.8"],
        ["model", "top_p 0.75", "0.52", "0.6"],
        ["baseline", "temperature 1", "0.33", "0.65"],
        ["real data", "-", "0.87", "0.91"],
    ):
        assert row in read.cells
    assert {"aria-label": "fit against spread", "role": "img"}.items() <= read.tagged("svg")[0].items()


def test_figures_of_an_evaluation_take_the_place_of_older_ones(run):
    evaluate(run, figures={"distance": Figure(6.5, 4.0, "low"), "fresh": Figure(0.25)})
    read = page(run)
    assert ["distance ↓", "91.25", "6.5", "4"] in read.cells and ["fresh", "-", "0.25", "-"] in read.cells
    assert not any(cells[:1] == ["modes"] for cells in read.cells)  # of training, perhaps at another count
    assert "evaluated at step 20, without a baseline" in read.text
    run.append_metrics({"step": 30, "phase": "duel", "distance": Figure(5.5, 3.875, "low")})
    assert ["distance ↓", "91.25", "5.5", "3.875"] in page(run).cells


def test_how_figures_were_measured(run):
    extractor = {"use": "acme/eye", "width": 16, "bias": False}
    protocol = {"samples": 900, "extractor": "eye"}
    metrics = [
        {"use": "acme/distance", "samples": 1000, "extractor": extractor, "protocol": protocol},
        {"use": "acme/modes"},
    ]
    evaluate(run, metrics=metrics, extractors={"eye": "0123456789abcdef"}, warnings=["too <few> samples"])
    read = page(run)
    options = "samples: 1000\nextractor.use: acme/eye\nextractor.width: 16\nextractor.bias: false"
    assert ["acme/distance", options, "samples: 900\nextractor: eye, SHA-256 01234567…"] in read.cells
    assert ["acme/modes", "none", "-"] in read.cells
    assert "Evaluation: too <few> samples" in read.text


def test_what_training_has_warned_of_is_not_told_again(run):
    run.append_metrics({"step": 20, "phase": "duel", "warning": "few samples"})
    evaluate(run, warnings=["few samples", "no samples"])
    text = page(run).text
    assert "Step 20: few samples" in text and "Evaluation: no samples" in text
    assert "Evaluation: few samples" not in text


def test_a_picture_and_what_explains_it_are_one_sheet(run):
    picture(run.samples / "step-00000020.png", shade=77)
    (run.samples / "step-00000020.txt").write_text("#2 = \u72ac\n", encoding="utf-8")
    [figure] = re.findall(r'<figure class="sheet.*?</figure>', write_report(run).read_text(encoding="utf-8"), re.DOTALL)
    assert figure.index("<img") < figure.index("#2 = \u72ac")


def test_sheets_of_metrics_have_sections_of_their_own(run):
    (run.samples / "step-00000020.txt").write_text("ours\n")
    (run.samples / "real.txt").write_text("theirs\n")
    (run.samples / "nearest_training-rows.txt").write_text(f"{ATTACK} is near\n")
    (run.samples / ".hidden.txt").write_text("of an editor\n")
    picture(run.samples / "farthest.png", shade=77)
    read = page(run)
    headings = re.findall(r"<h2>(.*?)</h2>", write_report(run).read_text(encoding="utf-8"))
    assert headings[headings.index("Samples") :][:3] == ["Samples", "Farthest", "Nearest training rows"]
    assert f"{ATTACK} is near" in read.text and "of an editor" not in read.text
    assert [sheet["data-name"] for sheet in read.tagged("figure") if "data-name" in sheet][:2] == [
        "step 20",
        "real data",
    ]
    assert len(read.tagged("img")) == 1


def test_a_verdict_on_an_earlier_step_says_so(run):
    evaluate(run, step=10, frontiers=[FRONTIER])
    assert "found at step 10; the run has gone on to step 20" in page(run).text
    evaluate(run, step=20, frontiers=[FRONTIER])
    assert "gone on" not in page(run).text


def test_a_frontier_without_a_baseline_or_real_data_is_drawn(run):
    evaluate(run, frontiers=[replace(FRONTIER, baseline=None, baseline_phase=None, baseline_again=None, real={})])
    read = page(run)
    assert "0.61" in read.text and not any(cells[0] in ("baseline", "real data") for cells in read.cells)


def test_warnings_are_on_top(run):
    run.append_metrics({"step": 20, "phase": "duel", "warning": "collapse: 12 % unique & falling"})
    text = page(run).text
    assert text.index("Step 20: collapse: 12 % unique & falling") < text.index("Figures")


def test_recipe_and_environment_are_complete(run):
    read = page(run)
    assert run.recipe.read_text() in read.text
    assert ["plugin acme", "acme-rings 3.1"] in read.cells
    assert "77" in read.text and "acme/rings" in read.text


def test_nothing_is_loaded_from_elsewhere(run):
    for step in (10, 20):
        picture(run.samples / f"step-{step:08d}.png", shade=step)
    picture(run.samples / "real.png", shade=200)
    text = write_report(run).read_text(encoding="utf-8")
    assert not re.search(r"https?://|@import|url\((?!#)", text)
    for tag, attributes in Page(text).tags:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        assert attributes.get("src", "data:").startswith("data:")
        assert all(attributes.get(name, "#").startswith("#") for name in ("href", "xlink:href"))


def test_pictures_are_embedded_as_they_are_and_the_last_is_shown(run):
    for step in (10, 20):
        picture(run.samples / f"step-{step:08d}.png", shade=step)
    picture(run.samples / "real.png", shade=200)
    read = page(run)
    shades = [
        Image.open(BytesIO(b64decode(image["src"].split(",")[1]))).getpixel((0, 0)) for image in read.tagged("img")
    ]
    assert shades == [10, 20, 200]
    sheets = [figure for figure in read.tagged("figure") if "data-name" in figure]
    assert [sheet["class"].split()[1:] for sheet in sheets] == [[], ["last", "shown"], []]
    assert [sheet["data-name"] for sheet in sheets] == ["step 10", "step 20", "real data"]


def test_many_sheets_are_spaced_and_the_page_stays_small(run):
    chance = random.Random(0)
    for step in range(40):
        noise = Image.frombytes("L", (500, 500), chance.randbytes(250_000))
        noise.save(run.samples / f"step-{step:08d}.png")
    path = write_report(run)
    assert path.stat().st_size < 4_000_000
    names = re.findall(r'data-name="([^"]*)"', path.read_text(encoding="utf-8"))
    assert 5 <= len(names) <= 12 and names[0] == "step 0" and names[-1] == "step 39"
    assert "of 40 sheets" in path.read_text(encoding="utf-8")


def test_sheets_follow_the_numbers_of_their_steps(run):
    for step in (99_999_999, 100_000_000):
        (run.samples / f"step-{step:08d}.txt").write_text("a sample")
    assert samples.last(run.samples, 100_000_000)[0] == "step 100,000,000"
    assert [path.stem for path in Run(run.root).samples][-2:] == ["step-99999999", "step-100000000"]


def test_what_is_too_large_or_of_another_kind_is_a_link(run):
    (run.samples / "step-00000010.csv").write_text("1,2\n")
    (run.samples / "step-00000020.txt").write_text("x" * 3_000_000)
    read = page(run)
    links = [link["href"] for link in read.tagged("a")]
    assert links == ["samples/step-00000010.csv", "samples/step-00000020.txt"]


@pytest.mark.parametrize(
    ("name", "tag", "media"),
    [
        ("step-00000020.wav", "audio", "audio/"),
        ("step-00000020-left.mp4", "video", "video/mp4"),
        ("step-00000020.jpg", "img", "image/jpeg"),
    ],
)
def test_sheets_are_shown_by_what_they_are(run, name, tag, media):
    content = b"RIFF or whatever a browser makes of it"
    (run.samples / name).write_bytes(content)
    text = write_report(run).read_text(encoding="utf-8")
    [shown] = Page(text).tagged(tag)
    head, data = shown["src"].split(";base64,")
    assert head.startswith(f"data:{media}") and b64decode(data) == content
    assert "controls" in shown or tag == "img"
    assert 'data-name="step 20"' in text and ("<p>left</p>" in text) == ("left" in name)
    assert "media-src data:" in text[: text.index("</head>")]


def test_sound_that_is_too_large_is_a_link(run):
    (run.samples / "step-00000020.wav").write_bytes(bytes(3_000_000))
    read = page(run)
    assert [link["href"] for link in read.tagged("a")] == ["samples/step-00000020.wav"] and not read.tagged("audio")


def test_rows_and_evaluations_of_older_runs_have_the_same_page(run):
    once = replace(FRONTIER, model={"temperature": FRONTIER.model["temperature"]})
    evaluate(run, figures={"distance": Figure(6.5, 4.0)}, frontiers=[once])
    new = write_report(run).read_text(encoding="utf-8")
    older = json.loads(run.evaluation.read_text())
    [older["frontier"]] = older.pop("frontiers")
    tradeoff = older["frontier"].pop("tradeoff")
    sides = {side: tradeoff[side]["figure"] for side in ("quality", "diversity")}
    older["frontier"] |= {
        side: older["frontier"][side]["temperature"] for side in ("model", "baseline", "baseline_again")
    }
    older["frontier"] |= sides | {"setting": "temperature", "good": {"fit": "high", "spread": "low"}}
    older["figures"] = {"distance": 6.5, "distance_real": 4.0}
    run.evaluation.write_text(json.dumps(older))
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    for row in lines:
        for name in [name for name, entry in row.items() if isinstance(entry, dict)]:
            figure = row.pop(name)
            row |= {name: figure["value"]} | ({} if figure["real"] is None else {f"{name}_real": figure["real"]})
    run.metrics.write_text("".join(json.dumps(row) + "\n" for row in lines))
    assert "distance_real" in run.metrics.read_text()
    assert write_report(run).read_text(encoding="utf-8") == new


def test_long_runs_keep_the_page_small_and_their_peaks(run):
    for step in range(21, 5000):
        run.append_metrics({"step": step, "phase": "duel", "judge/loss": step % 7})
    assert write_report(run).stat().st_size < 200_000
    points = [(step, 1.0) for step in range(5000)]
    points[1234] = (1234, 9.0)
    assert (1234, 9.0) in thinned(points) and len(thinned(points)) <= 400


def test_text_of_a_stranger_is_text(run):
    run.recipe.write_text(f"# {ATTACK}\nseed: 1\n")
    run.plugins.write_text(json.dumps({ATTACK: ATTACK}))
    (run.samples / "step-00000020.txt").write_text(f"{ATTACK}\n$name ${{verdict}}\n")
    (run.samples / f"step-{ATTACK.replace('/', '')}.bin").write_text("")
    name = "<b>" + ATTACK.replace("/", "")  # a name with "/" is that of a turn's figure
    run.append_metrics({"step": 30, "phase": ATTACK, name: Figure(1.0), "a/--><b>$x_1$": 2.0, "warning": ATTACK})
    run.append_metrics({"step": 40, "phase": '"><img src=x>', name: Figure(2.0), "a/--><b>$x_1$": 3.0})
    points = {ATTACK: [{ATTACK: 1.0, '"><b>': 0.5, "$\\frac{": 0.5}]}
    tradeoff = Tradeoff(Axis('"><b>', "high"), Axis("$\\frac{", "low"))
    frontier = Frontier(tradeoff, points, ATTACK, points, points, {})
    evaluate(run, figures={name: Figure(1.0)}, warnings=[ATTACK], metrics=[{"use": ATTACK}], frontiers=[frontier])
    read = page(run)
    assert len(read.tagged("script")) == 1 and "alert(1)" not in str(read.tags[:12])
    assert not read.tagged("b") and not read.tagged("img")
    assert f"{ATTACK}\n$name ${{verdict}}\n" in read.text
    assert not any(name.startswith("on") for _, attributes in read.tags for name in attributes)


def test_what_would_turn_a_page_around_is_shown_as_escapes(run):
    (run.samples / "step-00000020.txt").write_text("a\0b\x1bc\tend \u202edne\n", encoding="utf-8")
    assert "a\\x00b\\x1bc\tend \\u202edne\n" in page(run).text


@pytest.mark.parametrize("tail", [b'{"step": 30, "judge/lo', b"[1, 2]\n", b'{"phase": 1}\n', b'"\\ud800"\n', b"\xff\n"])
def test_lines_that_are_no_rows_and_files_that_are_gone_are_left_out(run, tail):
    with run.metrics.open("ab") as file:
        file.write(tail)
    (run.samples / "step-00000099.png").symlink_to("nowhere")
    assert "7.125" in page(run).text


def test_a_run_that_has_only_begun_has_a_report(run):
    shutil.rmtree(run.samples)
    run.metrics.unlink()
    read = page(run)
    assert "Played 0 steps" in read.text and not read.tagged("svg") and "Samples" not in read.text


def test_figures_that_are_not_finite_do_not_stop_it(run):
    run.append_metrics({"step": 30, "phase": "duel", "judge/loss": float("nan"), "distance": Figure(math.inf, 3.875)})
    run.append_metrics({"step": 40, "phase": "duel", "warning": "\ud800"})
    assert ["distance", "91.25", "-", "3.875"] in page(run).cells
    model = {"temperature": [{"temperature": 0.5, "fit": math.nan, "spread": 0.2}]}
    frontier = replace(FRONTIER, model=model, real={"fit": math.nan})
    evaluate(
        run, step=40, figures={"distance": Figure(10**400, 3.875), "modes": Figure(math.nan)}, frontiers=[frontier]
    )
    cells = page(run).cells
    assert ["distance", "91.25", "-", "3.875"] in cells
    assert ["model", "temperature 0.5", "-", "0.2"] in cells


@pytest.mark.parametrize(
    "damaged",
    [
        '{"step": 20, "figures"',
        "[1]",
        json.dumps(
            {key: [[]] for key in ("step", "figures", "frontier", "metrics", "extractors", "warnings", "verdict")}
        ),
    ],
)
def test_a_damaged_evaluation_does_not_stop_it(run, damaged):
    run.evaluation.write_text(damaged)
    assert ["distance ↓", "91.25", "7.125", "3.875"] in page(run).cells


def test_what_is_no_run_has_no_report(tmp_path, capsys):
    with pytest.raises(RunError, match="is not a run directory"):
        write_report(RunDirectory(tmp_path))
    assert main(["report", str(tmp_path / "nowhere")]) == 1
    assert "nowhere is not a run directory" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_the_way_to_it_is_named(run, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["report", str(run.root)]) == 2
    assert 'pip install "gangen[demo]"' in capsys.readouterr().err


def test_the_command_names_the_file_and_takes_the_place_of_an_older_one(run, capsys):
    (run.root / "report.html").write_text("old")
    assert main(["report", str(run.root)]) == 0
    assert capsys.readouterr().out.strip() == str(run.root / "report.html")
    assert (run.root / "report.html").read_text().startswith("<!DOCTYPE html>")
    assert not list(run.root.glob(".*"))


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium")
def test_a_browser_renders_it_without_complaint(run, tmp_path):
    for step in (10, 20):
        (run.samples / f"step-{step:08d}.txt").write_text(f"{ATTACK} {step}\n")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"]
    home = f"--user-data-dir={tmp_path / 'browser'}"
    command = ["chromium", *options, home, write_report(run).as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "CONSOLE" not in done.stderr
    # The script ran, which the policy in the page's head allows by its hash: it unhides the slider and names its place.
    assert 'aria-valuetext="step 20"' in done.stdout
    assert '<p class="player">' in done.stdout


def test_links_that_lead_out_of_a_run_are_not_followed(run, tmp_path):
    (tmp_path / "secret.txt").write_text("root:x:0:0")
    inside = run.root / "kept.txt"
    inside.write_text("words of this run")
    for name in ("step-00000098.txt", "real.txt", "copies.txt"):
        (run.samples / name).symlink_to(tmp_path / "secret.txt")
    (run.samples / "step-00000099.txt").symlink_to("../kept.txt")
    text = page(run).text
    assert "root:x:0:0" not in text and "words of this run" in text
    for record in (run.recipe, run.metrics, run.evaluation, run.plugins, run.samples):
        moved = tmp_path / f"moved-{record.name}"
        if record.exists():
            record.rename(moved)
        record.symlink_to(moved)
        with pytest.raises(RunError, match=rf"{record.name} is a link that leads out of the run"):
            write_report(run)
        record.unlink()
        if moved.exists():
            moved.rename(record)


def test_no_more_charts_are_drawn_than_somebody_looks_at(run, monkeypatch):
    drawn = []

    def draw(title, lines, phases, **how):
        drawn.append((title, len(lines), len(phases)))
        return title

    monkeypatch.setattr("gangen.report.figures.line_chart", draw)
    letters = [f"figure_{chr(97 + one)}{chr(97 + two)}" for one in range(20) for two in range(15)]
    for step in range(30, 60):
        figures = {name: Figure(step) for name in (*letters, *(f"modes_{number}" for number in range(99)))}
        turns = {f"turn{number}/loss": 1.0 for number in range(99)}
        run.append_metrics({"step": step, "phase": f"phase {step}", **figures, **turns})
    assert "272 more have no chart" in page(run).text
    assert len(drawn) < 40 and max(lines for _, lines, _ in drawn) <= 40 and max(it for *_, it in drawn) <= 20
