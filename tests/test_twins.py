"""Twins: a run said in other units, mirrored, later or in another way of calling gives the same answer.

The tables below say how every parameter of the catalog changes with the units of length, time and the state, and under
mirrors. What has a fixed scale (1 in `1 - u`, or the coefficient 1 of a Laplacian) has no exponent, and twins that would
change nothing are left out.
"""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from catalog import ALL, TWO_PI, wave_sum

import jaxsim as js
from jaxsim import equations as eq
from jaxsim.integrate import ETDRK2

STEPS, DT, NODES = 2, 0.05, 8
HEAVY = {  # take long to compile; each kind of twin keeps a lighter relative of theirs among the quick tests
    "Burgers 3", "velocity 3", "passive scalar", "shallow water", "magnetohydrodynamics", "FitzHugh-Nagumo",
    "reversible reaction", "Kuramoto-Sivashinsky 2", "Brusselator", "Klein-Gordon, cubic", "velocity 2",
}  # fmt: skip

# -- tables ------------------------------------------------------------------------------------------------------------
# Exponents of length, time and size of the state: of parameters by name ...
DIFFUSIVITY, SPEED, RATE, PURE = (2, -1, 0), (1, -1, 0), (0, -1, 0), (0, 0, 0)
UNITS = {
    "dt": (0, 1, 0), "state": (0, 0, 1),
    **dict.fromkeys(("diffusivity", "viscosity", "resistivity", "mobility"), DIFFUSIVITY),
    **dict.fromkeys(("velocity", "speed", "mean_flow", "mean_field"), SPEED),
    **dict.fromkeys(("drag", "rotation", "mass", "rate", "frequencies", "dissociation"), RATE),
    **dict.fromkeys(("decay_a", "decay_b", "decay_c"), RATE),
    **dict.fromkeys(("source_a", "source_b", "source_c"), (0, -1, 1)), "association": (0, -1, -1),
    "wave_number": (-1, 0, 0), "wave_vectors": (-1, 0, 0), "amplitude": (1, -2, 0), "directions": PURE, "phases": PURE,
    "width": (1, 0, 0), "gradient": (-1, 0, 1), "buoyancy": (1, -2, -1),
    "destabilization": DIFFUSIVITY, "hyperviscosity": (4, -1, 0),
}  # fmt: skip
# ... and where one equation differs. "state" is one entry for all components, or a list with one for each.
FLOW = {"state": [SPEED] * 3}
UNSCALED_TIME = {"dt": PURE, "diffusivity_u": (2, 0, 0), "diffusivity_v": (2, 0, 0), "state": PURE}  # sums like b + 1
OWN_UNITS = {
    "dispersion": {"dispersion": (3, -1, 0)},
    "hyperdiffusion": {"coefficient": (6, -1, 0)},
    "wave": {"state": [(0, 0, 1), (0, -1, 1)]},
    "Klein-Gordon": {"state": [(0, 0, 1), (0, -1, 1)]},
    "Klein-Gordon, cubic": {"state": [(0, 0, 1), (0, -1, 1)], "cubic": (0, -2, -2)},
    **dict.fromkeys(("Burgers 1", "Burgers 2", "Burgers 3"), {"state": SPEED}),
    "Korteweg-de Vries": {"nonlinearity": (1, -1, -1), "dispersion": (3, -1, 0)},
    "nonlinear Schrödinger": {"dispersion": DIFFUSIVITY, "nonlinearity": (0, -1, -2)},
    # Coefficients 1 in front of derivatives tie time to length, those of powers of u tie u to time.
    "Ginzburg-Landau": {
        "dt": (2, 0, 0), "growth": (-2, 0, 0), "linear_dispersion": PURE, "nonlinear_dispersion": PURE,
        "state": (-1, 0, 0),
    },
    "Swift-Hohenberg": {"dt": (4, 0, 0), "growth": (-4, 0, 0), "quadratic": (-2, 0, 0), "state": (-2, 0, 0)},
    **dict.fromkeys(("Kuramoto-Sivashinsky", "Kuramoto-Sivashinsky 2"), {"state": SPEED}),
    "Kuramoto-Sivashinsky, integral": {"state": DIFFUSIVITY},
    **dict.fromkeys(("Fisher", "Allen-Cahn", "Cahn-Hilliard"), {"state": PURE}),  # phases are 0 and 1, or -1 and 1
    "Gray-Scott": UNSCALED_TIME | {"feed": PURE, "kill": PURE},
    "Brusselator": UNSCALED_TIME | {"a": PURE, "b": PURE},
    "FitzHugh-Nagumo": UNSCALED_TIME | {"timescale": PURE, "a": PURE, "b": PURE, "stimulus": PURE},
    "shallow water": {"depth": (0, 0, 1), "gravity": (2, -2, -1), "state": [(0, 0, 1), SPEED, SPEED]},
    "vorticity": {"state": RATE},
    **dict.fromkeys(("velocity 2", "velocity 3"), {"state": SPEED}),
    "passive scalar": {"state": [RATE, (0, 0, 1)]},
    "Boussinesq": {"state": [RATE, (0, 0, 1)]},
    "magnetohydrodynamics": {"state": [RATE, DIFFUSIVITY]},
}  # fmt: skip

# Axes whose mirror changes the sign: of components of the state (all even when not named), of parameters.
ODD_STATE = {
    **dict.fromkeys(("Burgers 1", "Kuramoto-Sivashinsky"), ["x"]),
    **dict.fromkeys(("Burgers 2", "Kuramoto-Sivashinsky 2", "velocity 2"), ["x", "y"]),
    **dict.fromkeys(("Burgers 3", "velocity 3"), ["x", "y", "z"]),
    "shallow water": ["", "x", "y"],
    "vorticity": ["xy"],
    **dict.fromkeys(("passive scalar", "Boussinesq"), ["xy", ""]),
    "magnetohydrodynamics": ["xy", "xy"],
}
ODD = {
    "advection": {"velocity": "x"},
    "dispersion": {"dispersion": "x"},  # one number for all axes: mirrored in both at once
    "Korteweg-de Vries": {"nonlinearity": "x", "dispersion": "x"},
    "shallow water": {"rotation": "xy"},
    "Boussinesq": {"buoyancy": "y", "gradient": "y"},
}
VECTORS = {"velocity", "mean_flow", "gradient", "mean_field", "wave_vectors", "directions"}  # where they have axes
UPRIGHT = {"Boussinesq"}  # gravity tells its axes apart
LINEAR = [name for name, (*_, degree) in ALL.items() if degree == 1]
DEPENDS_ON_TIME = {"vorticity", "velocity 2", "passive scalar", "Boussinesq", "magnetohydrodynamics"}


def some_slow(names, slow=frozenset(HEAVY)):
    return [pytest.param(name, marks=pytest.mark.slow) if name in slow else name for name in names]


# -- runs --------------------------------------------------------------------------------------------------------------
def state(name, length=1.0, nodes=None, dtype=None, sides=1.0):
    """A smooth field for an equation of the catalog, on equal axes unless `nodes` and `sides` say otherwise."""
    equation, dimension, components, complex_values, degree = ALL[name]
    nodes = (NODES,) * dimension if nodes is None else nodes
    space = lambda length: js.Fourier(js.Grid(nodes, 0.0, tuple(length * TWO_PI * np.ones(dimension) * sides)),
                                      real=not complex_values).for_degree(degree)  # fmt: skip
    function = wave_sum(dimension, components, seed=len(name), complex_values=complex_values)
    u = space(1.0).field(lambda *x: function(0.0, *x))
    u = js.project(u) if isinstance(equation, eq.NavierStokesVelocity) else u
    return space(length).field(u.values if dtype is None else u.values.astype(dtype))


def rollout(equation, u0, dt=DT, t0=0.0):
    return js.rollout(equation, u0, dt=dt, steps=STEPS, t0=t0, solver=ETDRK2())


traced = eqx.filter_jit(rollout)


def same(got, wanted, rtol, dimension, start=None):
    """Close beside the largest value of each component, and moved from the start."""
    got, wanted = np.asarray(got), np.asarray(wanted)
    sizes = np.abs(wanted).max(axis=tuple(range(-dimension, 0)), keepdims=True)
    np.testing.assert_array_less(np.abs(got - wanted) / sizes, rtol)
    if start is not None:
        assert np.abs(wanted - start).max() > 1e-4 * np.abs(start).max()


def parameters(equation, change):
    """The equation with each array leaf changed by `change(name, leaf, path)`."""
    names = lambda path: [key.name for key in path if hasattr(key, "name")]
    return jax.tree_util.tree_map_with_path(lambda path, leaf: change(names(path)[-1], leaf, names(path)), equation)


# -- units -------------------------------------------------------------------------------------------------------------
def exponents(name, key):
    own = OWN_UNITS.get(name, {})
    return own[key] if key in own else UNITS[key]


def in_units(name, factors):
    """The equation, the factor of each component and the step in units of length, time and size of the state."""
    factor = lambda powers: float(np.prod(np.power(np.asarray(factors, float), powers)))
    equation, dimension, *_ = ALL[name]
    equation = parameters(equation, lambda key, leaf, _: leaf * factor(exponents(name, key)))
    powers = exponents(name, "state")
    sizes = np.array([factor(p) for p in powers]) if isinstance(powers, list) else np.array(factor(powers))
    return equation, sizes.reshape(sizes.shape + (1,) * dimension * sizes.ndim), DT * factor(exponents(name, "dt"))


def moves(name, unit):
    """Whether a unit changes anything: what has a fixed scale has no twin."""
    keys = ["state", "dt"]
    parameters(ALL[name][0], lambda key, leaf, _: keys.append(key))
    return any(np.atleast_2d(exponents(name, key))[:, unit].any() for key in keys)


def run_in_units(name, factors, run):
    equation, sizes, dt = in_units(name, factors)
    u = state(name, factors[0])
    return run(equation, u.space.field(u.values * sizes), dt).values / sizes


@pytest.mark.parametrize(
    ("name", "length"),
    [pytest.param(name, 1e3, marks=[pytest.mark.slow] * (name in HEAVY)) for name in ALL]
    + [(name, 1e-3) for name in ("advection", "wave", "Burgers 1", "Korteweg-de Vries", "Fisher", "Ginzburg-Landau")],
)
def test_units_of_length(name, length):
    """With the numbers known in one run and traced in the other."""
    u = state(name)
    wanted = traced(ALL[name][0], u).values
    same(run_in_units(name, (length, 1, 1), rollout), wanted, 1e-11, u.space.dimension, u.values)


@pytest.mark.parametrize("name", some_slow(name for name in ALL if moves(name, 1)))
def test_units_of_time(name):
    u = state(name)
    same(run_in_units(name, (1, 1e3, 1), traced), traced(ALL[name][0], u).values, 1e-11, u.space.dimension)


@pytest.mark.parametrize("name", some_slow(name for name in ALL if moves(name, 2)))
def test_units_of_the_state(name):
    u = state(name)
    same(run_in_units(name, (1, 1, 1e3), traced), traced(ALL[name][0], u).values, 1e-11, u.space.dimension)


# -- mirrors -----------------------------------------------------------------------------------------------------------
def by_component(numbers, values, dimension):
    """Numbers, one for all components or one each, that multiply values."""
    return np.reshape(numbers, (-1, *(1,) * dimension)) if values.ndim > dimension else numbers[0]


def sign(odd, axes):
    return (-1.0) ** sum("xyz"[axis] in odd for axis in axes)


def mirrored(name, u, axes):
    """The equation and the field as a mirror shows them; nodes begin at the mirror."""
    equation, dimension, *_ = ALL[name]

    def change(key, leaf, path):
        if key in VECTORS and leaf.ndim:
            return leaf * np.array([sign("x", [0]) if axis in axes else 1.0 for axis in range(dimension)])
        # Kolmogorov's force along x changes with y.
        return leaf * sign("xy" if key == "wave_number" and "forcing" in path else ODD.get(name, {}).get(key, ""), axes)

    values = u.values
    for axis in axes:
        values = jnp.roll(jnp.flip(values, axis - dimension), 1, axis - dimension)
    signs = [sign(odd, axes) for odd in ODD_STATE.get(name, [""])]
    return parameters(equation, change), u.space.field(values * by_component(signs, values, dimension))


@pytest.mark.parametrize("name", some_slow(ALL))
def test_mirrored(name):
    u = state(name)
    run = traced(ALL[name][0], u)
    axes = [(0, 1)] if name == "dispersion" else [(axis,) for axis in range(u.space.dimension)]
    for each in axes:
        equation, start = mirrored(name, u, each)
        same(traced(equation, start).values, mirrored(name, run, each)[1].values, 1e-11, u.space.dimension)


def exchanged(name, values):
    """Values with x and y exchanged, and the components that belong to them."""
    dimension, odd = ALL[name][1], ODD_STATE.get(name, [""])
    values = jnp.swapaxes(values, -dimension, 1 - dimension)
    if "x" in odd:
        x, y = odd.index("x"), odd.index("y")
        return values.at[np.array([x, y])].set(values[np.array([y, x])])
    return values * by_component([-1.0 if o == "xy" else 1.0 for o in odd], values, dimension)


@pytest.mark.parametrize("name", some_slow(name for name in ALL if ALL[name][1] > 1 and name not in UPRIGHT))
def test_axes_exchanged(name):
    equation, dimension, *_ = ALL[name]

    def change(key, leaf, path):
        if leaf.ndim and leaf.shape[-1] == dimension and key in VECTORS | {"diffusivity"}:
            return jnp.concatenate([leaf[..., 1::-1], leaf[..., 2:]], -1)
        return leaf * (-1.0 if ODD.get(name, {}).get(key) == "xy" else 1.0)

    # Kolmogorov's force knows its axis: left out in both runs.
    free = parameters(equation, lambda key, leaf, path: leaf * (0 if key == "wave_number" and "forcing" in path else 1))
    u = state(name)
    got = traced(parameters(free, change), u.space.field(exchanged(name, u.values))).values
    same(got, exchanged(name, traced(free, u).values), 1e-11, dimension)


# -- time --------------------------------------------------------------------------------------------------------------
class Periodic(eq.Force):
    """A force that float32 times repeat exactly."""

    force: eq.Force
    period: float = eqx.field(static=True, default=4.0)

    def __call__(self, t, *x):
        return self.force(jnp.mod(t, self.period), *x)


def periodic(equation):
    """With a force that repeats itself, and no drag on a mean flow."""
    if isinstance(equation, eq.PassiveScalar):
        return eqx.tree_at(lambda e: e.flow, equation, periodic(equation.flow))
    equation = eqx.tree_at(lambda e: e.forcing, equation, Periodic(equation.forcing))
    flow = isinstance(equation, eq.NavierStokesVorticity)
    return eqx.tree_at(lambda e: e.drag, equation, jnp.zeros(())) if flow else equation


@pytest.mark.parametrize("name", some_slow(ALL))
def test_later_in_float32(name):
    equation = periodic(ALL[name][0]) if name in DEPENDS_ON_TIME else ALL[name][0]
    u = state(name, dtype=jnp.complex64 if ALL[name][3] else jnp.float32)
    run = lambda t0: np.asarray(rollout(equation, u, 2.0**-6, t0).values)
    np.testing.assert_array_equal(run(0.0), run(1e5))
    assert np.array_equal(run(0.0), run(1.0)) != (name in DEPENDS_ON_TIME)


# -- float32 sizes -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", LINEAR)
def test_sizes_in_float32(name):
    u = state(name, dtype=jnp.float32)
    run = lambda size: np.asarray(rollout(ALL[name][0], u.space.field(u.values * jnp.float32(size)), 2.0**-6).values, float)
    for size in (1e-20, 1e20):
        same(run(size) / size, run(1.0), 1e-5, u.space.dimension)


# -- ways of calling ---------------------------------------------------------------------------------------------------
def rebuilt(equation, convert):
    """The equation made again from its numbers."""
    arguments = {}
    for item in dataclasses.fields(equation):
        value = getattr(equation, item.name)
        arguments[item.name] = convert(np.asarray(value)) if eqx.is_array(value) else value
    return type(equation)(**arguments)


QUICK = {"advection per axis", "Korteweg-de Vries", "Cahn-Hilliard", "nonlinear Schrödinger", "vorticity"}


@pytest.mark.parametrize("name", some_slow(ALL, set(ALL) - QUICK))
def test_ways_of_calling(name):
    equation, u = ALL[name][0], state(name)
    wanted = rollout(equation, u).values
    for convert in (np.ndarray.tolist, jnp.asarray, np.asarray):
        np.testing.assert_array_equal(rollout(rebuilt(equation, convert), u).values, wanted)
    for got in (jax.jit(lambda u: rollout(equation, u))(u), traced(equation, u), rollout(equation, u, jnp.asarray(DT))):
        same(got.values, wanted, 1e-12, u.space.dimension, u.values)
