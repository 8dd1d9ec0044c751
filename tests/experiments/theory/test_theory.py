"""The mathematical model: closed forms, Monte Carlo, the finite test, and fits."""

from __future__ import annotations

import numpy as np
import pytest

from bigbench_meta.errors import AnalysisError
from bigbench_meta.experiments.theory import model as th
from bigbench_meta.experiments.theory.fit import Measured, fit_theory
from bigbench_meta.experiments.theory.panels import PANELS, theory_figure, theory_panel

SCALES = np.logspace(6, 12, 17)
LADDER = np.logspace(6, 11, 9)


@pytest.fixture(scope="module")
def table():
    return th.theory_table(th.Theory(), scales=SCALES, rng=np.random.default_rng(20261122))


def test_one_nat_at_scale_c():
    """At N = c the loss is one nat and p = 1/e, whatever alpha; hand computation."""
    assert th.token_success(np.array([3e7]), c=3e7, alpha=-0.5)[0] == pytest.approx(1 / np.e)


def test_accuracy_and_edit_distance_by_hand():
    """P = .9 and L = 4: accuracy .6561, edit distance .4 tokens (the consistent form of appendix A, not 3.6)."""
    p = np.array([0.9])
    assert th.accuracy(p, length=4)[0] == pytest.approx(0.6561)
    assert th.token_edit_distance(p, length=4)[0] == pytest.approx(0.4)


@pytest.mark.parametrize(("alpha", "printed"), [(-0.34, 3.9), (-0.076, 17.6)])
def test_width_of_the_rise(alpha, printed):
    """1.34/|alpha| decades from 10% to 90%: 3.9 and 17.6 for the two published exponents, for any c and length."""
    assert th.rise_width(alpha) == pytest.approx(np.log10(np.log(10) / -np.log(0.9)) / -alpha)
    assert round(th.rise_width(alpha), 1) == printed
    grid = np.logspace(-40, 80, 600001)
    for length in (1, 7):
        curve = th.accuracy(th.token_success(grid, c=1e3, alpha=alpha), length=length)
        ends = np.interp([0.1, 0.9], curve, np.log10(grid))
        assert ends[1] - ends[0] == pytest.approx(th.rise_width(alpha), abs=1e-3)


def test_a_partial_rise_is_narrower():
    """A curve that tops out at a = .2 passes 10% to 90% of its own range in 1.05 decades at alpha -.34, not 3.9."""
    assert th.rise_width(-0.34, low=0.02, high=0.18) == pytest.approx(np.log10(np.log(50) / -np.log(0.18)) / 0.34)
    assert th.rise_width(-0.34, low=0.02, high=0.18) < 1.1


def test_length_and_c_cannot_be_told_apart():
    """Five tokens at c and one token at c' = c 5^(-1/alpha) give the same accuracy at every scale."""
    five = th.accuracy(th.token_success(SCALES, c=1e8, alpha=-0.34), length=5)
    moved = th.equivalent_scale(1e8, alpha=-0.34, length=5)
    np.testing.assert_allclose(th.token_success(SCALES, c=moved, alpha=-0.34), five, rtol=1e-12)


@pytest.mark.parametrize("options", [2, 3, 4, 10])
def test_grade_at_the_ends(options):
    """A model that knows nothing is at chance 1/K, one that knows all at 1."""
    grade = th.multiple_choice_grade(np.array([0.0, 1.0]), options=options, concentration=20.0)
    np.testing.assert_allclose(grade, [1 / options, 1], atol=1e-9)


def test_grade_of_known_beta_distributions():
    """K = 2 and concentration 2: uniform at p = 0; shapes 3/2 and 1/2 at p = .5, whose tail is 1/2 + 1/pi by hand."""
    grade = th.multiple_choice_grade(np.array([0.0, 0.5]), options=2, concentration=2.0)
    np.testing.assert_allclose(grade, [0.5, 0.5 + 1 / np.pi], rtol=1e-9)


def test_brier_by_hand():
    """Without item noise the score is the plain square: K = 4, p = .6 gives right .7, wrong .1, (.09 + .03)/4."""
    brier = th.brier_score(np.array([0.6]), options=4, concentration=1e12)
    assert brier[0] == pytest.approx((0.3**2 + 3 * 0.1**2) / 4)


def test_brier_with_item_noise_by_hand():
    """K = 2, p = 0, concentration 3: q ~ beta(1.5, 1.5), whose variance is .25 / 4, so that E (1 - q)^2 = .25 + .0625."""
    brier = th.brier_score(np.array([0.0]), options=2, concentration=3.0)
    assert brier[0] == pytest.approx(0.25 + 0.0625)


def test_monte_carlo_agrees(table):
    """Every exact value lies within 4.5 standard errors of its Monte Carlo mean; shares with the exact binomial error."""
    both = table[table["value"].notna() & table["monte_carlo"].notna()]
    share = both["metric"].isin(["accuracy", "multiple_choice_grade"])
    variance = both["value"] * (1 - both["value"])
    error = both["monte_carlo_se"].where(~share, np.sqrt(variance.clip(lower=0) / 4000))
    # a count below 5 is not near normal; its scale is left to the others
    usable = ~share | (4000 * variance > 5)
    z = ((both["monte_carlo"] - both["value"]) / error)[usable]
    assert len(z) > 100
    assert z.abs().max() < 4.5


def test_levenshtein_never_exceeds_substitutions(table):
    """Insertions and deletions can only shorten the distance, and for one token there is nothing to shorten."""
    pivot = table.pivot_table(index=["length", "scale"], columns="metric", values="monte_carlo")
    assert (pivot["levenshtein"] <= pivot["token_edit_distance"]).all()
    np.testing.assert_array_equal(pivot.loc[1, "levenshtein"], pivot.loc[1, "token_edit_distance"])


def test_measured_values_move_in_steps(table):
    """A test of 100 items shows multiples of .01, and says so."""
    rows = table[(table["metric"] == "accuracy") & (table["length"] == 5)]
    assert (rows["resolution"] == 0.01).all()
    np.testing.assert_allclose(rows["measured"] * 100, (rows["measured"] * 100).round(), atol=1e-9)


def test_small_models_score_exactly_zero():
    """p^L = .001 and n = 100: zero hits with chance .999^100 = .905."""
    assert th.chance_of_zero(np.array([0.1]), length=3, items=100)[0] == pytest.approx(0.999**100)


def test_length_moves_the_curve_and_does_not_sharpen_it(table):
    """In the model itself E of accuracy does not grow with the target's length and stays below a straight line's 8."""
    summary = th.theory_summary(table)
    scores = summary[summary["metric"] == "accuracy"]["emergence_score"]
    assert scores.max() / scores.min() < 1.15
    assert scores.max() < 8


def test_same_generator_same_table(table):
    """The same seed gives the same table to the byte."""
    again = th.theory_table(th.Theory(), scales=SCALES, rng=np.random.default_rng(20261122))
    assert again.to_csv() == table.to_csv()


@pytest.mark.parametrize(
    "bad", [{"c": 0}, {"alpha": 0.1}, {"length": 0}, {"options": 1}, {"items": 0}, {"c": float("nan")}]
)
def test_bad_parameters_are_named(bad):
    """The message names the parameter, its value and what was expected."""
    with pytest.raises(AnalysisError, match=rf"{next(iter(bad))} is .*expected"):
        th.Theory(**bad)


def test_bad_width_is_refused():
    """Levels outside (0, 1) or a positive exponent have no width."""
    with pytest.raises(AnalysisError, match="rise width"):
        th.rise_width(0.3)


def exact_curve():
    return th.accuracy(th.token_success(LADDER, c=1e8, alpha=-0.34), length=5)


def drawn(rng, items):
    share = rng.binomial(items, exact_curve()) / items
    return Measured(LADDER, share, items=np.full(9, float(items)))


def test_fit_finds_the_planted_values():
    """Counts drawn from the model: the estimates lie within the intervals and the fit is not rejected."""
    rng = np.random.default_rng(7)
    fit = fit_theory(drawn(rng, 2000), length=5, rng=rng)
    assert fit.alpha_low < -0.34 < fit.alpha_high
    assert fit.c_low < 1e8 < fit.c_high
    assert fit.p_value > 0.05
    assert fit.degrees_of_freedom == 7


def test_fit_agrees_with_statsmodels():
    """Slope, deviance and Wald interval of the same regression by statsmodels (binomial, cloglog on the failures)."""
    import statsmodels.api as sm

    rng = np.random.default_rng(8)
    curve = drawn(rng, 500)
    fit = fit_theory(curve, length=5, rng=rng, draws=9)
    family = sm.families.Binomial(link=sm.families.links.CLogLog())
    counts = np.column_stack([500 - 500 * curve.value, 500 * curve.value])
    other = sm.GLM(counts, sm.add_constant(np.log(LADDER)), family=family).fit()
    assert fit.alpha == pytest.approx(other.params[1], rel=1e-6)
    assert fit.deviance == pytest.approx(other.deviance, rel=1e-6)
    np.testing.assert_allclose([fit.alpha_low, fit.alpha_high], other.conf_int()[1], atol=0.003)


def test_profile_interval_by_its_definition():
    """At an end of the interval, the best deviance with alpha held there is the minimum plus 3.84."""
    from scipy.optimize import minimize_scalar

    rng = np.random.default_rng(9)
    curve = drawn(rng, 500)
    fit = fit_theory(curve, length=5, rng=rng, draws=9)
    share = curve.value

    def deviance(log_c, alpha):
        p = th.accuracy(th.token_success(LADDER, c=np.exp(log_c), alpha=alpha), length=5)
        hits = np.where(share > 0, share * np.log(np.maximum(share, 1e-300) / p), 0)
        return 2 * (500 * (hits + (1 - share) * np.log((1 - share) / (1 - p)))).sum()

    held = minimize_scalar(deviance, bounds=(14, 24), args=(fit.alpha_low,), method="bounded").fun
    assert held - fit.deviance == pytest.approx(3.8415, abs=1e-3)


def test_length_does_not_change_alpha_but_c():
    """The same accuracy read as 1 or 5 tokens: one alpha, one deviance, c moved by 5^(-1/alpha)."""
    rng = np.random.default_rng(10)
    curve = Measured(LADDER, exact_curve(), standard_error=np.full(9, 0.01))
    one, five = (fit_theory(curve, length=length, rng=rng, draws=9) for length in (1, 5))
    assert one.alpha == pytest.approx(five.alpha, rel=1e-6)
    assert one.c == pytest.approx(th.equivalent_scale(five.c, alpha=five.alpha, length=5), rel=1e-5)


def test_a_jump_is_rejected():
    """A curve that jumps from .01 to .98 in one size does not follow the model: the smallest p that 199 draws allow."""
    share = np.array([0.01, 0.01, 0.01, 0.01, 0.98, 0.98, 0.98, 0.98, 0.98])
    curve = Measured(np.logspace(4, 6, 9), share, items=np.full(9, 500.0))
    assert fit_theory(curve, length=5, rng=np.random.default_rng(0), draws=199).p_value == pytest.approx(1 / 200)


@pytest.mark.parametrize(
    ("share", "reason"),
    [
        ([0.0, 0.0, 0.0, 0.0], "flat"),
        ([1.0, 1.0, 1.0, 1.0], "flat"),
        ([0.0, 0.0, 1.0, 1.0], "separated"),
        ([0.0, 0.0, 0.5, 1.0], "separated"),
        ([0.0, 0.0, 0.0, 0.3], "separated"),
    ],
)
def test_no_estimate_has_a_reason(share, reason):
    """Where the likelihood has no maximum the numbers are NaN and the reason is given."""
    curve = Measured(np.logspace(6, 9, 4), np.array(share), items=np.full(4, 10.0))
    fit = fit_theory(curve, length=2, rng=np.random.default_rng(0))
    assert fit.reason == reason
    assert np.isnan([fit.alpha, fit.c, fit.p_value]).all()


def test_two_scales_are_too_few():
    """Two parameters through two points leave nothing to test."""
    curve = Measured(np.array([1e6, 1e7]), np.array([0.1, 0.5]), items=np.full(2, 10.0))
    assert fit_theory(curve, length=2, rng=np.random.default_rng(0)).reason == "too_few_scales"


def test_measured_input_is_checked():
    """Percentages, and neither or both kinds of noise, are refused with what to give."""
    rng = np.random.default_rng(0)
    three = np.array([1e6, 1e7, 1e8])
    with pytest.raises(AnalysisError, match="percentage"):
        fit_theory(Measured(three, np.array([1.0, 20, 50]), items=np.full(3, 10.0)), length=1, rng=rng)
    with pytest.raises(AnalysisError, match="either items or standard_error"):
        fit_theory(Measured(three, np.array([0.1, 0.2, 0.5])), length=1, rng=rng)


@pytest.mark.slow
def test_intervals_cover():
    """Over 400 planted curves the 95% intervals hold alpha, and p rejects 5%, within binomial error."""
    rng = np.random.default_rng(11)
    fits = [fit_theory(drawn(rng, 300), length=5, rng=rng, draws=99) for _ in range(400)]
    inside = sum(fit.alpha_low <= -0.34 <= fit.alpha_high for fit in fits)
    assert 0.92 <= inside / 400 <= 0.98
    assert sum(fit.p_value <= 0.05 for fit in fits) / 400 <= 0.09


def test_figure_has_six_panels_and_says_n(table):
    """The six panels of the paper's figure 2, each with labels, units and the items of the measured points."""
    figure = theory_figure(table, th.theory_summary(table), c=1e8, alpha=-0.34)
    assert {ax.get_ylabel() for ax in figure.axes} == {label for label, _, _ in PANELS.values()}
    texts = [t.get_text() for t in figure.axes[2].get_legend().get_texts()]
    assert "simulated, n = 100" in texts


def test_unknown_panel_lists_the_choices(table):
    """A metric that has no panel is refused with those that have one."""
    with pytest.raises(AnalysisError, match="accuracy"):
        theory_panel(table, metric="f1")


def test_fit_of_measured_curves_from_the_command_line(tmp_path):
    """A planted curve comes back with its interval and is not rejected; a jump in one size is; a flat one says why not."""
    import pandas as pd
    from click.testing import CliRunner

    from bigbench_meta.cli import main

    scale, rng = np.logspace(6, 11, 9), np.random.default_rng(5)
    truth = np.exp(-5 * (scale / 1e8) ** -0.34)
    curves = {"planted": rng.binomial(500, truth) / 500, "jump": np.where(scale > 1e9, 0.96, 0.04), "flat": np.zeros(9)}
    rows = [(task, *point, 500) for task, curve in curves.items() for point in zip(scale, curve, strict=True)]
    path = tmp_path / "c.csv"
    pd.DataFrame(rows, columns=["task", "params", "em", "n_items"]).to_csv(path, index=False)
    done = CliRunner().invoke(main, ["theory", "--fit", str(path), "--length", "5", "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    fits = pd.read_csv(tmp_path / "out" / "tables" / "theory_fits.csv").set_index("task")
    assert fits.loc["planted", "alpha_low"] < -0.34 < fits.loc["planted", "alpha_high"]
    assert fits.loc["planted", "c_low"] < 1e8 < fits.loc["planted", "c_high"]
    assert fits.loc["planted", "p_value"] > 0.05 > fits.loc["jump", "p_value"]
    assert "jump, all models: alpha" in done.stderr
    assert "does not fit" in done.stderr
    assert "flat, all models: no fit (flat)." in done.stderr
    path.write_text("params,em\n1,0.5\n")
    bad = CliRunner().invoke(main, ["theory", "--fit", str(path), "--out", str(tmp_path / "other")])
    assert bad.exit_code == 1
    assert "no column for n_items" in bad.stderr
