"""Twins: a run said in other units, mirrored, later or in another way of calling gives the same answer.

The tables say how every parameter of the catalog changes with the units of length, time and the state, and under
mirrors. What has a fixed scale (1 in `1 - u`, or the coefficient 1 of a Laplacian) has no exponent, and twins that
would change nothing are left out.
"""

import dataclasses
import functools

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from catalog import ALL, TWO_PI, wave_sum

import jaxsim as js
from jaxsim import equations as eq
from jaxsim.integrate import ETDRK2, IMEXRK2

STEPS, DT, NODES = 2, 0.05, 8
QUICK = {  # of each kind, what compiles fast; the rest is among the slow tests
    "advection per axis", "wave", "Burgers 1", "Korteweg-de Vries", "vorticity",
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
    "wave_number": (-1, 0, 0), "waves": PURE, "amplitude": (1, -2, 0), "directions": PURE, "phases": PURE,
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
VECTORS = {"velocity", "mean_flow", "gradient", "mean_field", "waves", "directions"}  # where they have axes
UPRIGHT = {"Boussinesq"}  # gravity tells its axes apart
LINEAR = [name for name, (*_, degree) in ALL.items() if degree == 1]
DEPENDS_ON_TIME = {"vorticity", "velocity 2", "passive scalar", "Boussinesq", "magnetohydrodynamics"}


def some_slow(names, quick=frozenset(QUICK)):
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


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
    [pytest.param(name, 1e3, marks=[pytest.mark.slow] * (name not in QUICK)) for name in ALL]
    + [(name, 1e-3) for name in ("Burgers 1", "wave")],
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
        return leaf * sign("xy" if key == "waves" else ODD.get(name, {}).get(key, ""), axes)

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


@pytest.mark.parametrize(
    ("name", "oblong"),
    [("diffusion per axis", True), pytest.param("Burgers 2", True, marks=pytest.mark.slow)]
    + [pytest.param(name, False, marks=[pytest.mark.slow] * (name not in QUICK))
       for name in ALL if ALL[name][1] > 1 and name not in UPRIGHT],
)  # fmt: skip
def test_axes_exchanged(name, oblong):
    equation, dimension, *_ = ALL[name]

    def change(key, leaf, path):
        if leaf.ndim and leaf.shape[-1] == dimension and key in VECTORS | {"diffusivity"}:
            return jnp.concatenate([leaf[..., 1::-1], leaf[..., 2:]], -1)
        return leaf * (-1.0 if ODD.get(name, {}).get(key) == "xy" else 1.0)

    # Kolmogorov's force knows its axis: left out in both runs.
    free = parameters(equation, lambda key, leaf, path: leaf * (0 if key == "waves" and not leaf.ndim else 1))
    box = dict(nodes=(8, 10), sides=(1.0, 2.0)) if oblong else {}
    u = state(name, **box)
    other = state(name, **{key: pair[::-1] for key, pair in box.items()}).space
    got = traced(parameters(free, change), other.field(exchanged(name, u.values))).values
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
SIZES = 2.0**-66, 2.0**66  # about 1e-20 and 1e20, whose squares float32 lacks; powers of two round nothing


@pytest.mark.parametrize("name", LINEAR)
def test_sizes_in_float32(name):
    u = state(name, dtype=jnp.float32)
    run = lambda size: np.asarray(rollout(ALL[name][0], u.space.field(u.values * size), 2.0**-6).values, float)
    for size in SIZES:
        np.testing.assert_array_equal(run(size) / size, run(1.0))


# -- ways of calling ---------------------------------------------------------------------------------------------------
def rebuilt(equation, convert):
    """The equation made again from its numbers."""
    arguments = {}
    for item in dataclasses.fields(equation):
        value = getattr(equation, item.name)
        arguments[item.name] = convert(np.asarray(value)) if eqx.is_array(value) else value
    return type(equation)(**arguments)


@pytest.mark.parametrize("name", some_slow(ALL, {"Korteweg-de Vries"}))
def test_ways_of_calling(name):
    equation, u = ALL[name][0], state(name)
    wanted = rollout(equation, u).values
    for convert in (np.ndarray.tolist, jnp.asarray, np.asarray):
        np.testing.assert_array_equal(rollout(rebuilt(equation, convert), u).values, wanted)
    for got in (jax.jit(lambda u: rollout(equation, u))(u), traced(equation, u), rollout(equation, u, jnp.asarray(DT))):
        same(got.values, wanted, 1e-12, u.space.dimension, u.values)


# -- between walls and at a point --------------------------------------------------------------------------------------
class Twin:
    """The units that a run is said in, and how it is shown: standard coordinates are those of the first twin."""

    def __init__(self, length=1.0, time=1.0, size=1.0, mirrored=False, exchanged=False, box=(2.0,), dtype=None):
        self.length, self.time, self.size, self.box, self.dtype = length, time, size, box, dtype
        self.mirrored, self.exchanged = mirrored, exchanged

    def turned(self, pairs):
        """Something per axis, such as numbers of cells or conditions (lower, upper), in the order of this twin."""
        first = pairs[0][::-1] if self.mirrored and isinstance(pairs[0], tuple) else pairs[0]
        pairs = (first, *pairs[1:])
        return pairs[::-1] if self.exchanged else pairs

    def grid(self, *shape):
        return js.Grid(self.turned(shape), 0.0, tuple(self.length * np.array(self.turned(self.box))))

    def standard(self, *x):
        x = [c / self.length for c in x]
        x = x[::-1] if self.exchanged else x
        return [self.box[0] - x[0], *x[1:]] if self.mirrored else x

    def scalar(self, function, unit=1.0):
        """A function of standard time and place, as this twin sees it."""
        return lambda t, *x: unit * function(t / self.time, *self.standard(*x))

    def vector(self, function):
        def seen(t, *x):
            u = function(t / self.time, *self.standard(*x))
            u = [-u[0] if self.mirrored else u[0], *u[1:]]
            return tuple(c * (self.length / self.time) for c in (u[::-1] if self.exchanged else u))

        return seen

    def field(self, space, function):
        u = space.field(lambda *x: function(0.0, *x))
        return jax.tree.map(lambda a: a if self.dtype is None else a.astype(self.dtype), u)

    def back(self, values, unit=1.0, vector=False):
        """Values of this twin as the first twin gives them."""
        values, d = np.asarray(values, float) / unit, len(self.box)
        if self.exchanged:
            values = np.swapaxes(values, -1, -2)
            values = values[::-1] if vector else values
        if self.mirrored:
            values = np.flip(values, -d)
            values = values * np.reshape([-1.0] + [1.0] * (d - 1), (-1, *(1,) * d)) if vector else values
        return values


def wall_value(t, *x):
    """Repeats itself after a time of 4."""
    return 0.7 + 0.4 * jnp.sin(0.5 * np.pi * jnp.mod(t, 4.0)) + 0 * x[0]


def rod(**said):
    twin = Twin(**said)
    ends = js.Dirichlet(twin.scalar(wall_value, twin.size)), js.Robin(1.0, 0.3 * twin.length, 0.2 * twin.size)
    space = js.FiniteDifference(twin.grid(10), twin.turned((ends,)))
    equation = eq.Diffusion(0.2 * twin.length**2 / twin.time)
    u = twin.field(space, twin.scalar(lambda t, x: jnp.cos(2 * x) + 0.3 * x, twin.size))
    return equation, u, twin.time, ETDRK2(), lambda u: [twin.back(u.values, twin.size)]


def plate(**said):
    twin = Twin(box=(2.0, 1.0), **said)
    sides = (
        (js.Dirichlet(twin.scalar(wall_value, twin.size)), js.Dirichlet(0.1 * twin.size)),
        (js.Neumann(0.5 * twin.size / twin.length), js.Dirichlet(twin.scalar(lambda t, x, y: 0.2 * x, twin.size))),
    )
    space = js.FiniteDifference(twin.grid(8, 6), twin.turned(sides))
    equation = eq.Diffusion(twin.turned(np.array([0.2, 0.1]) * twin.length**2 / twin.time))
    u = twin.field(space, twin.scalar(lambda t, x, y: jnp.cos(2 * x + y) + 0.3 * x, twin.size))
    return equation, u, twin.time, ETDRK2(), lambda u: [twin.back(u.values, twin.size)]


def ground(**said):
    twin = Twin(**said)
    equation = eq.DiffusionSorption(0.05 * twin.length**2 / twin.time, sorption=3.5e-4 * twin.size ** (1 - 0.874),
                                    shift=1e-6 * twin.size)  # fmt: skip
    ends = js.Dirichlet(twin.size), js.Robin(1.0, 0.3 * twin.length)
    u = twin.field(js.FiniteDifference(twin.grid(10), twin.turned((ends,))),
                   twin.scalar(lambda t, x: jnp.exp(-x) * (1.5 + jnp.sin(3 * x)), twin.size))  # fmt: skip
    return equation, u, twin.time, dfx.Heun(), lambda u: [twin.back(u.values, twin.size)]


def gas(**said):
    twin = Twin(**said)
    slowness, size = twin.time / twin.length, twin.size
    equation = eq.GasChromatograph(0.8 / twin.length, 0.6 / twin.time, 0.5 * slowness, 0.1 * twin.length)
    ends = js.Dirichlet(twin.scalar(wall_value, size)), js.Neumann()
    u = twin.field(js.FiniteDifference(twin.grid(10), (ends,)),
                   twin.scalar(lambda t, x: jnp.stack([jnp.exp(-x), slowness * jnp.sin(x) ** 2]), size))  # fmt: skip
    return equation, u, twin.time, ETDRK2(), lambda u: [u.values[0] / size, u.values[1] / (size * slowness)]


def channel(**said):
    """Pulsating flow through a channel with a wall that moves."""
    twin = Twin(box=(2.0, 1.0), **said)
    inflow = js.Inflow(twin.vector(lambda t, x, y: (4 * y * (1 - y) * wall_value(t, x), 0.2 * y * (1 - y))))
    sides = (inflow, js.Outflow()), (js.NoSlip(), js.NoSlip(twin.vector(lambda t, x, y: (0.3 + 0 * x, 0 * x))))
    space = js.Staggered(twin.grid(8, 6), twin.turned(sides))
    u = twin.field(space, twin.vector(lambda t, x, y: (jnp.sin(3 * y) + 0.2 * x, jnp.cos(2 * x) * y)))
    equation = eq.NavierStokesVelocity(0.03 * twin.length**2 / twin.time, 0.2 / twin.time)
    return equation, u, twin.time, dfx.Heun(), lambda u: [twin.back(u.values, twin.length / twin.time, True)]


def cell(**said):
    """Convection between a warm and a cold plate."""
    twin = Twin(box=(2.0, 1.0), **said)
    space = js.Staggered(twin.grid(8, 6), twin.turned(((js.FreeSlip(), js.NoSlip()), (js.NoSlip(), js.NoSlip()))))
    plates = js.Dirichlet(0.5 * twin.size), js.Dirichlet(-0.5 * twin.size)
    sides = twin.turned(((js.Neumann(0.2 * twin.size / twin.length), js.Neumann()), plates))
    heat = space.scalar(sides)
    u = twin.field(space, twin.vector(lambda t, x, y: (jnp.sin(3 * y) * x, jnp.cos(2 * x) * y)))
    theta = twin.field(heat, twin.scalar(lambda t, x, y: 0.5 - y + 0.2 * jnp.sin(3 * x), twin.size))
    diffusion, push = twin.length**2 / twin.time, twin.length / (twin.time**2 * twin.size)
    equation = eq.ThermalConvection(0.05 * diffusion, 0.07 * diffusion, 3.0 * push)
    back = lambda u: [twin.back(u[0].values, twin.length / twin.time, True), twin.back(u[1].values, twin.size)]
    return equation, (u, theta), twin.time, IMEXRK2(), back


def animals(**said):
    twin = Twin(box=(), **said)
    rate, meeting = 1 / twin.time, 1 / (twin.time * twin.size)
    equation = eq.LotkaVolterra(1.1 * rate, 0.4 * meeting, 0.4 * rate, 0.1 * meeting)
    u = js.Point().field(jnp.array([3.0, 2.0], twin.dtype) * twin.size)
    return equation, u, twin.time, dfx.Heun(), lambda u: [u.values / twin.size]


RUNS = {run.__name__: run for run in (rod, plate, ground, gas, channel, cell, animals)}
# Temperature and concentrations have a size of their own; speeds are length over time.
SAID = {
    "length": ["rod", "plate", "ground", "gas", "channel", "cell"],
    "time": list(RUNS),
    "size": ["rod", "plate", "ground", "gas", "cell", "animals"],
    "mirrored": ["rod", "plate", "ground", "channel", "cell"],
    "exchanged": ["plate", "channel"],
}


@functools.cache
def said(name, t0=0.0, **how):
    equation, u, time, solver, back = RUNS[name](**how)
    end = js.rollout(equation, u, dt=2.0**-6 * time, steps=STEPS, t0=t0, solver=solver)
    return back(end), back(u)


FLOWS = {"channel", "cell"}  # take long to compile
QUICK_FLOWS = {("size", "cell"), ("mirrored", "cell")}


@pytest.mark.parametrize(
    ("how", "name"),
    [
        pytest.param(how, name, marks=[pytest.mark.slow] * (name in FLOWS and (how, name) not in QUICK_FLOWS))
        for how, names in SAID.items()
        for name in names
    ],
)
def test_runs_between_walls_and_at_a_point(how, name):
    wanted, start = said(name)
    got, _ = said(name, **{how: True if how in ("mirrored", "exchanged") else 1e3})
    for a, b, c in zip(got, wanted, start, strict=True):
        same(a, b, 1e-11, min(b.ndim, 1), c)


@pytest.mark.parametrize("name", some_slow(RUNS, set(RUNS) - FLOWS))
def test_runs_between_walls_and_at_a_point_later(name):
    """The stages of these solvers look at whole steps only, which float32 tells apart at 1e5 as well."""
    runs = [said(name, t0, dtype=jnp.float32)[0] for t0 in (0.0, 1e5)]
    jax.tree.map(np.testing.assert_array_equal, *runs)


SYMMETRIES = {  # systems at a point, and what leaves them as they are
    "Thomas": (eq.Thomas(), lambda u: jnp.roll(u, 1)),
    "Halvorsen": (eq.Halvorsen(), lambda u: jnp.roll(u, 1)),
    "Lorenz63": (eq.Lorenz63(), lambda u: u * np.array([-1.0, -1.0, 1.0])),
    "Lorenz96": (eq.Lorenz96(), lambda u: jnp.roll(u, 3)),
    "Henon-Heiles": (eq.HenonHeiles(), lambda u: u * np.array([-1.0, 1.0, -1.0, 1.0])),
}


@pytest.mark.parametrize("name", SYMMETRIES)
def test_symmetries_at_a_point(name):
    equation, turned = SYMMETRIES[name]
    u = equation.initial()
    u = js.Point().field(u.values + 0.1 * jnp.arange(u.values.size))
    run = lambda values: js.rollout(equation, js.Point().field(values), dt=0.01, steps=20, solver=dfx.Heun()).values
    same(run(turned(u.values)), turned(run(u.values)), 1e-11, 1, u.values)


class Oscillator(js.Equation):
    def nonlinear(self, t, state):
        x, v = state
        return v, -x


@pytest.mark.parametrize("name", some_slow(["rod at rest", "wave", "oscillator"], {"rod at rest"}))
def test_sizes_in_float32_with_a_tolerance(name):
    if name == "rod at rest":
        equation, solver = eq.Diffusion(0.2), dfx.Tsit5()
        u = js.FiniteDifference(js.Grid(8), ((js.Dirichlet(), js.Neumann()),)).field(lambda x: x * jnp.exp(-x))
    elif name == "wave":
        equation, solver, u = ALL[name][0], ETDRK2(), state(name)
    else:
        equation, solver, u = Oscillator(), dfx.Tsit5(), js.Point().field(jnp.array([1.0, 0.5]))
    values = u.values.astype(jnp.float32)
    run = lambda size: js.solve(equation, u.space.field(values * size), t1=0.5, rtol=1e-4, solver=solver)
    one = run(1.0)
    for size in SIZES:
        got = run(size)
        assert got.stats["num_steps"] == one.stats["num_steps"]
        np.testing.assert_array_equal(got.ys.values / size, one.ys.values)
