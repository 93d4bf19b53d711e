"""What is said to someone who asks for what does not work, and types of numbers that all work."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim.nets import FNO, MLP

LINE = js.Fourier(js.Grid(8))
U = LINE.field(lambda x: jnp.sin(2 * jnp.pi * x))
PLANE = js.Fourier(js.Grid((4, 6)))
VECTOR = PLANE.field(lambda x, y: (x, y))
BURGERS = js.equations.Burgers(0.1)


def run(**settings):
    return js.rollout(**({"equation": BURGERS, "u0": U, "dt": 1e-3, "steps": 1} | settings))


class Exchange(js.Equation):
    def nonlinear(self, t, s):
        return {"a": s["b"] * 1.0, "b": -1.0 * s["a"]}


def mixed():
    single, double = (LINE.field(jnp.ones(8, dtype)) for dtype in (jnp.float32, jnp.float64))
    return js.rollout(Exchange(), {"a": single, "b": double}, dt=1e-3, steps=1)


def forced(force):
    return lambda: js.rollout(js.equations.NavierStokesVelocity(0.1, forcing=force), VECTOR, dt=1e-3, steps=1)


REFUSED = {
    "box that is differentiated": (lambda: jax.grad(lambda a: js.integral(
        js.Fourier(js.Grid(8, 0.0, a)).field(jnp.cos)))(1.0), TypeError, "scale the equation"),
    "cells that are no number": (lambda: js.Grid(8.5), ValueError, "whole number"),
    "half precision": (lambda: LINE.field(jnp.ones(8, jnp.float16)), TypeError, "single or double"),
    "half precision at a point": (lambda: js.Point().field(jnp.ones(2, jnp.bfloat16)), TypeError, "single or double"),
    "one number per component": (lambda: VECTOR * jnp.array([1.0, 2.0]), ValueError, r"array\[\.\.\., None, None\]"),
    "array of a field": (lambda: np.asarray(U), TypeError, "js.pointwise"),
    "truth of a field": (lambda: bool(U), TypeError, "neither true nor false"),
    "axis by name": (lambda: js.partial(U, "x"), TypeError, "an axis is a whole number"),
    "half a derivative": (lambda: js.partial(U, 0, 1.5), ValueError, "whole number"),
    "name of a solver": (lambda: run(solver="ETDRK4"), TypeError, "solvers are objects"),
    "class of a solver": (lambda: run(solver=js.integrate.ETDRK4), TypeError, r"solver=ETDRK4\(\)"),
    "class of a solver, adaptive": (lambda: js.solve(BURGERS, U, t1=0.1, solver=js.integrate.ETDRK4), TypeError,
                                    r"solver=ETDRK4\(\)"),
    "field for a force": (forced(VECTOR), TypeError, "function of"),
    "number for a force": (forced(1.0), TypeError, "function of"),
    "steps that are traced": (lambda: jax.jit(lambda n: run(steps=n).values)(3), ValueError, "known when the program"),
    "two and a half steps": (lambda: run(steps=2.5), ValueError, "whole number"),
    "sizes of a network": (lambda: MLP(2, "scalar", 8.5, 2, key=jax.random.key(0)), ValueError, "`width`"),
    "members by keyword": (lambda: js.ensemble(lambda nu: nu, jax.make_mesh((1,), ("m",)))(nu=jnp.ones(1)), TypeError,
                           "lambda nu"),
    "other kind of space": (lambda: U * js.FiniteDifference(js.Grid(8)).field(jnp.sin), ValueError, "js.interpolate"),
    "precisions": (mixed, TypeError, "float32 and float64"),
    "exponent that is an array": (lambda: U ** jnp.array(3), TypeError, "degree="),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_errors_say_what_to_do(name):
    action, error, words = REFUSED[name]
    with pytest.raises(error, match=words):
        action()


@pytest.mark.parametrize("number", [int, float, np.int64, np.float32, lambda n: jnp.asarray(n)])
def test_counts_of_any_type(number):
    assert js.Grid(number(8)) == js.Grid(8) and js.Grid((number(8), 8)) == js.Grid((8, 8))
    wanted = run(steps=4, save_every=2).values
    np.testing.assert_array_equal(run(steps=number(4), save_every=number(2)).values, wanted)
    nets = [MLP(n(2), n(1), n(4), n(2), key=jax.random.key(0)) for n in (int, number)]
    assert jax.tree.structure(nets[0]) == jax.tree.structure(nets[1])
    nets = [FNO(n(1), n(1), n(4), n(1), (n(3),), key=jax.random.key(0)) for n in (int, number)]
    np.testing.assert_array_equal(*(net(jnp.ones((1, 8))) for net in nets))
    assert js.partial(U, 0, number(2)).shape == ()


class Growth(js.Equation):
    up: bool = True

    def nonlinear(self, t, u):
        return u if self.up else -1.0 * u


@pytest.mark.parametrize("flag", [bool, np.bool_])
def test_flags_of_either_type(flag):
    runs = [float(js.rollout(Growth(flag(up)), LINE.field(jnp.ones(8)), dt=0.1, steps=1).values[0]) for up in (1, 0)]
    np.testing.assert_allclose(runs, np.exp([0.1, -0.1]), rtol=1e-6)


BOX = js.Grid((6, 5))


@pytest.mark.parametrize(
    "space", [js.Fourier(BOX), js.FiniteDifference(BOX, js.Dirichlet()), js.Staggered(BOX, js.NoSlip())],
    ids=["modes", "walls", "staggered"],
)  # fmt: skip
def test_canonical_fields_are_carried_by_loops(space):
    velocity = lambda x, y: (jnp.sin(2 * jnp.pi * y), 0 * x)
    u0 = space.field(velocity if isinstance(space, js.Staggered) else lambda x, y: jnp.sin(2 * jnp.pi * x) * y)
    step = lambda u: js.canonical(u + 1e-4 * (js.laplacian(u) - u * u))
    scanned, _ = jax.lax.scan(lambda u, _: (step(u), None), js.canonical(u0), None, length=3)
    looped = js.canonical(u0)
    for _ in range(3):
        looped = step(looped)
    np.testing.assert_allclose(scanned.values, looped.values, atol=1e-14)
    chosen = jax.lax.cond(True, step, lambda u: js.canonical(js.laplacian(u)), js.canonical(u0))
    np.testing.assert_allclose(chosen.values, step(js.canonical(u0)).values, atol=1e-14)


def test_rooms_are_reached_from_the_package():
    rooms = "constraints io linear nets neural_de optimize pinn plot taylor".split()
    lines = "; ".join(f"js.{room}.__name__" for room in rooms)
    check = f"assert 'jaxsim.pinn' not in sys.modules; {lines}; assert {set(rooms)} <= {{*dir(js)}}"
    subprocess.run([sys.executable, "-c", f"import sys, jaxsim as js; {check}"], check=True)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        js.nonsense  # noqa: B018
