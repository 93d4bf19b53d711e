"""Ensembles over four devices: equal to `jax.vmap`, without communication."""

import faulthandler
import re

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import optimistix as optx
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import jaxsim as js
from jaxsim.constraints import AffineProjection
from jaxsim.integrate.ensemble import ensemble
from jaxsim.optimize import root as root_of

MESH = jax.make_mesh((4,), ("members",), axis_types=(AxisType.Auto,))
SPACE = js.Fourier(js.Grid((16, 16), 0.0, 2 * np.pi))
STARTS = SPACE.field(np.random.default_rng(0).normal(size=(8, 16, 16)))
NUMBERS = jnp.linspace(0.5, 1.5, 8)


def has_collectives(function, *arguments):
    text = jax.jit(function).lower(*arguments).compile().as_text()
    return bool(re.search(r" (all-\w+|collective-\w+|reduce-scatter)(-start)?\(", text))


def diffuse(u, viscosity=0.05):
    """Ten Euler steps of a Burgers-like equation."""

    def step(w, _):
        field = SPACE.bind(w)
        return w + 1e-2 * SPACE.state(viscosity * js.laplacian(field) - js.partial(field * field, 0)), None

    return SPACE.bind(jax.lax.scan(step, SPACE.state(u), None, length=10)[0])


def newton_root(a):
    """A loop whose length depends on the member."""
    done = lambda state: jnp.abs(state[0] ** 2 - a) > 1e-12
    return jax.lax.while_loop(done, lambda state: (0.5 * (state[0] + a / state[0]), state[1] + 1), (1.0 + 0 * a, 0))


def adaptive(y):
    term = dfx.ODETerm(lambda t, y, _: -(y**2))
    controller = dfx.PIDController(rtol=1e-6, atol=1e-6)
    return dfx.diffeqsolve(term, dfx.Tsit5(), 0.0, 1.0, 0.01, y, stepsize_controller=controller).ys[0]


def linear_solve(b):
    return lx.linear_solve(lx.MatrixLinearOperator(b * (jnp.eye(3) + 1.0)), b**2 * jnp.ones(3)).value.sum()


def root(a):
    return optx.root_find(lambda y, _: y**2 - a, optx.Newton(1e-10, 1e-10), a).value


def test_fields_equal_vmap_without_communication():
    run = ensemble(diffuse, MESH)
    result, expected = jax.jit(run)(STARTS), jax.vmap(diffuse)(STARTS)
    assert isinstance(result, js.Field) and result.space == SPACE
    assert result.data.modal.sharding.spec == PartitionSpec("members")
    np.testing.assert_allclose(result.values, expected.values, rtol=0, atol=1e-15)
    assert not has_collectives(run, STARTS)


def test_gradients_equal_vmap_without_communication():
    energy = lambda u, viscosity: jnp.mean(diffuse(u, viscosity).values ** 2)
    pullback = lambda run: lambda u, viscosity: jax.vjp(run, u, viscosity)[1](jnp.ones(8))
    viscosities = NUMBERS * 0.05
    expected = pullback(jax.vmap(energy))(STARTS, viscosities)
    gradients = jax.jit(pullback(ensemble(energy, MESH)))(STARTS, viscosities)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12), gradients, expected)
    assert not has_collectives(pullback(ensemble(energy, MESH)), STARTS, viscosities)


def test_shared_parameters_are_summed_over_devices():
    loss = lambda spread: lambda viscosity: jnp.mean(spread(lambda u: diffuse(u, viscosity))(STARTS).values ** 2)
    expected = jax.grad(loss(jax.vmap))(0.05)
    np.testing.assert_allclose(jax.jit(jax.grad(loss(lambda f: ensemble(f, MESH))))(0.05), expected, rtol=1e-12)


def test_loops_of_different_lengths():
    numbers = jnp.array([1.0, 1.1, 2.0, 3.0, 10.0, 20.0, 1e4, 1e6])
    roots, counts = ensemble(newton_root, MESH)(numbers)
    np.testing.assert_allclose(roots, jnp.sqrt(numbers), rtol=1e-12)
    np.testing.assert_array_equal(counts, jax.vmap(newton_root)(numbers)[1])
    assert not has_collectives(ensemble(newton_root, MESH), numbers)


@pytest.mark.parametrize("function", [pytest.param(adaptive, marks=pytest.mark.slow), linear_solve, root])
def test_libraries_that_compare_shapes_differentiate_inside(function):
    both = jax.value_and_grad(function)
    result = jax.jit(ensemble(both, MESH))(NUMBERS)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), result, jax.vmap(both)(NUMBERS))


def test_rollouts():
    equation = js.equations.Burgers(0.05)
    space = js.Fourier(js.Grid(32, 0.0, 2 * np.pi))
    starts = space.field(np.sin(space.grid.spacing[0] * np.arange(32)) * np.linspace(0.5, 1.5, 8)[:, None])
    run = lambda u: js.rollout(equation, u, dt=1e-2, steps=6)
    np.testing.assert_allclose(ensemble(run, MESH)(starts).values, jax.vmap(run)(starts).values, rtol=0, atol=1e-14)


class Model(eqx.Module):
    weight: jax.Array
    activation: object = jax.nn.softplus

    def __call__(self, x):
        return self.activation(self.weight * x)


def test_pytrees_with_parts_that_are_no_arrays():
    model = Model(NUMBERS)
    same, value, number, nothing, text = ensemble(lambda m, x: (m, m(x), 3.0, None, "text"), MESH)(model, NUMBERS)
    np.testing.assert_allclose(value, jax.nn.softplus(NUMBERS**2), rtol=1e-15)
    np.testing.assert_array_equal(number, np.full(8, 3.0))
    assert same.activation is jax.nn.softplus and nothing is None and text == "text"


def test_random_keys_forward_mode_and_vmap():
    keys = jax.random.split(jax.random.key(0), 8)
    draw = lambda key: jax.random.normal(key, (3,))
    np.testing.assert_array_equal(ensemble(draw, MESH)(keys), jax.vmap(draw)(keys))
    tangent = jax.jvp(ensemble(jnp.sin, MESH), (NUMBERS,), (NUMBERS,))[1]
    np.testing.assert_allclose(tangent, jnp.cos(NUMBERS) * NUMBERS, rtol=1e-15)
    np.testing.assert_allclose(jax.vmap(ensemble(jnp.sin, MESH))(NUMBERS.reshape(2, 4)), jnp.sin(NUMBERS.reshape(2, 4)))


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
def test_meshes_of_both_kinds_and_of_two_axes(kind):
    mesh = jax.make_mesh((2, 2), ("a", "b"), axis_types=(kind, kind))
    placed = jax.device_put(NUMBERS, NamedSharding(mesh, PartitionSpec(("a", "b"))))
    for numbers in (NUMBERS, placed):
        np.testing.assert_allclose(ensemble(jnp.sin, mesh)(numbers), jnp.sin(NUMBERS), rtol=1e-15)


CUT = js.Fourier(SPACE.grid, mesh=MESH)


@pytest.mark.parametrize(
    "function, arguments, message",
    [
        (jnp.sin, (NUMBERS[:6],), "4 devices cannot share 6 members"),
        (jnp.sin, (NUMBERS[:0],), "cannot share 0 members"),
        (jnp.add, (NUMBERS, NUMBERS[:4]), "disagree on the number of members"),
        (jnp.add, (NUMBERS, 1.0), "a single number; close over"),
        (lambda: 1.0, (), "no arrays"),
        (ensemble(jnp.sin, MESH), (jnp.ones((4, 4)),), "do not nest"),
        (js.laplacian, (CUT.field(jnp.ones((4, 16, 16))),), "cut over a mesh themselves"),
        (lambda v: CUT.field(v).coefficients, (jnp.ones((4, 16, 16)),), "without `mesh=`"),
    ],
)
def test_members_that_cannot_be_spread(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        ensemble(function, MESH)(*arguments)


def test_mesh_must_be_a_mesh():
    with pytest.raises(TypeError, match="jax.sharding.Mesh"):
        ensemble(jnp.sin, 4)


# -- members that fail -----------------------------------------------------------------------------------------------
@pytest.fixture
def alarm():
    """Ends the process where devices wait for each other for ever."""
    faulthandler.dump_traceback_later(300, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


GOOD = jnp.ones(8)
BAD = GOOD.at[5].set(-1.0)  # member 5 is on the third device of four
LIMIT = "a number of this member is negative"


def checked(x):
    return eqx.error_if(x + 1, x < 0, LIMIT)


def grown(x):
    """Ten Euler steps that end after the seventh where x is negative."""

    class Growth(js.Equation):
        rate: jax.Array

        def nonlinear(self, t, u):
            bad = jnp.log(0.065 - t) * 0
            return self.rate * u + jnp.where(self.rate < 0, bad, 0.0)

    u0 = js.Point().field(jnp.ones(()))
    return js.rollout(Growth(x), u0, dt=0.01, steps=10, solver=dfx.Euler()).values


def solved(x, **keywords):
    u0 = js.Point().field(jnp.ones(()))
    rate = jnp.where(x < 0, 400.0, 1.0)

    class Explosion(js.Equation):
        rate: jax.Array

        def nonlinear(self, t, u):
            return self.rate * u * u

    return js.solve(Explosion(rate), u0, 0.5, **keywords).ys.values


def restless(x):
    """A stock solve that runs out of steps where x is negative."""
    term = dfx.ODETerm(lambda t, y, _: jnp.cos(jnp.where(x < 0, 1e6, 1.0) * t))
    controller = dfx.PIDController(rtol=1e-6, atol=1e-6)
    return dfx.diffeqsolve(term, dfx.Tsit5(), 0.0, 1.0, 0.01, x, stepsize_controller=controller, max_steps=64).ys[0]


def singular(x):
    matrix = jnp.where(x < 0, 0.0, 1.0) * jnp.eye(2)
    return lx.linear_solve(lx.MatrixLinearOperator(matrix), x * jnp.ones(2), lx.LU()).value


def unsolvable(x):
    return root_of(lambda y, x: y**2 + 1 - 2 * x, jnp.ones(1), x).value


def inconsistent(x):
    """A projection onto equations that contradict each other where x is negative."""
    rows = jnp.array([[1.0, 0.0], [jnp.where(True, 1.0, 0.0), 0.0]])
    return AffineProjection(rows, jnp.stack([x, jnp.abs(x)]))(jnp.zeros(2))


def stepped(x):
    return jax.lax.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, checked(s[1])), (0, x))[1]


def looks(x):
    """The check is in the condition of a loop."""
    return jax.lax.while_loop(lambda s: checked(s[1]) * 0 + s[0] < 3, lambda s: (s[0] + 1, s[1]), (0, x))[1]


FAILING = {
    "a check": (checked, LIMIT), "jit": (jax.jit(checked), LIMIT), "checkpoint": (jax.checkpoint(checked), LIMIT),
    "vmap": (lambda x: jax.vmap(checked)(x * jnp.arange(3)), LIMIT),
    "value and gradient": (jax.value_and_grad(checked), LIMIT),
    "scan": (lambda x: jax.lax.scan(lambda c, _: (checked(c), c), x, None, 3), LIMIT),
    "scan of vmap": (lambda x: jax.lax.map(jax.vmap(checked), x * jnp.ones((2, 3))), LIMIT),
    "while": (stepped, LIMIT), "batched while": (lambda x: jax.vmap(stepped)(x * jnp.arange(3)), LIMIT),
    "condition": (looks, LIMIT), "cond": (lambda x: jax.lax.cond(x < 2, checked, jnp.sin, x), LIMIT),
    "lineax": (singular, "singular"), "diffrax": (restless, "maximum number of solver steps"),
    "root": (unsolvable, "root did not converge"),
    "root in jit": (jax.jit(jax.value_and_grad(lambda x: unsolvable(x)[0])), "root did not converge"),
    "projection": (inconsistent, "AffineProjection"),
    "adaptive": (lambda x: solved(x, rtol=1e-6, max_steps=32), "maximum number of solver steps"),
}  # fmt: skip
RUNS = {
    "rollout": (grown, "0.07"), "rollouts": (lambda x: jax.lax.map(grown, jnp.stack([GOOD[0], x])), "0.07"),
    "vmap of rollouts": (lambda x: jax.vmap(grown)(jnp.stack([GOOD[0], x])), "0.07"),
    "gradient": (jax.jit(jax.value_and_grad(grown)), "0.07"),
    "fixed steps": (lambda x: solved(x, dt=0.05), "0.05"),
}  # fmt: skip


QUICK = ("a check", "scan of vmap", "while", "lineax", "rollout")


def some_slow(names):
    return [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", some_slow(FAILING))
def test_one_member_fails_and_nobody_waits(name, alarm):
    function, message = FAILING[name]
    spread = ensemble(function, MESH)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), spread(GOOD), jax.vmap(function)(GOOD))
    for call in (spread, jax.jit(spread), jax.jit(lambda x: jax.tree.map(jnp.sum, spread(x)))):
        with pytest.raises(Exception, match=f"(?s)member 5.*{message}"):
            jax.block_until_ready(call(BAD))


@pytest.mark.parametrize("name", some_slow(RUNS))
def test_a_run_that_diverges_says_which_and_when(name, alarm):
    function, time = RUNS[name]
    spread = ensemble(function, MESH)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), spread(GOOD), jax.vmap(function)(GOOD))
    with pytest.raises(js.integrate.Diverged, match=f"member 5 met a value that is not finite at t = {time}"):
        spread(BAD)
    with pytest.raises(Exception, match="member 5 met a value that is not finite"):
        jax.block_until_ready(jax.jit(spread)(BAD))


@pytest.mark.slow
def test_errors_under_transformations_of_the_ensemble(alarm):
    total = lambda spread: lambda x: jnp.sum(spread(x) ** 2)
    loss = total(ensemble(grown, MESH))
    np.testing.assert_allclose(jax.grad(loss)(GOOD), jax.grad(total(jax.vmap(grown)))(GOOD), rtol=1e-12)
    for call in (jax.grad(loss), jax.jit(jax.grad(loss)), lambda x: jax.vmap(loss)(jnp.stack([GOOD, x]))):
        with pytest.raises(Exception, match="member 5 met a value"):
            jax.block_until_ready(call(BAD))


def test_a_trace_is_the_same_inside_an_ensemble_and_outside(alarm):
    run = jax.jit(grown)
    with pytest.raises(js.integrate.Diverged, match="member 5"):
        ensemble(run, MESH)(BAD)
    with pytest.raises(Exception, match="met a value that is not finite"):
        jax.block_until_ready(run(BAD[5]))
    with pytest.raises(js.integrate.Diverged, match="member 5"):
        ensemble(run, MESH)(BAD)


def test_ensembles_that_raise_do_not_nest_either():
    with pytest.raises(ValueError, match="do not nest"):
        ensemble(lambda x: ensemble(checked, MESH)(x), MESH)(jnp.ones((4, 4)))
