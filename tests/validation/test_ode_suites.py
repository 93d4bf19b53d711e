"""Test sets of ordinary differential equations, stiff and not, through `js.solve` against scipy at tight tolerance."""

from collections.abc import Callable

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import jaxsim as js


class Problem(js.Equation):
    """y' = f(t, y) on a point."""

    function: Callable = eqx.field(static=True)

    def nonlinear(self, t, u):
        return js.pointwise(lambda y: jnp.asarray(self.function(t, y)), u)


def chain(t, y):
    return jnp.concatenate([-y[:1], y[:-2] - y[1:-1], y[-2:-1]])


def weighted_chain(t, y):
    i = jnp.arange(1, 10)
    return jnp.concatenate([-y[:1], (i[:-1] * y[:-2]) - (i[1:] * y[1:-1]), 9 * y[-2:-1]])


def row(t, y):
    padded = jnp.pad(y, 1)
    return padded[2:] - 2 * y + padded[:-2]


def orbit(t, y):
    cube = (y[0] ** 2 + y[1] ** 2) ** 1.5
    return jnp.stack([y[2], y[3], -y[0] / cube, -y[1] / cube])


def spiral(t, y):
    radius = jnp.hypot(y[0], y[1])
    return jnp.stack([-y[1] - y[0] * y[2] / radius, y[0] - y[1] * y[2] / radius, y[0] / radius])


def bessel(t, y):
    return jnp.stack([y[1], -(y[1] / (t + 1) + (1 - 0.25 / (t + 1) ** 2) * y[0])])


MASSES = np.array([0.000954786104043, 0.000285583733151, 0.0000437273164546, 0.0000517759138449, 0.00000277777777778])
PLANETS = [
    [3.42947415189, 6.64145542550, 11.2630437207, -30.1552268759, -21.1238353380],
    [3.35386959711, 5.97156957878, 14.6952576794, 1.65699966404, 28.4465098142],
    [1.35494901715, 2.18231499728, 6.27960525067, 1.43785752721, 15.3882659679],
    [-0.557160570446, -0.415570776342, -0.325325669158, -0.024047625417, -0.176860753121],
    [0.505696783289, 0.365682722812, 0.189706021964, -0.287659532608, -0.216393453025],
    [0.230578543901, 0.169143213293, 0.087726532278, -0.117219543175, -0.014864789309],
]


def planets(t, y):
    """The five outer planets around the sun, with the sun's own motion in the indirect terms."""
    place, speed = y.reshape(2, 3, 5)
    pull = place / jnp.sum(place**2, 0) ** 1.5
    apart = place[:, None, :] - place[:, :, None]  # from planet j to planet k
    cubes = (jnp.sum(apart**2, 0) + jnp.eye(5)) ** 1.5
    mutual = jnp.sum(MASSES * (apart / cubes - (1 - jnp.eye(5)) * pull[:, None, :]), -1)
    return jnp.concatenate([speed.ravel(), 2.95912208286 * (mutual - (1.00000597682 + MASSES) * pull).ravel()])


def first(size):
    return np.eye(size)[0]


def ellipse(eccentricity):
    return [1 - eccentricity, 0, 0, np.sqrt((1 + eccentricity) / (1 - eccentricity))]


# Hull, Enright, Fellen and Sedgwick, SIAM J. Numer. Anal. 9, 603 (1972), from 0 to 20
ORDINARY = {
    "A1": (lambda t, y: -y, [1]),
    "A2": (lambda t, y: -(y**3) / 2, [1]),
    "A3": (lambda t, y: y * jnp.cos(t), [1]),
    "A4": (lambda t, y: y / 4 * (1 - y / 20), [1]),
    "A5": (lambda t, y: (y - t) / (y + t), [4]),
    "B1": (lambda t, y: jnp.stack([2 * (y[0] - y[0] * y[1]), -(y[1] - y[0] * y[1])]), [1, 3]),
    "B2": (lambda t, y: jnp.stack([y[1] - y[0], y[0] - 2 * y[1] + y[2], y[1] - y[2]]), [2, 0, 1]),
    "B3": (lambda t, y: jnp.stack([-y[0], y[0] - y[1] ** 2, y[1] ** 2]), [1, 0, 0]),
    "B4": (spiral, [3, 0, 0]),
    "B5": (lambda t, y: jnp.stack([y[1] * y[2], -y[0] * y[2], -0.51 * y[0] * y[1]]), [0, 1, 1]),
    "C1": (chain, first(10)),
    "C2": (weighted_chain, first(10)),
    "C3": (row, first(10)),
    "C4": (row, first(51)),
    "C5": (planets, np.ravel(PLANETS)),
    "D1": (orbit, ellipse(0.1)),
    "D2": (orbit, ellipse(0.3)),
    "D3": (orbit, ellipse(0.5)),
    "D4": (orbit, ellipse(0.7)),
    "D5": (orbit, ellipse(0.9)),
    "E1": (bessel, [0.6713967071418030, 0.09540051444747446]),
    "E2": (lambda t, y: jnp.stack([y[1], (1 - y[0] ** 2) * y[1] - y[0]]), [2, 0]),
    "E3": (lambda t, y: jnp.stack([y[1], y[0] ** 3 / 6 - y[0] + 2 * jnp.sin(2.78535 * t)]), [0, 0]),
    "E4": (lambda t, y: jnp.stack([y[1], 0.032 - 0.4 * y[1] ** 2]), [30, 0]),
    "E5": (lambda t, y: jnp.stack([y[1], jnp.sqrt(1 + y[1] ** 2) / (25 - t)]), [0, 0]),
}
EXACT = {
    "A1": lambda t: np.exp(-t),
    "A2": lambda t: 1 / np.sqrt(1 + t),
    "A3": lambda t: np.exp(np.sin(t)),
    "A4": lambda t: 20 / (1 + 19 * np.exp(-t / 4)),
}


def scipy_solution(function, y0, t1, times, method="DOP853", **tolerances):
    rate = jax.jit(function)
    jacobian = jax.jit(jax.jacfwd(function, argnums=1))
    options = {"jac": lambda t, y: np.asarray(jacobian(t, y))} if method == "Radau" else {}
    solution = solve_ivp(lambda t, y: np.asarray(rate(t, y)), (0.0, t1), y0, method, times, **tolerances, **options)
    assert solution.success
    return solution.y.T


def ordinary(name):
    function, y0 = ORDINARY[name]
    y0, times = np.asarray(y0, float), np.linspace(2.0, 20.0, 10)
    solution = js.solve(Problem(function), js.Point().field(y0), t1=20.0, saveat=times, rtol=1e-9, atol=1e-11,
                        solver=dfx.Dopri8())  # fmt: skip
    reference = scipy_solution(function, y0, 20.0, times, rtol=3e-14, atol=1e-15)
    if name in EXACT:
        np.testing.assert_allclose(reference[:, 0], EXACT[name](times), rtol=1e-11, atol=1e-14)
    return np.max(np.abs(solution.ys.values - reference)) / np.max(np.abs(reference))


def test_a_problem_with_an_exact_solution():
    assert ordinary("A3") < 2e-8


@pytest.mark.slow
@pytest.mark.parametrize("name", ORDINARY)
def test_problems_that_are_not_stiff(name):
    assert ordinary(name) < 2e-8


def robertson(t, y):
    slow, fast, pair = 0.04 * y[0], 3e7 * y[1] ** 2, 1e4 * y[1] * y[2]
    return jnp.stack([pair - slow, slow - pair - fast, fast])


def van_der_pol(t, y):
    return jnp.stack([y[1], 1000 * ((1 - y[0] ** 2) * y[1]) - y[0]])


def oregonator(t, y):
    a, b, c = y
    return jnp.stack([77.27 * (b + a * (1 - 8.375e-6 * a - b)), (c - (1 + a) * b) / 77.27, 0.161 * (a - c)])


def growth_of_plants(t, y):
    """HIRES: eight reactants of a plant's response to light."""
    gain = 280 * y[5] * y[7]
    return jnp.stack([
        -1.71 * y[0] + 0.43 * y[1] + 8.32 * y[2] + 0.0007,
        1.71 * y[0] - 8.75 * y[1],
        -10.03 * y[2] + 0.43 * y[3] + 0.035 * y[4],
        8.32 * y[1] + 1.71 * y[2] - 1.12 * y[3],
        -1.745 * y[4] + 0.43 * y[5] + 0.43 * y[6],
        -gain + 0.69 * y[3] + 1.71 * y[4] - 0.43 * y[5] + 0.69 * y[6],
        gain - 1.81 * y[6],
        -gain + 1.81 * y[6],
    ])  # fmt: skip


def prothero_robinson(t, y):
    return -1e5 * (y - jnp.cos(t)) - jnp.sin(t)


# Hairer and Wanner, Solving Ordinary Differential Equations II (1996), sections IV.1, IV.10 and IV.15
STIFF = {
    "Robertson": (robertson, [1, 0, 0], 100.0, 1e-11),
    "van der Pol": (van_der_pol, [2, 0], 1500.0, 1e-9),
    "Oregonator": (oregonator, [1, 2, 3], 30.0, 1e-9),
    "HIRES": (growth_of_plants, [1, 0, 0, 0, 0, 0, 0, 0.0057], 321.8122, 1e-11),
    "Prothero-Robinson": (prothero_robinson, [1], 10.0, 1e-10),
}


def stiff(name, solver):
    function, y0, t1, atol = STIFF[name]
    y0, times = np.asarray(y0, float), np.linspace(0.1, 1, 10) * t1
    solution = js.solve(Problem(function), js.Point().field(y0), t1=t1, saveat=times, rtol=1e-7, atol=atol,
                        solver=solver, max_steps=2**16)  # fmt: skip
    reference = scipy_solution(function, y0, t1, times, "Radau", rtol=1e-11, atol=1e-3 * atol)
    if name == "Prothero-Robinson":
        np.testing.assert_allclose(reference[:, 0], np.cos(times), atol=1e-9)
    return np.asarray(solution.ys.values), reference


@pytest.mark.slow
def test_robertson_in_a_stiff_solver():
    """Three reactions over seven orders of magnitude; the mass of all species is one."""
    values, reference = stiff("Robertson", dfx.Kvaerno5())
    np.testing.assert_allclose(values, reference, rtol=1e-5)
    np.testing.assert_allclose(np.sum(values, 1), 1, rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", STIFF)
@pytest.mark.parametrize("solver", [dfx.Kvaerno5(), dfx.Kvaerno3()], ids=["Kvaerno5", "Kvaerno3"])
def test_stiff_problems(name, solver):
    values, reference = stiff(name, solver)
    scale = np.max(np.abs(reference), axis=0)
    assert np.max(np.abs(values - reference) / scale) < 1e-3
