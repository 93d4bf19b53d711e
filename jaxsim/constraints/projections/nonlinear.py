"""States held to any equations."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ...optimize import OnFailure, ProjectedNewton, Solved, nearest
from ...optimize.solves.varying import alike
from . import _states
from ._outcome import thawed
from ._states import State


class NonlinearProjection(eqx.Module):
    """The nearest state whose quantities have given values, $P y = \\arg\\min_x |x - y|_W^2$ with $q(x) = b$.

    For what no closed form is known: energy and enstrophy at once, a norm other than the metric's, the law of a gas. It
    linearizes and projects until the equations are met, see `jaxsim.optimize.nearest`, which has the derivatives, too.

    **Arguments:**

    - `quantities`: $q$, a function of the state that returns a pytree of numbers, fewer than the state has. Arrays that
        it closes over are differentiated.
    - `values`: $b$, numbers or a pytree like what `quantities` returns; 0 by default. `None` leaves them to be taken
        from a state with `of`.
    - `metric`: $W$, positive weights that broadcast against the state, or a `Quadrature`. By default that of a field's
        integral, and 1 for arrays.
    - `method`: `jaxsim.optimize.ProjectedNewton()` by default, with its tolerance and step limit. A smaller tolerance,
        such as 1e-13, keeps long runs at rounding.
    - `on_failure`: what happens where the equations were not met.

    Reference: Nocedal and Wright, Numerical Optimization (2006), chapter 18; Lastrucci and Schweidtmann, ENFORCE:
    nonlinear constrained learning with adaptive-depth neural projection (arXiv 2502.06774), for the layer.

    !!! example

        ```python
        both = lambda w: (js.inner(w, w), js.inner(w, js.inverse_laplacian(w)))    # enstrophy and energy
        keep = NonlinearProjection(both).of(w0)
        ```
    """

    quantities: Callable
    values: Any = 0.0
    metric: Any = None
    method: ProjectedNewton | None = None
    on_failure: OnFailure = eqx.field(static=True, default=OnFailure.RAISE)

    @property
    def complete(self) -> bool:
        """Whether there are values to be held to."""
        return self.values is not None

    def of(self, state: State) -> "NonlinearProjection":
        """The same projection, to the values that a state has."""
        return dataclasses.replace(self, values=self.quantities(state))

    def __call__(self, state: State) -> State:
        """The projected state.

        **Raises:** `ValueError` where values are missing or of another structure than the quantities.
        """
        return self.solve(state).value

    def solve(self, state: State, guess: State | None = None) -> Solved:
        """The projected state, with what is known of it.

        **Arguments:**

        - `guess`: where to begin; the state itself by default.

        **Returns:** a `Solved` whose `residual` is $|q - b|$, and whose `rank` and `condition` are those of the
        derivative of $q$ in the metric.
        """
        if self.values is None:
            raise ValueError("NonlinearProjection: there are no values to hold the quantities to. Give `values`, or "
                             "take those of a state: `projection.of(u0)(u)`.")  # fmt: skip
        point, rebuild, _ = _states.flattened(state)
        weights = _states.flat_weights(state, thawed(self.metric), "NonlinearProjection").astype(point.dtype)
        shapes = jax.eval_shape(self.quantities, state)
        values = thawed(self.values)
        if jax.tree_util.all_leaves([values]):
            values = jax.tree.map(lambda _: values, shapes)
        try:
            wanted = jax.tree.map(lambda like, b: jnp.broadcast_to(jnp.asarray(b), like.shape), shapes, values)
        except ValueError as error:
            raise ValueError(f"NonlinearProjection: `values` must be like what `quantities` returns, {shapes}; got "
                             f"{eqx.tree_pformat(values)}.") from error  # fmt: skip

        def excess(vector, given):
            wanted, quantities = given
            found = _states.real_vector(quantities(rebuild(vector)))
            return found.astype(vector.dtype) - _states.real_vector(wanted).astype(vector.dtype)

        wanted, weights = alike((wanted, weights), point)
        start = None if guess is None else _states.flattened(guess)[0]
        solved = nearest(point, excess, (wanted, self.quantities), metric=weights, guess=start, method=self.method,
                         on_failure=self.on_failure)  # fmt: skip
        return eqx.tree_at(lambda s: s.value, solved, rebuild(solved.value))
