"""Curves whose order is known: what dominates, what crosses, and what a temperature must not be able to win."""

import math

import pytest

from gangen.evaluation.frontier import Comparison, compare, verdict
from gangen.metrics.tradeoff import Axis, Tradeoff

# As BLEU against Self-BLEU: more quality is bought with less diversity.
PLANE = Tradeoff(Axis("quality", "high"), Axis("sameness", "low"))


def curve(*points):
    """Rows of (sameness, quality)."""
    return [{"sameness": sameness, "quality": quality} for sameness, quality in points]


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
    baseline = [{"oracle": 6.0, "nll": 8.0}, {"oracle": 8.0, "nll": 6.0}]
    better = [{"oracle": 5.0, "nll": 8.0}, {"oracle": 7.0, "nll": 6.0}]
    found = compare(plane, better, baseline, {})
    assert found == Comparison("dominates", pytest.approx(1.0), 6.0, 8.0)
    assert "oracle is 1 better" in verdict(plane, [found])


def test_a_branch_that_loses_both_ways_takes_nothing_away():
    # Beyond some temperature both figures get worse, as likelihoods do.
    plane = Tradeoff(Axis("oracle", "low"), Axis("nll", "low"))
    rows = [{"oracle": 5.0, "nll": 8.0}, {"oracle": 7.0, "nll": 6.0}]
    assert compare(plane, [*rows, {"oracle": 9.0, "nll": 7.0}], rows, {}).outcome == "equals"


def test_more_quality_than_real_data_is_no_gain():
    louder = curve((0.2, 0.3), (0.4, 0.7), (0.6, 0.9))
    assert compare(PLANE, louder, BASELINE, {}).outcome == "dominates"
    plateau = curve((0.2, 0.3), (0.4, 0.3), (0.6, 0.3))
    assert compare(PLANE, louder, plateau, {"quality": 0.3}).outcome == "equals"


def test_points_that_are_not_finite_or_could_not_be_measured_are_left_out():
    rows = [*BASELINE, {"sameness": 0.5, "quality": float("nan")}]
    assert compare(PLANE, [*BASELINE, {"sameness": 0.5}, {}], BASELINE, {}).outcome == "equals"
    assert compare(PLANE, rows, BASELINE, {}).outcome == "equals"
    assert compare(PLANE, rows[-1:], BASELINE, {}).outcome == "cannot be compared with"


def test_one_run_says_that_its_spread_is_not_known():
    words = verdict(PLANE, [Comparison("is dominated by", -0.02, 0.3, 0.6)])
    assert words == (
        "is dominated by its baseline: at equal sameness (0.3 to 0.6), quality is 0.02 worse on average; "
        "one run, which may be chance: the spread over seeds is not known"
    )


def test_a_gap_is_set_beside_that_of_the_baseline_to_itself():
    words = verdict(PLANE, [Comparison("crosses", -0.02, 0.3, 0.6, 0.013)])
    assert words.endswith(
        "quality is 0.02 worse on average; drawn twice, the baseline differs from itself by 0.013; "
        "one run, which may be chance: the spread over seeds is not known"
    )


def test_equal_curves_are_called_the_same():
    words = verdict(PLANE, [Comparison("equals", 0.0, 0.3, 0.6)])
    assert words.startswith("equals its baseline: at equal sameness (0.3 to 0.6), quality is the same;")


def test_runs_that_agree_are_summed_up_with_their_spread():
    words = verdict(PLANE, [Comparison("dominates", gap, 0.3, 0.6) for gap in (0.1, 0.2, 0.3)])
    assert words == (
        "dominates its baseline in each of 3 runs: "
        "at equal sameness (0.3 to 0.6), quality is 0.2 ± 0.1 better on average"
    )


def test_runs_that_disagree_make_no_verdict():
    words = verdict(PLANE, [Comparison("dominates", 0.1, 0.3, 0.6), Comparison("crosses", 0.0, 0.2, 0.6)])
    assert words.startswith("no verdict against its baseline, the runs disagree (dominates it in 1, crosses it in 1)")
    assert "0.05 ± 0.071 better" in words


def test_without_a_common_diversity_nothing_is_said_of_quality():
    words = verdict(PLANE, [Comparison("cannot be compared with")])
    assert words == (
        "cannot be compared with its baseline: the two have no sameness in common; sweep further with --sweep"
    )
