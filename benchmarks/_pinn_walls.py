"""Evolution between walls, and chaos in time alone, by physics-informed networks."""

import dataclasses
from collections.abc import Callable
from functools import partial

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import jaxsim as js
from jaxsim import optimize, pinn
from jaxsim.constraints import Embedded, FromInitial, Saturating, VanishingOnBox
from jaxsim.nets import SIREN, Chain, Dense, FourierFeatures, Separable

from ._pinn_case import Case
from ._pinn_references import Reference, exact, relative
from ._pinn_steady import last_layer, time_of


class SecondOrder(js.Equation):
    """$u_{tt} = c^2 \\nabla^2 u - q\\,u^2 + f$, for the displacement alone."""

    speed: float | jax.Array = 1.0
    quadratic: float | jax.Array = 0.0
    source: Callable | None = None

    def residual(self, t, u: js.Field) -> js.Field:
        rate = u.space.rate
        left = rate(rate(u)) - self.speed**2 * js.laplacian(u) + self.quadratic * (u * u)
        return left if self.source is None else left - js.sample(self.source, t, u)


# -- the wave equation -------------------------------------------------------------------------------------------------
LINE = ((0.0,), (1.0,))


def standing(t, x):
    return (jnp.sin(jnp.pi * x) * jnp.cos(2 * jnp.pi * t)
            + 0.5 * jnp.sin(4 * jnp.pi * x) * jnp.cos(8 * jnp.pi * t))  # fmt: skip


def wave_reference() -> Reference:
    """The formula, and the time of Fourier modes on the circle of twice the length."""
    times = np.linspace(0, 1, 102)
    t, x = np.meshgrid(times[1:], np.linspace(0, 1, 101), indexing="ij")
    space = js.Fourier(js.Grid((32,), 0.0, 2.0))
    start = space.field(lambda x: (standing(0.0, x), 0 * x))
    run = jax.jit(lambda u: js.solve(js.equations.Wave(2.0), u, t1=1.0, dt=times[1], saveat=times).ys.values)
    return dataclasses.replace(exact(standing, np.stack([t.ravel(), x.ravel()], 1)), seconds=time_of(run, start))


def odd(function: Callable) -> Callable:
    """A function that vanishes at 0 and 1, continued to the circle of length 2."""
    return lambda x: jnp.where(x <= 1, function(jnp.minimum(x, 1)), -function(2 - jnp.maximum(x, 1)))


class Times(eqx.Module):
    """A network with values of a known size."""

    network: Callable
    size: float = eqx.field(static=True)

    def __call__(self, *coordinates):
        return self.size * self.network(*coordinates)


class RateOf(eqx.Module):
    """The rate of a field at a time."""

    field: Callable
    time: float

    def __call__(self, *x):
        return jax.jvp(lambda t: self.field(t, *x), (jnp.asarray(self.time),), (jnp.ones(()),))[1]


def wave(key, make: Callable, windows: int, size: float, points: int, steps: int, modes: int = 12) -> Callable:
    """Walls, initial values and rates by construction, in windows of equal length."""
    first, scatter = jax.random.split(key)
    length = 1 / windows
    network = Times(Embedded(make(first), (0.0, length), *LINE, (False,)), size)
    rows = [pinn.collocation(SecondOrder(2.0), pinn.Box((0.0, length), *LINE).sobol(points, scatter))]
    sines = lambda function: pinn.trigonometric(odd(function), (0.0,), (2.0,), modes)

    def solve(t0, t1, start, previous):
        now = network if previous is None else previous.function.network.network
        rate = jnp.zeros_like if previous is None else RateOf(previous, t0)
        field = FromInitial(VanishingOnBox(now, *LINE, js.Dirichlet(0.0)), sines(start), rate=sines(rate))
        done = optimize.train(rows, field, optimize.LevenbergMarquardt(), steps, every=20)
        return pinn.Delayed(done.model, jnp.asarray(t0))

    return pinn.march(solve, np.linspace(0, 1, windows + 1), partial(standing, 0.0))


def wave_linear(key, features: int, omega: float, points: int) -> Callable:
    """Random waves with the best last layer, at all times at once: one linear problem."""
    first, scatter = jax.random.split(key)
    network = Embedded(SIREN(2, "scalar", features, 1, omega, key=first), (0.0, 1.0), *LINE, (False,))
    held = VanishingOnBox(network, *LINE, js.Dirichlet(0.0))
    field = FromInitial(held, partial(standing, 0.0), rate=jnp.zeros_like, ramp=Saturating(0.1))
    rows = [pinn.collocation(SecondOrder(2.0), pinn.Box((0.0, 1.0), *LINE).sobol(points, scatter))]
    return pinn.linear_start(rows, field, lambda model: last_layer(model.network.network.network))


# -- the Klein-Gordon equation with a quadratic term -------------------------------------------------------------------
PLATE = ((-1.0, -1.0), (1.0, 1.0))


def swinging(t, x, y):
    return (x + y) * jnp.cos(2 * t) + x * y * jnp.sin(2 * t)


KLEIN_GORDON = SecondOrder(1.0, 1.0, lambda t, x, y: swinging(t, x, y) ** 2 - 4 * swinging(t, x, y))


class FirstOrder(js.Equation):
    """The same for displacement and rate."""

    def nonlinear(self, t, state: js.Field) -> tuple[js.Field, js.Field]:
        u, v = state
        return v, js.laplacian(u) - u * u + js.sample(KLEIN_GORDON.source, t, u)


def with_rate(t, x, y):
    return swinging(t, x, y), 2 * x * y * jnp.cos(2 * t) - 2 * (x + y) * jnp.sin(2 * t)


def klein_gordon_reference(end: float) -> Reference:
    """The formula, and the time of differences of order 4 on 16^2 cells, which leave an error of 1e-8."""
    axes = np.linspace(0, end, 42)[1:], *(np.linspace(-1, 1, 21),) * 2
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    space = js.FiniteDifference(js.Grid((16, 16), *PLATE), js.Dirichlet(with_rate), order=4)
    start = space.field(partial(with_rate, 0.0))
    run = jax.jit(lambda u: js.solve(FirstOrder(), u, t1=end, dt=0.02, solver=dfx.Dopri5(), saveat=axes[0]).ys.values)
    return dataclasses.replace(exact(swinging, points), seconds=time_of(run, start))


def on_walls(model, point):
    return model(*point) - swinging(*point)


def waves_of_one(in_size, out_size, width, depth, activation, *, dtype=None, key):
    """A factor of a separable network made of sines."""
    return SIREN(in_size, out_size, width, depth, 4.0, 1.5, dtype=dtype, key=key)


def klein_gordon(key, end: float, rank: int, width: int, points: int, at_walls: int, factor: float,
                 steps: int) -> Callable:  # fmt: skip
    """Initial values and rates by construction, walls by rows of their own, with a separable network."""
    keys = jax.random.split(key, 6)
    box = pinn.Box((0.0, end), *PLATE)
    network = Separable(3, "scalar", rank, width, 2, network=waves_of_one, key=keys[0])
    field = FromInitial(
        Embedded(network, (0.0, end), *PLATE, (False, False)),
        partial(swinging, 0.0),
        rate=lambda x, y: 2 * x * y,
        ramp=Saturating(1.0),
    )
    sides = [box.side(k // 2, k % 2).sobol(at_walls // 4, keys[2 + k]) for k in range(4)]
    rows = [
        pinn.collocation(KLEIN_GORDON, box.sobol(points, keys[1])),
        optimize.Rows(on_walls, jnp.concatenate(sides), factor=factor),
    ]
    return optimize.train(rows, field, optimize.LevenbergMarquardt(), steps).model


# -- Lorenz's system ---------------------------------------------------------------------------------------------------
START = (1.0, 1.0, 1.0)


class Scaled(eqx.Module):
    """A network of the time in a window, with values of the size of the rates."""

    network: Callable
    length: float = eqx.field(static=True)

    def __call__(self, t):
        return 100 * self.network(2 / self.length * jnp.reshape(t, (1,)) - 1)


def lorenz(key, end: float, length: float, features: int, scale: float, points: int, steps: int) -> Callable:
    """Random waves whose last layer is trained, in windows of equal length: Gauss-Newton steps are nearly exact."""
    first, second = jax.random.split(key)
    waves = optimize.Frozen(FourierFeatures(1, features, scale, key=first))
    network = Scaled(Chain(waves, Dense(features, 3, key=second)), length)
    nodes = length / 2 * (1 - jnp.cos(jnp.pi * (jnp.arange(points) + 0.5) / points))
    rows = [pinn.collocation(js.equations.Lorenz63(), nodes[:, None])]
    method = optimize.LevenbergMarquardt(optimize.DenseQR(), damping=1e-10, ratio=10.0)

    def solve(t0, t1, start, previous):
        now = network if previous is None else previous.function.network
        field = FromInitial(now, optimize.Frozen(pinn.Trigonometric(start(), (), ())))
        done = optimize.train(rows, field, method, steps, every=steps)
        return pinn.Delayed(done.model, jnp.asarray(t0))

    return pinn.march(solve, np.linspace(0, end, round(end / length) + 1), lambda: jnp.array(START))


def taylor_steps(end: float, per_time: int, order: int, kept: int) -> np.ndarray:
    """The system by its Taylor series in extended precision, at `kept` times per unit of time, shape `(times, 3)`."""
    sigma, rho, beta = (np.longdouble(v) for v in (10.0, 28.0, 8.0 / 3.0))
    h, state, found = np.longdouble(1) / per_time, np.array(START, np.longdouble), []
    for step in range(1, round(end * per_time) + 1):
        x, y, z = terms = np.zeros((3, order + 1), np.longdouble)
        terms[:, 0] = state
        for k in range(order):
            xz, xy = (np.sum(x[: k + 1] * v[k::-1]) for v in (z, y))
            rates = sigma * (y[k] - x[k]), rho * x[k] - y[k] - xz, xy - beta * z[k]
            terms[:, k + 1] = np.array(rates) / (k + 1)
        state = np.sum(terms[:, ::-1] * h ** np.arange(order, -1, -1), 1)
        if step % (per_time // kept) == 0:
            found.append(state)
    return np.array(found)


def lorenz_reference(end: float) -> Reference:
    """Taylor series in extended precision, and the time of Dormand and Prince's method of order 8."""
    times = np.linspace(0, end, round(100 * end) + 1)[1:]
    fine, coarse = taylor_steps(end, 100, 30, 100), taylor_steps(end, 100, 24, 100)
    term = dfx.ODETerm(lambda t, y, _: lorenz_rate(*y))

    @jax.jit
    def run(start):
        control = dfx.PIDController(rtol=1e-12, atol=1e-12)
        return dfx.diffeqsolve(term, dfx.Dopri8(), 0.0, end, 1e-3, start, saveat=dfx.SaveAt(ts=times), max_steps=10**5,
                               stepsize_controller=control).ys  # fmt: skip

    seconds = time_of(run, jnp.array(START))
    return Reference(times[:, None], fine.astype(float), relative(coarse, fine), seconds)


def lorenz_rate(x, y, z):
    return jnp.stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])


def lorenz_case(end: float) -> Case:
    recipe = dict(end=end, length=0.125, features=48, scale=4.0, points=48, steps=15)
    return Case(
        f"Lorenz, to t = {end:g}",
        partial(lorenz_reference, end),
        partial(lorenz, **recipe),
        f"24 random waves, 147 parameters, 48 points, windows of 0.125, {recipe['steps']} steps of Levenberg-Marquardt "
        "by QR in the last layer, initial values exact",
    )


CASES = {
    "lorenz-5": lorenz_case(5.0),
    "lorenz-10": lorenz_case(10.0),
    "lorenz": lorenz_case(20.0),
    "klein-gordon": Case(
        "Klein-Gordon with u^2, 2+1 dimensions, to t = 10",
        partial(klein_gordon_reference, 10.0),
        partial(klein_gordon, end=10.0, rank=6, width=12, points=3072, at_walls=1024, factor=10.0, steps=80),
        "separable, rank 6, factors of sines 2x12, exact initial values, 3072 points and 1024 on the walls, 80 steps "
        "of Levenberg-Marquardt",
    ),
    "wave": Case(
        "wave equation, c = 2, two standing waves",
        wave_reference,
        partial(wave, make=lambda key: SIREN(2, "scalar", 24, 2, 3.0, 1.5, key=key), windows=4, size=100.0,
                points=1536, steps=60),
        "SIREN 2x24, 4 windows, 1536 points, exact walls and initial values, 60 steps of Levenberg-Marquardt each",
    ),
    "wave-random": Case(
        "wave equation, by random waves",
        wave_reference,
        partial(wave_linear, features=800, omega=50.0, points=2048),
        "800 random sines, 2048 points, exact walls and initial values, linear least squares in the last layer",
    ),
}  # fmt: skip
