"""The words that equations are written in: free functions that dispatch on what the field is made of."""

import functools
import operator
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from .boxes import placed
from .field import Field, matched
from .norms import power_of_two
from .sizes import whole


def _field(u) -> Field:
    if not isinstance(u, Field):
        raise TypeError(f"expected a Field (made by `space.field(...)` or `js.Function(...)`), got {type(u).__name__}.")
    return u


def _axis(axis) -> int:
    try:
        return operator.index(axis)
    except TypeError:
        raise TypeError(f"partial: an axis is a whole number, 0 the first; got {axis!r}.") from None


def _vector(u: Field, name: str) -> Field:
    dimension = _field(u).space.dimension
    if dimension is not None and not u.space.is_vector(u):
        raise ValueError(
            f"{name} needs a vector field with {dimension} leading components, one per axis; got components {u.shape}."
        )
    return u


def _dimension(u: Field) -> int:
    if u.space.dimension is None:
        raise ValueError(
            "this field does not know its dimension yet: pass `dimension=` to `js.Function`, or use `js.residual`."
        )
    return u.space.dimension


def partial(u: Field, axis: int, order: int = 1) -> Field:
    """Derivative along a spatial axis, $\\partial^n u / \\partial x_a^n$.

    **Arguments:**

    - `u`: any field.
    - `axis`: spatial axis, 0 is the first.
    - `order`: order of the derivative, a whole number of at least 0.

    **Returns:** a field with the same components.
    """
    order, axis = whole(order, "partial: `order`", least=0), _axis(axis)
    return _field(u) if order == 0 else _field(u).space.partial(u, axis, order)


def grad(u: Field) -> Field:
    """Gradient: a new leading axis of size `dimension`, `grad(u)[i] = partial(u, i)`."""
    return stack(*(partial(u, axis) for axis in range(_dimension(_field(u)))))


def div(u: Field) -> Field:
    """Divergence of a vector field, $\\sum_i \\partial_i u_i$; the leading axis is summed."""
    _dimension(u)
    return _vector(u, "div").space.divergence(u)


def curl(u: Field) -> Field:
    """Curl.

    In three dimensions of a vector (a vector). In two, of a vector the scalar $\\partial_x v - \\partial_y u$, and of
    a scalar $\\psi$ the vector $(\\partial_y \\psi, -\\partial_x \\psi)$, so that `curl(curl(psi))` is
    `-laplacian(psi)`.
    """
    dimension = _dimension(_field(u))
    if dimension == 1:
        raise ValueError("curl needs two or three dimensions.")
    return (u if dimension == 2 and u.shape == () else _vector(u, "curl")).space.curl(u)


def cross(u: Field, v: Field) -> Field:
    """Cross product of two vectors in three dimensions, or its scalar component for vectors in the plane."""
    dimension = _dimension(_field(u))
    for vector in (u, v):
        _vector(vector, "cross")
    if dimension == 2:
        return u[0] * v[1] - u[1] * v[0]
    if dimension == 3:
        return stack(*(u[a] * v[b] - u[b] * v[a] for a, b in ((1, 2), (2, 0), (0, 1))))
    raise ValueError("cross needs two or three dimensions.")


def laplacian(u: Field) -> Field:
    """Laplacian of every component, $\\sum_i \\partial_i^2 u$."""
    return _field(u).space.laplacian(u)


def inverse_laplacian(u: Field) -> Field:
    """The solution $\\psi$ of $\\nabla^2 \\psi = u$ with the conditions of the space, for every component.

    On periodic boxes, and between walls that only prescribe slopes, it has zero mean and solves
    $\\nabla^2 \\psi = u - c$, with the constant $c$ for which there is a solution: the mean of $u$ where nothing enters
    through the walls. To be told where that constant is not zero take `js.inverse_helmholtz(u, 0, -1)`.
    """
    return _field(u).space.inverse_laplacian(u)


def inverse_helmholtz(u: Field, shift=0.0, diffusivity=1.0) -> Field:
    """The solution $w$ of $\\sigma w - D\\,\\nabla^2 w = u$ with the conditions of the space, for every component.

    By the eigenvectors of the Laplacian, to rounding, for boundary data that are zero or not. A step of implicit
    diffusion is $\\sigma = 1$, $D = h\\nu$; Poisson's equation $\\sigma = 0$, $D = -1$.

    **Arguments:**

    - `u`: the source; its own values at the walls do not matter.
    - `shift`: $\\sigma$, a number.
    - `diffusivity`: $D$, a number.

    **Raises:** where there is no solution, because source and boundary data do not balance. Where there are many, the
    one without a constant part is returned.
    """
    return _field(u).space.inverse_helmholtz(u, shift, diffusivity)


def project(u: Field, beside: Field | None = None) -> Field:
    """Leray projection of a vector field on its divergence-free part, $P u = u - \\nabla \\nabla^{-2} \\nabla\\cdot u$.

    The mean is kept. Idempotent to rounding. Between walls (`js.Staggered`) the result passes them as the conditions
    say where `u` is a velocity that has them, and as their rate of change says where it is a rate.

    **Arguments:**

    - `u`: a field with one leading component per axis.
    - `beside`: another one, $v$, that is integrated apart from the result, such as the viscous part of a right-hand
        side: the result is $P(u + v) - v$. On periodic boxes, where $v$ is free of divergence with the velocity, that
        is $P u$.
    """
    return _vector(u, "project").space.project(u, beside)


def potential(u: Field) -> Field:
    """The scalar $\\phi$ with $u - P u = \\nabla\\phi$: the pressure of a rate of change.

    Of zero mean where no side of the box is open.
    """
    return _vector(u, "potential").space.potential(u)


def directed(scalar: Field, direction: Sequence, like: Field) -> Field:
    """A scalar times a constant vector, as a field like the velocity `like`: a buoyancy, on its own nodes.

    **Arguments:**

    - `scalar`: a scalar field; beside a `js.Staggered` velocity, on a space of its `scalar`.
    - `direction`: one number per axis.
    - `like`: the velocity.
    """
    return _vector(like, "directed").space.directed(scalar, direction)


def dot(u: Field, v: Field) -> Field:
    """Sum over the leading axis of the products, $\\sum_i u_i v_i$ (no conjugate)."""
    if _field(u).shape[:1] != _field(v).shape[:1] or not u.shape:
        raise ValueError(f"dot needs two fields with equally many components, got {u.shape} and {v.shape}.")
    return sum_fields(a * b for a, b in zip(u, v, strict=True))


def advect(velocity: Field, u: Field) -> Field:
    """Convective derivative, $\\sum_i v_i \\partial_i u$; each component of `u` is advected.

    On a `js.Staggered` velocity it is $\\nabla\\cdot(v u)$, which is the same where the velocity has no divergence.
    """
    _dimension(velocity)
    return _vector(velocity, "advect").space.advect(velocity, u)


def convection(u: Field) -> Field:
    """Convection of a velocity by itself, $u\\cdot\\nabla u$ up to a gradient, which `project` removes.

    In the form that suits the space: the rotational $\\omega\\times u$ of pseudo-spectral solvers, or differences of
    fluxes on a `js.Staggered` grid.
    """
    _dimension(u)
    return _vector(u, "convection").space.convection(u)


def integral(u: Field) -> jax.Array:
    """Integral over the box, for every component: shape of the components. Exact for resolved modes."""
    return _field(u).space.integral(u)


def mean(u: Field) -> jax.Array:
    """Mean over the box, for every component."""
    return integral(u) / u.space.volume


def inner(u: Field, v: Field) -> jax.Array:
    """Inner product $\\int \\bar u v$, summed over all components: a scalar."""
    return jnp.sum(integral((u.conj() if jnp.issubdtype(u.dtype, jnp.complexfloating) else u) * v))


def norm(u: Field) -> jax.Array:
    """Norm $(\\int |u|^2)^{1/2}$ over all components: a real scalar, whose derivative at zero is zero."""
    precision = jnp.finfo(_field(u).dtype).dtype
    arrays = [leaf for leaf in jax.tree.leaves(u.data) if jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)]
    sizes = [jnp.max(jnp.abs(leaf), initial=0).astype(precision) for leaf in arrays]  # see norms.py
    scale = power_of_two(functools.reduce(jnp.maximum, sizes)) if sizes else jnp.ones(())
    part = u * (1 / scale)
    square = jnp.real(inner(part, part))
    positive = square > 0
    return scale * jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1)), jnp.where(square == 0, 0, jnp.nan))


def pointwise(function: Callable, *fields: Field, degree: int = 2) -> Field:
    """A function of nodal values as a field, e.g. `pointwise(jnp.sin, u)`.

    **Arguments:**

    - `function`: maps nodal arrays of shape `(..., *grid)` to one.
    - `fields`: its arguments.
    - `degree`: polynomial degree that dealiasing takes the function for; a function that is no polynomial needs a
      guess, and a finer grid shows whether it was enough.
    """
    fields = matched(*map(_field, fields))
    return fields[0].space.pointwise(function, *fields, degree=degree)


def stack(*fields: Field | Sequence[Field]) -> Field:
    """Fields as the components of one: a new leading axis. `stack(u, v)` or `stack([u, v])`."""
    members = fields[0] if len(fields) == 1 and not isinstance(fields[0], Field) else fields
    members = matched(*map(_field, members))
    return members[0].space.stack(members)


def canonical(u: Field) -> Field:
    """The same field in the one form that loops carry: modes, or nodal values with the conditions of the space.

    What a field holds depends on how it was made, so that the state of a `jax.lax.scan` and what a step makes of it are
    different pytrees. Canonical fields of one space are alike: begin with `canonical(u)` and end the body, or each
    branch of a `jax.lax.cond`, with it. Runs of equations (`js.rollout`, `js.solve`) need none of it.

    Products are projected on the modes of a `Fourier` space; between walls the result has the conditions of the space,
    whatever `u` knew.
    """
    return _field(u).space.bind(u.space.state(u))


def sample(function: Callable, t, u: Field) -> Field:
    """A function of time and position, `function(t, x, ...)`, as a field on the space of `u`.

    The function gets one array per axis and returns values of shape `(..., *grid)`, taken in the precision of `u`.
    Those of `js.initial` and the forces of `js.equations` take the box of the space.
    """
    grid = getattr(_field(u).space, "grid", None)
    if grid is not None:
        function = placed(function, grid, getattr(u.space, "periodic", None))
    return u.space.in_precision(u.space.sample(function, t), u)


def sum_fields(fields) -> Field:
    """Sum of an iterable of fields."""
    first, *rest = fields
    for u in rest:
        first = first + u
    return first
