"""Equations that are partly known and partly learned."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ..calculus import pointwise
from ..equations import Equation, is_field, like_state, nonlinear_part
from ..field import Field

State = Any  # a Field, or a pytree of Fields


class Hybrid(Equation):
    """A known equation with a learned term, $u_t = L u + N(t, u) + f_\\theta(t, u)$: a universal differential equation.

    It is an equation like any other: `js.solve`, `js.rollout` and `js.residual` take it, on every space. The
    parameters of both parts are leaves; hold one part fixed with `equinox.partition`.

    **Arguments:**

    - `known`: any `js.Equation` with a right-hand side. Its `linear` part stays what exponential solvers treat
        exactly, and its constraint holds at the end of every step.
    - `learned`: a callable `(t, u)` that returns a field structured like the state, such as `Pointwise(network)`, or
        one of your own, `lambda t, u: u.space.field(network(u.values))`.

    **Raises:** `ValueError` for an equation that has a residual alone.

    Reference: Rackauckas et al., arXiv 2001.04385 (2020).

    !!! example

        ```python
        network = eqx.nn.MLP(2, 2, 16, 2, jnp.tanh, key=jax.random.key(0))
        model = Hybrid(js.equations.LotkaVolterra(0.5, 0.03, 0.8, 0.02), Pointwise(network))
        run = js.rollout(model, js.Point().field([30.0, 4.0]), dt=0.05, steps=400, save_every=20)
        ```
    """

    known: Equation
    learned: Callable

    def __check_init__(self):
        if not isinstance(self.known, Equation):
            raise TypeError(f"Hybrid: `known` must be a js.Equation, got {type(self.known).__name__}.")
        kind = type(self.known)
        if kind.linear is Equation.linear and kind.nonlinear is Equation.nonlinear:
            raise ValueError(f"Hybrid: {kind.__name__} has no right-hand side to add a learned term to.")
        if not callable(self.learned):
            raise TypeError("Hybrid: `learned` must be a callable (t, u) that returns a field.")

    def linear(self, u: State) -> State:
        return self.known.linear(u)

    def nonlinear(self, t, u: State) -> State:
        learned = like_state(self.learned(t, u), u, "Hybrid.learned")
        known = nonlinear_part(self.known, t, u)
        if known is None:
            return learned
        return jax.tree.map(lambda a, b: a + b, known, learned, is_leaf=is_field)

    def constrain(self, u: State) -> State:
        return self.known.constrain(u)

    def tangent(self, rate: State) -> State:
        return self.known.tangent(rate)

    def signal_speeds(self, t, u: State):
        return self.known.signal_speeds(t, u)

    def check(self, u: State) -> None:
        self.known.check(u)


class Pointwise(eqx.Module):
    """A network of the components of a state, applied at every node: $f(u)(x) = f_\\theta(u(x))$.

    **Arguments:**

    - `network`: maps the components at one place, shape `(m,)`, to as many; a scalar field has one.
    - `degree`: polynomial degree that dealiasing takes the network for.
    """

    network: Callable
    degree: int = eqx.field(static=True, default=2)

    def __call__(self, t, u: Field) -> Field:
        return pointwise(lambda a: self._at_nodes(a, u.shape), u, degree=self.degree)

    def _at_nodes(self, values, components):
        if len(components) > 1:
            raise ValueError(f"Pointwise: the state needs one axis of components, got components {components}.")
        places = values.reshape(*(components or (1,)), -1)
        rates = jax.vmap(self.network, in_axes=1, out_axes=1)(places)
        if rates.shape != places.shape:
            raise ValueError(
                f"Pointwise: the network must give {len(places)} numbers at each place, one per component; it gave "
                f"shape {rates.shape[:-1]}."
            )
        return jnp.reshape(rates, values.shape)
