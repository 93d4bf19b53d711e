"""Training by gradients: any transformation of optax."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from .method import AbstractMethod
from .parameters import combine, partition
from .problem import finite_loss
from .rows import Rows, total_loss


class FirstOrderState(eqx.Module):
    """Where a run stands.

    - `optimizer`: the state of the transformation.
    - `loss`: of the model that the last step began with; not finite where that step spoiled a parameter.
    """

    optimizer: Any
    loss: jax.Array


class FirstOrder(AbstractMethod):
    """Steps along the gradient of the loss, as a transformation of optax makes them.

    Each step evaluates the loss and its gradient once, for the samples of the moment, so that samples may be drawn
    anew before every step. The loss in the state is therefore that of the model before the step, while every other
    method has that of the model after it.

    **Arguments:**

    - `optimizer`: such as `optax.adam(1e-3)`, `soap(3e-3)` or an `optax.chain`, with schedules or without. It gets the
        loss as `value` and the loss of other parameters as `value_fn`, where it asks for them.
    """

    optimizer: optax.GradientTransformation = eqx.field(static=True)

    def __check_init__(self):
        if not isinstance(self.optimizer, optax.GradientTransformation):
            raise TypeError("FirstOrder: `optimizer` is a transformation of optax, such as optax.adam(1e-3).")

    def init(self, blocks: Sequence[Rows], model: Any) -> FirstOrderState:
        """The state before the first step.

        **Raises:** an equinox run-time error where the loss is not finite.
        """
        return FirstOrderState(self.optimizer.init(partition(model)[0]), finite_loss(blocks, model, "FirstOrder"))

    def step(self, blocks: Sequence[Rows], model: Any, state: FirstOrderState) -> tuple[Any, FirstOrderState]:
        """One step."""
        parameters, rest = partition(model)
        loss_of = lambda parameters: total_loss(blocks, combine(parameters, rest))
        loss, gradient = jax.value_and_grad(loss_of)(parameters)
        optimizer = optax.with_extra_args_support(self.optimizer)
        updates, memory = optimizer.update(gradient, state.optimizer, parameters, value=loss, grad=gradient,
                                           value_fn=loss_of)  # fmt: skip
        parameters = optax.apply_updates(parameters, updates)
        finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(parameters)]))
        return combine(parameters, rest), FirstOrderState(memory, jnp.where(finite, loss, jnp.nan))
