"""What the methods of an equation may return: fields, and nothing that a forgotten line leaves behind."""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim.constraints import Keeping
from jaxsim.neural_de import Hybrid

LINE = js.Fourier(js.Grid(8, 0.0, 2 * np.pi))
U0 = LINE.field(jnp.sin)
PAIR = LINE.field(lambda x: jnp.stack([jnp.sin(x), jnp.cos(x)]))


class Decay(js.Equation):
    def linear(self, u):
        return -1.0 * u


class Forgetful(js.Equation):
    """`method` ends without a `return`."""

    method: str

    def linear(self, u):
        part = -1.0 * u
        if self.method != "linear":
            return part

    def nonlinear(self, t, u):
        part = u * u
        if self.method != "nonlinear":
            return part

    def constrain(self, u):
        if self.method != "constrain":
            return super().constrain(u)

    def residual(self, t, u):
        if self.method != "residual":
            return super().residual(t, u)


RUNS = {
    "rollout": lambda equation, u: js.rollout(equation, u, dt=0.1, steps=1),
    "solve": lambda equation, u: js.solve(equation, u, t1=0.1, rtol=1e-3),
    "residual": lambda equation, u: js.residual(equation, u)(0.0),
    "hybrid": lambda equation, u: js.rollout(Hybrid(equation, lambda t, u: 0 * u), u, dt=0.1, steps=1),
    "keeping": lambda equation, u: js.rollout(Keeping(equation, lambda u: u), u, dt=0.1, steps=1),
}


@pytest.mark.parametrize(
    ("run", "method"),
    [(run, method) for run in RUNS if run != "residual" for method in ("linear", "nonlinear", "constrain")]
    + [("residual", method) for method in ("linear", "nonlinear", "residual")],
)
def test_a_forgotten_return_is_an_error(run, method):
    with pytest.raises(TypeError, match=rf"\.{method} returned None: is a `return` missing"):
        RUNS[run](Forgetful(method), U0)


@pytest.mark.parametrize(
    ("part", "state", "message"),
    [
        (lambda u: jnp.zeros(8), U0, r"return a Field, e\.g\. js\.sample"),
        (lambda u: 0.0, U0, r"return a Field, e\.g\. js\.sample"),
        (lambda u: (), PAIR, r"return a Field, e\.g\. js\.sample"),
        (lambda u: (u[0], 0.0), PAIR, r"gave float: return a Field"),
        (lambda u: (u[0], None), PAIR, r"gave NoneType: return a Field"),
        (lambda u: (u[0],), PAIR, "returned 1 fields for a state with components"),
        (lambda u: (u[0], u[1], u[0]), PAIR, "returned 3 fields for a state with components"),
        (lambda u: (u, u), U0, "returned 2 fields for a state with components"),
        (lambda u: u[0], PAIR, "returned components"),
        (lambda u: {"u": u}, U0, "structured like the state"),
    ],
)
@pytest.mark.parametrize("method", ["linear", "nonlinear"])
def test_what_is_no_field_is_an_error(part, state, message, method):
    if method == "linear":
        kind = type("Wrong", (js.Equation,), {"linear": lambda self, u: part(u)})
    else:
        kind = type("Wrong", (js.Equation,), {"nonlinear": lambda self, t, u: part(u)})
    with pytest.raises(TypeError, match=message):
        js.rollout(kind(), state, dt=0.1, steps=1)


def test_an_absent_part_is_the_method_of_the_base_class():
    class Optional(js.Equation):
        rate: float | None = None

        def linear(self, u):
            return -1.0 * u

        def nonlinear(self, t, u):
            return super().nonlinear(t, u) if self.rate is None else self.rate * (u * u)

    same = js.rollout(Decay(), U0, dt=0.1, steps=3).values
    np.testing.assert_array_equal(js.rollout(Optional(), U0, dt=0.1, steps=3).values, same)
    assert abs(js.rollout(Optional(1.0), U0, dt=0.1, steps=3).values - same).max() > 1e-3


@pytest.mark.parametrize("method", ["flux", "density", "supply"])
def test_a_forgotten_return_of_a_divergence_form(method):
    parts = {name: lambda self, t, u: u for name in ("density", "supply")}
    parts["flux"] = lambda self, t, u: js.stack(u * u)
    parts[method] = lambda self, t, u: None
    equation = type("Wrong", (js.equations.DivergenceForm,), parts)()
    with pytest.raises(TypeError, match=rf"Wrong\.{method} returned None: is a `return` missing"):
        js.residual(equation, js.Function(lambda t, x: jnp.sin(x - t)))(0.1, 0.2)
