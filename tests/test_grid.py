import dataclasses

import numpy as np
import pytest

import jaxsim as js


def test_one_number_serves_all_axes_and_axes_may_differ():
    grid = js.Grid((8, 6), lower=0.0, upper=(2.0, 3.0))
    assert grid.lower == (0.0, 0.0)
    assert grid.lengths == (2.0, 3.0)
    assert grid.spacing == (0.25, 0.5)
    assert grid.volume == 6.0
    assert js.Grid(8).shape == (8,) and js.Grid(2).shape == (2,)


def test_grids_are_values():
    assert js.Grid((8, 8)) == js.Grid((8, 8), 0.0, (1.0, 1.0))
    assert len({js.Grid(8), js.Grid(8), js.Grid(9)}) == 2
    assert js.Grid((8, 4)).refine(2) == js.Grid((16, 8))
    spread = (None, js.TanhStretching(1.5))
    assert js.Grid((8, 5), -1.0, (1.0, 3.0), spread).refine((0.5, 1.5)) == js.Grid((4, 8), -1.0, (1.0, 3.0), spread)
    assert repr(js.Grid(8, 0, 2)) == "Grid(shape=(8,), lower=(0), upper=(2))"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(shape=()), "1, 2 or 3 axes"),
        (dict(shape=(4, 4, 4, 4)), "1, 2 or 3 axes"),
        (dict(shape=(1, 8)), "whole number of at least 2"),
        (dict(shape=(8.5,)), "whole number"),
        (dict(shape=8, lower=1.0, upper=1.0), "must exceed"),
        (dict(shape=(8, 8), lower=(0.0, 0.0, 0.0)), "one per axis"),
        (dict(shape=8, upper=float("nan")), "finite"),
        (dict(shape=(8, 8), stretching=(js.TanhStretching(1.0),)), "per axis \\(2\\)"),
        (dict(shape=(8, 8), stretching=(js.TanhStretching(1.0), 2.0)), "per axis \\(2\\)"),
    ],
)
def test_bad_grids_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        js.Grid(**arguments)


def test_cells_fill_the_box():
    grid = js.Grid((4, 5), (-1.0, 2.0), (1.0, 5.0), (None, js.SinhStretching(2.0)))
    np.testing.assert_allclose(grid.faces(0), [-1.0, -0.5, 0.0, 0.5, 1.0])
    np.testing.assert_allclose(grid.centers(0), [-0.75, -0.25, 0.25, 0.75])
    np.testing.assert_array_equal(grid.widths(0), [0.5] * 4)
    stretched = 2 + 3 * np.sinh(2 * np.arange(6) / 5) / np.sinh(2)
    np.testing.assert_allclose(grid.faces(1), stretched)
    assert grid.faces(1)[0] == 2.0 and grid.faces(1)[-1] == 5.0
    np.testing.assert_allclose(grid.centers(1), (stretched[1:] + stretched[:-1]) / 2)
    np.testing.assert_allclose(grid.widths(1), np.diff(stretched))
    assert not grid.uniform and js.Grid((4, 5)).uniform and "SinhStretching" in repr(grid)
    assert (grid.axis(1), grid.axis(-2)) == (1, 0)
    for index in (2, -3):
        with pytest.raises(ValueError, match="has 2 axes"):
            grid.axis(index)


@dataclasses.dataclass(frozen=True)
class Folded(js.Stretching):
    """Runs back in the middle."""

    def __call__(self, s):
        return s + np.sin(2 * np.pi * s)


def test_cells_that_fold_are_refused():
    with pytest.raises(ValueError, match="folds axis 1"):
        js.Grid((8, 8), stretching=(None, Folded())).faces(1)


def test_stretchings_are_as_wide_as_they_say():
    s, h = np.linspace(0, 1, 2001), 1 / 2000
    for strength in (0.5, 2.0):
        x = js.TanhStretching(strength)(s)
        np.testing.assert_allclose(x, 1 - x[::-1], atol=1e-15)
        slope = np.gradient(x, h)
        np.testing.assert_allclose(slope[1000] / slope[0], np.cosh(strength) ** 2, rtol=2 * strength * h)
        np.testing.assert_allclose(slope[1000], strength / np.tanh(strength), rtol=1e-5)
        for focus in (0.0, 0.3, 1.0):
            x = js.SinhStretching(strength, focus)(s)
            np.testing.assert_allclose(x[[0, -1]], [0, 1], atol=1e-12)
            slope = np.gradient(x, h)
            smallest = np.argmin(slope)
            assert np.all(slope > 0) and abs(x[smallest] - focus) < 2e-3
            curved = np.gradient(slope[10:-10], h)  # x'' = beta^2 (x - focus)
            np.testing.assert_allclose(curved[5:-5], strength**2 * (x - focus)[15:-15], atol=1e-3)
    for make in (js.TanhStretching, js.SinhStretching):
        for strength in (0.0, -1.0, np.inf):
            with pytest.raises(ValueError, match="must be positive"):
                make(strength)
    for focus in (-0.1, 1.1):
        with pytest.raises(ValueError, match="in \\[0, 1\\]"):
            js.SinhStretching(1.0, focus)
