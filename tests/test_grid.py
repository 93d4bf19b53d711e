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
        (dict(shape=(1, 8)), "at least 2 cells"),
        (dict(shape=(8.5,)), "whole numbers"),
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
