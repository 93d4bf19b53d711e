"""Equations of fourth order between walls, against exact solutions and even or odd continuations to a period."""

import itertools

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js

BEAM = np.array([4.730040744862704, 7.853204624095838, 10.995607838001671])  # roots of cos(x) cosh(x) = 1


@pytest.mark.parametrize("order", (2, 4, 6))
@pytest.mark.parametrize("faces", (False, True))
def test_frequencies_of_a_clamped_beam(order, faces):
    """$u'''' = \\beta^4 u$ with $\\cos\\beta\\cosh\\beta = 1$. No eigenvalue is negative."""
    errors = []
    for n in (24, 48):
        space = js.FiniteDifference(js.Grid(n, 0.0, 1e-3), js.Clamped(), order=order, faces=(faces,))
        operator = jax.jit(lambda v, s=space: js.laplacian(js.laplacian(s.bind(v))).values)
        values = np.linalg.eigvals(np.asarray(operator(jnp.eye(space.shape[0]))).T) * 1e-12
        assert np.abs(values.imag).max() < 1e-6 * values.real.max() and values.real.min() > 400
        errors.append(np.abs(np.sort(values.real)[:3] / BEAM**4 - 1))
    # between a value on a node and the polynomial next to it one digit of the order is lost at high order
    assert np.log2(errors[0] / errors[1]).min() > order - (0.3 if order == 2 else 2.1 if faces else 0.5)
    assert errors[1].max() < (0.02 if order == 2 else 1e-4)


@pytest.mark.parametrize("order", (2, 4))
def test_a_clamped_plate(order):
    """$\\nabla^4 u = f$ for $u = \\sin^2(\\pi x)\\sin^2(\\pi y)$."""
    u = lambda x, y: jnp.sin(jnp.pi * x) ** 2 * jnp.sin(jnp.pi * y) ** 2
    c = lambda x: jnp.cos(2 * jnp.pi * x)
    load = lambda x, y: -4 * jnp.pi**4 * (c(x) + c(y) - 4 * c(x) * c(y))
    errors = []
    for n in (12, 24):
        space = js.FiniteDifference(js.Grid((n, n)), js.Clamped(), order=order)
        operator = jax.jit(lambda v, s=space: js.laplacian(js.laplacian(s.bind(v))).values)
        matrix = np.asarray(operator(jnp.eye(n * n).reshape(n * n, n, n))).reshape(n * n, n * n).T
        x = space.coordinates()
        found = np.linalg.solve(matrix, np.asarray(load(*x)).ravel())
        errors.append(np.abs(found - np.asarray(u(*x)).ravel()).max())
    assert np.log2(errors[0] / errors[1]) > order - 0.4 and errors[1] < 0.03


def test_a_clamped_field_is_implicit_or_refused():
    space = js.FiniteDifference(js.Grid(16), js.Clamped())
    u0 = space.field(lambda x: jnp.sin(jnp.pi * x) ** 2)
    with pytest.raises(ValueError, match="diagonal"):
        js.rollout(js.equations.Hyperdiffusion(1e-3), u0, dt=1e-3, steps=1)
    mode = lambda x: (jnp.cosh(BEAM[0] * x) - jnp.cos(BEAM[0] * x)) - 0.982502214576238 * (
        jnp.sinh(BEAM[0] * x) - jnp.sin(BEAM[0] * x)
    )
    space = js.FiniteDifference(js.Grid(32), js.Clamped(), order=4)
    solve = lambda: js.solve(js.equations.Hyperdiffusion(1e-3), space.field(mode), t1=1.0, rtol=1e-6,
                             solver=dfx.Kvaerno5())  # fmt: skip
    decayed = solve().ys[-1]
    np.testing.assert_allclose(decayed.values, np.exp(-1e-3 * BEAM[0] ** 4) * mode(space.coordinates()[0]), atol=2e-5)


CATALOG = {
    "plate": (js.equations.Hyperdiffusion(1e-3), "D", 0.5),
    "phases": (js.equations.CahnHilliard(1.0, 0.1), "N", 0.005),
    "patterns": (js.equations.SwiftHohenberg(0.3), "N", 1.0),
    "flames": (js.equations.KuramotoSivashinsky(), "D", 1.0),
    "flame fronts": (js.equations.KuramotoSivashinskyIntegral(), "N", 1.0),
}


@pytest.mark.parametrize("name", CATALOG)
def test_catalog_against_continuations(name):
    equation, kind, t1 = CATALOG[name]
    length = 12.0 if "flame" in name or name == "patterns" else 1.0
    k = np.pi / length
    odd, even = (lambda x: jnp.sin(k * x) + 0.3 * jnp.sin(3 * k * x)), (lambda x: 0.3 * jnp.cos(2 * k * x) + 0.1)
    start, wall = (odd, js.Dirichlet(0.0)) if kind == "D" else (even, js.Neumann(0.0))
    steps = 200
    exact = js.rollout(equation, js.Fourier(js.Grid(64, 0.0, 2 * length)).field(start), dt=t1 / steps, steps=steps)
    errors = []
    for n in (16, 32):
        space = js.FiniteDifference(js.Grid(n, 0.0, length), wall, order=4)
        u0 = space.field(start)
        u = js.rollout(equation, u0, dt=t1 / steps, steps=steps)
        errors.append(float(abs(u.values - exact(space.coordinates()[0])).max() / abs(exact.values).max()))
        if name == "phases":
            np.testing.assert_allclose(js.integral(u), js.integral(u0), rtol=1e-3)
    assert errors[1] < 2e-3 and np.log2(errors[0] / errors[1]) > 3


class ThinFilm(js.Equation):
    """$h_t = -(h^3 h_{xxx})_x$, no flux of $h$ and of its pressure."""

    def nonlinear(self, t, h):
        return -js.partial(h**3 * js.partial(js.laplacian(h), 0), 0)


class PorousMedium(js.Equation):
    def nonlinear(self, t, u):
        return 0.5 * js.laplacian(u * u)


@pytest.mark.parametrize(("equation", "t1"), [(ThinFilm(), 0.002), (PorousMedium(), 0.2)])
def test_nonlinear_operators_keep_the_mass(equation, t1):
    start = lambda x: 0.5 + 0.3 * jnp.cos(jnp.pi * x)
    period = js.FiniteDifference(js.Grid(32, 0.0, 2.0), order=8)
    exact = js.solve(equation, period.field(start), t1=t1, rtol=1e-7, solver=dfx.Kvaerno5())
    space = js.FiniteDifference(js.Grid(32), js.Neumann(0.0))
    u0 = space.field(start)
    u = js.solve(equation, u0, t1=t1, rtol=1e-7, solver=dfx.Kvaerno5()).ys[-1]
    np.testing.assert_allclose(js.integral(u), js.integral(u0), rtol=1e-12)
    np.testing.assert_allclose(u.values, exact.ys[-1](space.coordinates()[0]), atol=1e-3)


REFUSED = [js.Dirichlet(1.0), js.Robin(1.0, 0.3, 2.0), js.Neumann(lambda t, x: 1 + t)]


@pytest.mark.parametrize("wall", REFUSED, ids=range(len(REFUSED)))
def test_what_has_one_condition_is_refused(wall):
    space = js.FiniteDifference(js.Grid(16), wall)
    u = space.field(lambda x: 1 + 0.1 * jnp.cos(jnp.pi * x))
    for operator in (
        lambda u: js.laplacian(js.laplacian(u)), lambda u: js.partial(js.partial(js.laplacian(u), 0), 0),
        lambda u: js.diffuse(u.values, js.laplacian(u)), lambda u: js.laplacian(u * js.laplacian(u)),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="one of the two conditions"):
            operator(u)
    with pytest.raises(Exception, match="one of the two conditions"):
        jax.block_until_ready(js.rollout(js.equations.CahnHilliard(1.0, 0.1), u, dt=1e-5, steps=1))


@pytest.mark.parametrize("wall", [js.Dirichlet, js.Neumann, lambda g: js.Robin(1.0, 0.2, g)])
def test_a_traced_zero_is_found_when_the_program_runs(wall):
    """The biharmonic operator, conservative diffusion of a Laplacian, and a product: the answers of known zeros."""

    def operators(space):
        u = space.bind(jnp.sin(jnp.linspace(0, 3, 12)).reshape(6, 2) @ jnp.ones((2, 6)))
        bend = js.laplacian(u)
        return [js.laplacian(bend).values, js.diffuse(1 + u.values, bend).values, js.laplacian(u * bend).values,
                js.partial(js.partial(bend, 0), 1).values]  # fmt: skip

    space = lambda g: js.FiniteDifference(js.Grid((6, 6)), wall(g), order=2)
    traced = jax.jit(lambda g: operators(space(g)))
    for found, wanted in zip(traced(0.0), operators(space(0.0))):
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-7)
    with pytest.raises(Exception, match="one of the two conditions"):
        jax.block_until_ready(traced(1.0))
    with pytest.raises(ValueError, match="one of the two conditions"):
        operators(space(1.0))


# -- what functions of a field know at walls ---------------------------------------------------------------------------
@pytest.mark.parametrize(("order", "faces"), list(itertools.product((2, 4), (False, True))))
def test_slopes_of_functions_at_walls(order, faces):
    """The chain rule for a Robin wall: the Laplacian of $\\sin u$ and of $u^3$ is of the order of that of $u$."""
    u = lambda x: 0.4 + jnp.exp(0.9 * x)
    wall = lambda end: js.Robin(2.0, 0.5, 2 * u(1.0 * end) + 0.5 * (2 * end - 1) * 0.9 * jnp.exp(0.9 * end))
    for function, field in ((jnp.sin, lambda u: js.pointwise(jnp.sin, u)), (lambda a: a * a * a, lambda u: u**3)):
        second = jax.vmap(jax.grad(jax.grad(lambda x, f=function: f(u(x)))))
        errors = []
        for n in (24, 48):
            space = js.FiniteDifference(js.Grid(n), ((wall(0), wall(1)),), order=order, faces=(faces,))
            x = space.coordinates()[0]
            made = field(space.field(u))
            assert all(isinstance(t, js.Neumann) for t in made.data.traces[0])
            errors.append(np.abs(js.laplacian(made).values - second(x)).max())
        assert np.log2(errors[0] / errors[1]) > order - 1.2


def test_known_values_of_functions_and_products():
    space = js.FiniteDifference(js.Grid((8, 9)), (js.Dirichlet(3.0), js.Neumann(0.0)))
    u, values = space.field(lambda x, y: 3.0 + x * (1 - x) * y**2 * (3 - 2 * y)), jnp.ones((8, 9))
    square = js.pointwise(lambda a: a * a, u)
    for made in (square, u * u, u**2):
        assert float(jnp.max(jnp.abs(made.data.traces[0][0].value - 9))) == 0
        assert made.data.traces[1][1].value is None and isinstance(made.data.traces[1][1], js.Neumann)
    # a function that knows the nodes has no values elsewhere
    assert js.pointwise(lambda a: a * values, u).data.traces[0][0] is None
    slope = js.partial(u, 1)
    for factor in (values + 1, js.pointwise(lambda a: a * values, u), u):  # zero times whatever
        assert (slope * factor).data.traces[1][0].value is None
    walls = js.FiniteDifference(js.Grid(8), js.Neumann(2.0))
    flux = js.partial(walls.field(lambda x: 2 * x * x - 2 * x), 0) * (walls.coordinates()[0] + 1)
    np.testing.assert_allclose(flux.data.traces[0][0].value, -2.0, rtol=1e-12)  # -g (x + 1), x + 1 extrapolated
    np.testing.assert_allclose(flux.data.traces[0][1].value, 4.0, rtol=1e-12)
