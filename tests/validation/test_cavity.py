"""The lid-driven cavity: profiles of Ghia, Ghia and Shin (1982), extrema of spectral accuracy, and orders.

Tables I and II of Ghia et al., J. Comput. Phys. 48, 387 (1982), doi:10.1016/0021-9991(82)90058-4, have errors of
their own: at Re = 100 their least vertical velocity is -0.2453, where grid-converged solutions agree on -0.2538. So
the profiles are compared by their mean square distances, and the extrema with the values quoted from Botella and
Peyret, Comput. Fluids 27, 421 (1998), for Re = 1000 and from Marchi, Suero and Araki, J. Braz. Soc. Mech. Sci. Eng.
31 (2009), for Re = 100.
"""

import functools

import numpy as np
import pytest

from benchmarks import _ghia
from benchmarks.cavity import center_lines, extrema, solve

EXTREMA = {
    100: {"u min": -0.2140417, "v max": 0.1795728, "v min": -0.2538030},
    1000: _ghia.QUOTED,
}


@functools.cache
def flow(reynolds, cells, stretching=None):
    return solve(reynolds, cells, stretching)[0]


def distances(u, reynolds):
    """Root mean square distances of both profiles to those of Ghia et al."""
    horizontal, vertical = center_lines(u)
    pairs = (horizontal(_ghia.HEIGHTS), _ghia.HORIZONTAL), (vertical(_ghia.ABSCISSAE), _ghia.VERTICAL)
    return [float(np.sqrt(np.mean((found - np.array(table[reynolds])) ** 2))) for found, table in pairs]


def off(u, reynolds):
    """Distances of the extrema to the quoted ones."""
    found = extrema(u)
    return np.array([abs(found[name] - value) for name, value in EXTREMA[reynolds].items()])


@pytest.mark.slow
def test_cavity_on_a_coarse_grid():
    """Re = 100 on 24 x 24 cells: the second-order error is about one per cent of the lid's speed."""
    u = flow(100, 24)
    assert np.all(off(u, 100) < 0.01)
    assert max(distances(u, 100)) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("reynolds, tolerance, quoted", [(100, 0.005, 5e-4), (1000, 0.008, 8e-3)])
def test_cavity_at_full_resolution(reynolds, tolerance, quoted):
    u = flow(reynolds, 128)
    assert max(distances(u, reynolds)) < tolerance
    assert np.all(off(u, reynolds) < quoted)


@pytest.mark.slow
def test_order_and_extrapolation_of_the_cavity():
    """Errors of the extrema fall by four, and their extrapolation to no spacing meets the spectral values."""
    coarse, middle, fine = (np.array(list(extrema(flow(1000, n)).values())) for n in (32, 64, 128))
    order = np.log2((middle - coarse) / (fine - middle))
    assert np.all(order > 1.4) and np.all(order < 2.4)
    reference = np.array(list(_ghia.QUOTED.values()))
    np.testing.assert_allclose(fine + (fine - middle) / 3, reference, atol=1.5e-3)


@pytest.mark.slow
def test_cells_that_grow_from_the_walls_help():
    """At Re = 1000 the extrema on 64 x 64 stretched cells are better than on as many equal ones."""
    assert np.all(off(flow(1000, 64, 1.2), 1000) < off(flow(1000, 64), 1000))
