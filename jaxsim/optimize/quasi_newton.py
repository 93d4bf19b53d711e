"""Quasi-Newton methods that hold the inverse Hessian: BFGS and its self-scaled relatives."""

import abc
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ..norms import norm, power_of_two
from .line_search import WolfeSearch
from .method import AbstractMethod
from .problem import finite_loss, flattened, vector_loss
from .product import product
from .rows import Rows


class QuasiNewtonState(eqx.Module):
    """Where a run stands.

    - `memory`: what is known of curvature: the matrix $H$, or pairs of steps and changes of gradient.
    - `loss`: of the model that the last step returned.
    - `gradient`: of that loss, shape `(p,)`.
    - `length`: of the last step, in units of the quasi-Newton step; 0 before the first one, and where no lower loss
        was found.
    """

    memory: Any
    loss: jax.Array
    gradient: jax.Array
    length: jax.Array


class Step(eqx.Module):
    """A step that was taken, from which curvature is learned.

    - `change`: $s$, of parameters.
    - `difference`: $y$, of gradients.
    - `before`: the gradient before the step.
    - `length`: $\\alpha$, in $s = -\\alpha H g$.
    - `lost`: whether $H$ had been given up before the step, for the identity.
    """

    change: jax.Array
    difference: jax.Array
    before: jax.Array
    length: jax.Array
    lost: jax.Array

    @property
    def curved(self) -> jax.Array:
        """Whether $s^T y$ is positive by more than rounding."""
        change, difference = (a / power_of_two(norm(a)) for a in (self.change, self.difference))
        product = change @ difference
        return jnp.isfinite(product) & (product > jnp.finfo(product.dtype).eps * norm(change) * norm(difference))


class AbstractQuasiNewton(AbstractMethod):
    """Steps $s = -\\alpha H g$, whose length $\\alpha$ a line search finds.

    $H$ stays symmetric and positive definite. Where rounding has spoiled it, or no lower loss is found along the
    step, the next one begins with the identity again. After samples or weights have changed, `refresh` makes loss and
    gradient new and keeps $H$.
    """

    search: eqx.AbstractVar[WolfeSearch]

    @abc.abstractmethod
    def start(self, flat: jax.Array) -> Any:
        """The memory that stands for the identity, for a vector of parameters."""

    @abc.abstractmethod
    def times(self, memory: Any, vector: jax.Array) -> jax.Array:
        """$H v$."""

    @abc.abstractmethod
    def learn(self, memory: Any, step: Step) -> Any:
        """The memory after a step."""

    def init(self, blocks: Sequence[Rows], model: Any) -> QuasiNewtonState:
        """The state before the first step.

        **Raises:** an equinox run-time error where the loss is not finite.
        """
        loss = finite_loss(blocks, model, type(self).__name__)
        flat, model_of = flattened(model)
        gradient = jax.grad(vector_loss(blocks, model_of))(flat)
        return QuasiNewtonState(self.start(flat), loss.astype(flat.dtype), gradient, jnp.zeros((), flat.dtype))

    def step(self, blocks: Sequence[Rows], model: Any, state: QuasiNewtonState) -> tuple[Any, QuasiNewtonState]:
        """One step. A model that no length improves is returned as it is."""
        flat, model_of = flattened(model)
        direction = -self.times(state.memory, state.gradient)
        lost = ~(direction @ state.gradient < 0)
        direction = jnp.where(lost, -state.gradient, direction)
        # The identity knows no scale: the first length to try moves parameters by no more than 1.
        unscaled = lost | (state.length == 0)
        first = jnp.where(unscaled, 1 / jnp.maximum(norm(state.gradient), 1), 1)
        evaluate = jax.value_and_grad(vector_loss(blocks, model_of))
        point = self.search(evaluate, flat, direction, state.loss, state.gradient, first)
        change = point.length * direction
        step = Step(change, point.gradient - state.gradient, state.gradient, point.length, lost)
        memory = self.learn(state.memory, step)
        return model_of(flat + change), QuasiNewtonState(memory, point.loss, point.gradient, point.length)

    def refresh(self, blocks: Sequence[Rows], model: Any, state: QuasiNewtonState) -> QuasiNewtonState:
        """The state with loss and gradient of changed blocks, and the memory of curvature as it was."""
        flat, model_of = flattened(model)
        loss, gradient = jax.value_and_grad(vector_loss(blocks, model_of))(flat)
        return QuasiNewtonState(state.memory, loss, gradient, state.length)


class AbstractDense(AbstractQuasiNewton):
    """The Broyden family with self-scaling, for the inverse Hessian as a whole.

    $H_+ = \\frac{1}{\\tau} \\left(H - \\frac{H y y^T H}{y^T H y} + \\varphi\\, (y^T H y)\\, v v^T\\right)
    + \\frac{s s^T}{y^T s}$ with $v = \\frac{s}{y^T s} - \\frac{H y}{y^T H y}$, and with $\\tau$ and $\\varphi$ from
    $b = \\frac{s^T B s}{y^T s}$ and $h = \\frac{y^T H y}{y^T s}$, where $B = H^{-1}$.
    """

    @abc.abstractmethod
    def scaling(self, b: jax.Array, h: jax.Array, size: int) -> tuple[Any, Any]:
        """$\\tau$ and $\\varphi$."""

    def start(self, flat: jax.Array) -> jax.Array:
        """The identity."""
        return jnp.eye(flat.size, dtype=flat.dtype)

    def times(self, memory: jax.Array, vector: jax.Array) -> jax.Array:
        """$H v$."""
        return product(memory, vector)

    def learn(self, memory: jax.Array, step: Step) -> jax.Array:
        """$H$ after a step; as it was where the curvature condition fails."""
        s, y = step.change, step.difference
        fresh = self.start(s)
        known = jnp.where(step.lost, fresh, memory)
        # A choice between vectors first: the choice between matrices then happens within one pass over H.
        image = jnp.where(step.lost, y, product(memory, y))
        both, bent = y @ s, y @ image
        tau, phi = self.scaling(-step.length * (s @ step.before) / both, bent / both, s.size)
        v = s / both - image / bent
        inner = known - jnp.outer(image, image) / bent + (phi * bent) * jnp.outer(v, v)
        after = inner / tau + jnp.outer(s, s) / both
        good = step.curved & (bent > 0) & jnp.isfinite(tau * phi) & (tau > 0)
        return jnp.where(good, after, jnp.where(step.length == 0, fresh, known))


class BFGS(AbstractDense):
    """The method of Broyden, Fletcher, Goldfarb and Shanno, $\\tau = \\varphi = 1$.

    **Arguments:**

    - `search`: for the length of a step.

    Reference: Nocedal and Wright, Numerical Optimization, 2nd edition (2006), algorithm 6.1.
    """

    search: WolfeSearch = WolfeSearch()

    def scaling(self, b: jax.Array, h: jax.Array, size: int) -> tuple[Any, Any]:
        """$\\tau$ and $\\varphi$."""
        return jnp.ones_like(b), jnp.ones_like(b)


class SSBFGS(AbstractDense):
    """BFGS with the self-scaling of Al-Baali, $\\tau = \\min(1, 1/b)$ and $\\varphi = 1$.

    **Arguments:**

    - `search`: for the length of a step.

    Reference: Al-Baali, Numerical experience with a class of self-scaling quasi-Newton algorithms, J. Optim. Theory
    Appl. 96, 533 (1998).
    """

    search: WolfeSearch = WolfeSearch()

    def scaling(self, b: jax.Array, h: jax.Array, size: int) -> tuple[Any, Any]:
        """$\\tau$ and $\\varphi$."""
        return jnp.minimum(1, 1 / b), jnp.ones_like(b)


class SSBroyden(AbstractDense):
    """A self-scaled method of the Broyden family, with the member chosen anew in each step.

    With $a = b h - 1$ and $c = \\sqrt{a / (1 + a)}$, the parameter $\\theta$ lies between $\\theta_- = (\\rho - 1)/a$
    and $\\theta_+ = 1/\\rho$, $\\rho = \\min(1, h (1 - c))$, as near to $(1 - b)/b$ as these allow;
    $\\sigma = 1 + \\theta a$; $\\varphi = (1 - \\theta)/\\sigma$; and $\\tau$ is $\\min(1, 1/b)$ times
    $\\min(\\sigma^{-1/(p-1)}, 1/\\theta)$ where $\\theta > 0$, and else the lesser of $\\sigma$ and
    $\\min(1, 1/b)\\, \\sigma^{-1/(p-1)}$.

    **Arguments:**

    - `search`: for the length of a step.

    References: Al-Baali and Khalfan, Wide interval for efficient self-scaling quasi-Newton algorithms, Optim. Methods
    Softw. 20, 679 (2005); for networks, Urbán, Stefanou and Pons, Unveiling the optimization process of physics
    informed neural networks, J. Comput. Phys. 523, 113656 (2025).
    """

    search: WolfeSearch = WolfeSearch()

    def scaling(self, b: jax.Array, h: jax.Array, size: int) -> tuple[Any, Any]:
        """$\\tau$ and $\\varphi$."""
        # By the inequality of Cauchy and Schwarz a is not negative; rounding may have it so.
        a = jnp.maximum(b * h - 1, jnp.finfo(b.dtype).eps)
        rho = jnp.minimum(1, h * (1 - jnp.sqrt(a / (1 + a))))
        theta = jnp.maximum((rho - 1) / a, jnp.minimum(1 / rho, (1 - b) / b))
        sigma = 1 + theta * a
        plain, spread = jnp.minimum(1, 1 / b), sigma ** (-1 / max(size - 1, 1))
        above = plain * jnp.minimum(spread, 1 / theta)
        tau = jnp.where(theta > 0, above, jnp.minimum(plain * spread, sigma))
        return tau, (1 - theta) / sigma
