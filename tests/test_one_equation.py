"""The idea of the library, as a test: one class per equation, three kinds of space, one answer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js


class Burgers(js.Equation):
    viscosity: float

    def linear(self, u):
        return self.viscosity * js.laplacian(u)

    def nonlinear(self, t, u):
        return -0.5 * js.partial(u * u, 0)


def cole_hopf(t, x):
    decay = jnp.exp(-0.1 * t)
    return 0.2 * decay * jnp.sin(x) / (1.5 + decay * jnp.cos(x))


class AllenCahn(js.Equation):
    """With a source that makes `manufactured` its solution."""

    diffusivity: float

    def linear(self, u):
        return self.diffusivity * js.laplacian(u) + u

    def nonlinear(self, t, u):
        return js.sample(self.source, t, u) - u**3

    def source(self, t, x):
        u = manufactured(t, x)
        return self.diffusivity * u - 2 * u + u**3


def manufactured(t, x):
    return jnp.exp(-t) * jnp.cos(x)


class Clock(js.Equation):
    """Two species that turn around each other (a lambda-omega system; Kopell and Howard 1973)."""

    turn: float

    def linear(self, state):
        return js.laplacian(state) + state

    def nonlinear(self, t, state):
        u, v = state
        r = u * u + v * v
        return -r * u - self.turn * (v - r * v), -r * v + self.turn * (u - r * u)


def wave_train(t, x):
    phase = 0.5 * x + 0.8 * 0.25 * t
    return jnp.sqrt(0.75) * jnp.stack([jnp.cos(phase), jnp.sin(phase)])


CASES = [
    (Burgers(0.1), cole_hopf, 2 * np.pi),
    (AllenCahn(0.3), manufactured, 2 * np.pi),
    (Clock(0.8), wave_train, 4 * np.pi),
]


def error(space, equation, solution, steps=60):
    end = js.rollout(equation, space.field(lambda x: solution(0.0, x)), dt=0.5 / steps, steps=steps)
    return float(js.norm(end - space.field(lambda x: solution(0.5, x))))


@pytest.mark.parametrize(("equation", "solution", "length"), CASES)
def test_one_class_runs_on_three_spaces(equation, solution, length):
    r = js.residual(equation, js.Function(solution))
    t, x = jnp.meshgrid(jnp.linspace(0, 1, 4), jnp.linspace(0, length, 9))
    assert jnp.abs(jax.vmap(r)(t.ravel(), x.ravel())).max() < 1e-10

    assert error(js.Fourier(js.Grid(48, 0.0, length)), equation, solution) < 1e-9
    for order, bound in ((2, 2e-2), (4, 1e-3)):
        coarse, fine = (
            error(js.FiniteDifference(js.Grid(n, 0.0, length), order=order), equation, solution) for n in (32, 64)
        )
        assert fine < bound
        assert np.log2(coarse / fine) > order - 0.4


def test_the_same_class_runs_between_walls():
    walls = (js.Dirichlet(lambda t, x: manufactured(t, x)), js.Neumann(lambda t, x: -jnp.exp(-t) * jnp.sin(x)))
    errors = [
        error(js.FiniteDifference(js.Grid(n, 0.0, 1.0), (walls,), order=4), AllenCahn(0.3), manufactured, steps=500)
        for n in (12, 24)
    ]
    assert errors[1] < 1e-6
    assert np.log2(errors[0] / errors[1]) > 3.6
