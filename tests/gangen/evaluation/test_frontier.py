"""Curves whose order is known: what dominates, what crosses, and what a temperature must not be able to win."""

import math
from statistics import mean, stdev

import numpy as np
import pytest

from gangen.evaluation.frontier import Comparison, Envelope, compare, verdict
from gangen.metrics.tradeoff import Axis, Tradeoff

# As BLEU against Self-BLEU: more quality is bought with less diversity.
PLANE = Tradeoff(Axis("quality", "high"), Axis("sameness", "low"))


def rows(*points):
    """Of (sameness, quality)."""
    return [{"sameness": sameness, "quality": quality} for sameness, quality in points]


def curve(*points, setting="temperature"):
    """A sweep of one setting."""
    return {setting: rows(*points)}


def bent(sameness):
    """A concave frontier: its chords lie below it."""
    return sameness**0.5


BASELINE = curve((0.2, 0.3), (0.4, 0.5), (0.6, 0.7))


@pytest.mark.parametrize(
    ("model", "outcome", "gap"),
    [
        (curve((0.2, 0.4), (0.4, 0.6), (0.6, 0.8)), "dominates", 0.1),
        (curve((0.2, 0.25), (0.4, 0.45), (0.6, 0.65)), "is dominated by", -0.05),
        (curve((0.2, 0.2), (0.6, 0.8)), "crosses", 0.0),
        (BASELINE, "equals", 0.0),
        (curve((0.7, 0.9), (0.8, 0.9)), "cannot be compared with", math.nan),
    ],
)
def test_curves_are_judged_at_equal_diversity(model, outcome, gap):
    found = compare(PLANE, model, BASELINE, {})
    assert found.outcome == outcome
    assert found.gap == pytest.approx(gap, abs=1e-3, nan_ok=True)


def test_the_gap_is_taken_where_both_curves_reach():
    # On 0.3 to 0.6 the model has 0.6 throughout, and the baseline 0.4 to 0.7.
    found = compare(PLANE, curve((0.3, 0.6), (0.9, 0.6)), BASELINE, {})
    assert found == Comparison("crosses", pytest.approx(0.05, abs=2e-3), pytest.approx(0.3), pytest.approx(0.6))


def test_a_colder_point_of_the_same_curve_is_no_win():
    # Every point of the model has more quality than the baseline's at the same temperature.
    colder = curve(*[(sameness + 0.1, sameness + 0.2) for sameness in (0.2, 0.3, 0.4)])
    baseline = curve(*[(sameness, sameness + 0.1) for sameness in (0.2, 0.3, 0.4)])
    assert compare(PLANE, colder, baseline, {}).outcome == "equals"


def test_a_colder_sweep_of_a_bent_curve_is_no_win():
    baseline = curve(*[(x, bent(x)) for x in (0.1, 0.3, 0.5, 0.7)])
    colder = curve(*[(x, bent(x)) for x in (0.2, 0.4, 0.6, 0.8)])
    assert compare(PLANE, colder, baseline, {}).outcome == "crosses"


def test_low_can_be_good_on_both_axes():
    plane = Tradeoff(Axis("oracle", "low"), Axis("nll", "low"))
    baseline = {"temperature": [{"oracle": 6.0, "nll": 8.0}, {"oracle": 8.0, "nll": 6.0}]}
    better = {"temperature": [{"oracle": 5.0, "nll": 8.0}, {"oracle": 7.0, "nll": 6.0}]}
    found = compare(plane, better, baseline, {})
    assert found == Comparison("dominates", pytest.approx(1.0), 6.0, 8.0)
    assert "oracle is 1 better" in verdict(plane, [found])


def test_a_branch_that_loses_both_ways_takes_nothing_away():
    # Beyond some temperature both figures get worse, as likelihoods do.
    plane = Tradeoff(Axis("oracle", "low"), Axis("nll", "low"))
    points = [{"oracle": 5.0, "nll": 8.0}, {"oracle": 7.0, "nll": 6.0}]
    longer = {"temperature": [*points, {"oracle": 9.0, "nll": 7.0}]}
    assert compare(plane, longer, {"temperature": points}, {}).outcome == "equals"


def test_more_quality_than_real_data_is_no_gain():
    louder = curve((0.2, 0.3), (0.4, 0.7), (0.6, 0.9))
    assert compare(PLANE, louder, BASELINE, {}).outcome == "dominates"
    plateau = curve((0.2, 0.3), (0.4, 0.3), (0.6, 0.3))
    assert compare(PLANE, louder, plateau, {"quality": 0.3}).outcome == "equals"


def test_points_that_are_not_finite_or_could_not_be_measured_are_left_out():
    [points] = BASELINE.values()
    nowhere = [{"sameness": 0.5, "quality": float("nan")}]
    for more in ([{"sameness": 0.5}, {}], nowhere):
        assert compare(PLANE, {"temperature": [*points, *more]}, BASELINE, {}).outcome == "equals"
        assert compare(PLANE, BASELINE | {"top_p": more}, BASELINE, {}).outcome == "equals"
    for nothing in ({"temperature": nowhere}, {"temperature": []}, {}):
        assert compare(PLANE, nothing, BASELINE, {}).outcome == "cannot be compared with"


def test_a_frontier_is_the_best_of_all_sweeps_and_joins_points_of_one_alone():
    # The second is better to the left of 0.4, and worse to the right; no line leads from one to the other.
    other = curve((0.1, 0.3), (0.3, 0.5), (0.5, 0.5), setting="top_p")
    both = Envelope(PLANE, BASELINE | other)
    places = np.array([-0.6, -0.5, -0.4, -0.3, -0.2, -0.1])  # scores: sameness is good where it is low
    quality, settings = both.at(places)
    assert quality == pytest.approx([0.7, 0.6, 0.5, 0.5, 0.4, 0.3])
    assert settings[0] == settings[1] == "temperature" and settings[3:] == ["top_p"] * 3
    found = compare(PLANE, BASELINE | other, BASELINE, {})
    assert found.outcome == "dominates"
    assert (found.low, found.high) == pytest.approx((0.2, 0.6))
    # A triangle of 0.1 at 0.2, 0.1 at 0.3 and nothing at 0.4, of a range of 0.4.
    assert found.gap == pytest.approx((0.01 + 0.005) / 0.4, abs=1e-3)


def test_a_model_that_wins_over_temperature_alone_may_lose_against_all_sweeps():
    model = curve((0.2, 0.35), (0.4, 0.55), (0.6, 0.75))
    assert compare(PLANE, model, BASELINE, {}).outcome == "dominates"
    rejection = curve((0.2, 0.4), (0.6, 0.8), setting="best_of")
    assert compare(PLANE, model, BASELINE | rejection, {}).outcome == "is dominated by"


EQUAL = "at equal sameness (0.3 to 0.6), quality is"


def test_one_run_has_figures_and_no_verdict():
    assert verdict(PLANE, [Comparison("is dominated by", -0.02, 0.3, 0.6)]) == (
        "no verdict on one run, which is dominated by its baseline: "
        f"{EQUAL} 0.02 worse than its baseline's on average; "
        "evaluate runs of other seeds with it"
    )


def test_a_gap_is_set_beside_that_of_the_baseline_to_itself():
    assert verdict(PLANE, [Comparison("crosses", -0.02, 0.3, 0.6, 0.013)]) == (
        f"no verdict on one run, which crosses its baseline: "
        f"{EQUAL} 0.02 worse than its baseline's on average; "
        "drawn twice, the baseline differs from itself by 0.013; evaluate runs of other seeds with it"
    )


def test_equal_curves_are_called_the_same():
    assert f"{EQUAL} the same as its baseline's on average" in verdict(PLANE, [Comparison("equals", 0.0, 0.3, 0.6)])


@pytest.mark.parametrize(
    ("gaps", "head", "holds"),
    [
        ((0.1, 0.2, 0.3), "no verdict: ", ", which holds 0"),
        ((0.15, 0.2, 0.25), "better than its baseline: ", ""),
        ((-0.15, -0.2, -0.25), "worse than its baseline: ", ""),
        ((0.19, 0.21), "better than its baseline: ", ""),
        ((0.1, 0.3), "no verdict: ", ", which holds 0"),
    ],
)
def test_better_is_what_an_interval_over_seeds_says(gaps, head, holds):
    # Two-sided 95 % quantiles of Student's t with 1 and 2 degrees of freedom, from a table.
    half = {2: 12.7062, 3: 4.30265}[len(gaps)] * stdev(gaps) / len(gaps) ** 0.5
    words = verdict(PLANE, [Comparison("dominates", gap, 0.3, 0.6) for gap in gaps])
    side = "better" if mean(gaps) > 0 else "worse"
    assert words == (
        f"{head}at equal sameness (0.3 to 0.6), quality is 0.2 {side} than its baseline's on average "
        f"(95 % interval over {len(gaps)} seeds {mean(gaps) - half:.2g} to {mean(gaps) + half:.2g}{holds}); "
        f"dominates it in {len(gaps)} of {len(gaps)} runs"
    )


def test_how_the_curves_of_runs_lie_is_counted():
    words = verdict(PLANE, [Comparison("dominates", 0.1, 0.3, 0.6), Comparison("crosses", 0.0, 0.2, 0.6)])
    assert words.endswith("; dominates it in 1, crosses it in 1 of 2 runs") and "(0.2 to 0.6)" in words


def test_runs_without_a_common_diversity_are_left_out_of_the_mean():
    alone = [Comparison("dominates", 0.1, 0.3, 0.6), Comparison("cannot be compared with")]
    assert f"{EQUAL} 0.1 better" in verdict(PLANE, alone)
    assert verdict(PLANE, alone[1:]) == (
        "no verdict: model and baseline have no sameness in common; sweep further with --sweep"
    )
