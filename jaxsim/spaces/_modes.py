"""The diagonal form of finite differences: one basis per axis."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..field import Field
from . import _stencils
from ._axis import Axis
from ._base import Modes, NoDiagonalForm, real_dtype
from ._walls import Traces


class Nodal(eqx.Module):
    """What a finite-difference field holds.

    `values` are nodal values, `(*components, *grid.shape)`; or, in a probe of `FiniteDifferenceModes`
    (`modal`), Fourier amplitudes. `traces` is what is known of the field at each wall, `None` for the
    conditions of the space. `taken` counts the derivatives across the walls of each axis that it was made with.
    """

    values: jax.Array | np.ndarray
    traces: Traces | None = None
    modal: bool = eqx.field(static=True, default=False)
    taken: tuple[int, ...] | None = eqx.field(static=True, default=None)


class FiniteDifferenceModes(Modes):
    """Constant-coefficient operators multiply the modes of one basis per axis.

    On periodic axes that is the discrete Fourier transform, without a factor (of real fields the last of them has
    half of the modes), between walls the eigenvectors of the second derivative under the conditions of both
    sides. A probe holds amplitudes, and derivatives multiply them by the exact eigenvalues of their stencils, so
    that small eigenvalues are as accurate as large ones in every precision. Between walls only the second
    derivative of a field that has the conditions of the space is diagonal.
    """

    space: Any  # a FiniteDifference
    bases: tuple

    @property
    def closed(self) -> tuple[int, ...]:
        """Axes that close on themselves."""
        return tuple(axis for axis, basis in enumerate(self.bases) if basis is None)

    def eigenvalues(self, axis: int, derivative: int):
        """Eigenvalues of a derivative as an array that broadcasts against modes."""
        if self.bases[axis] is not None:
            values = self.bases[axis].eigenvalues
        else:
            n = self.space.shape[axis]
            values = _stencils.symbol(derivative, self.space.order, n, self.space.grid.spacing[axis])
            values = values[: n // 2 + 1] if self.space.real and axis == self.closed[-1] else values
        shape = [1] * self.space.dimension
        shape[axis] = len(values)
        return values.reshape(shape)

    def probe(self, components: tuple[int, ...], component: tuple[int, ...]) -> Field:
        half = self.closed[-1] if self.space.real and self.closed else None
        modes = (n // 2 + 1 if axis == half else n for axis, n in enumerate(self.space.shape))
        amplitudes = np.zeros((*components, *modes), complex)
        amplitudes[component] = 1.0
        return Field(self.space, Nodal(amplitudes, modal=True))

    def symbol(self, u: Field):
        if not u.data.modal:
            raise varying_error()
        return u.data.values

    def to_modes(self, state: jax.Array) -> jax.Array:
        first = state.ndim - self.space.dimension
        for axis, basis in enumerate(self.bases):
            state = state if basis is None else basis.forward(state, first + axis)
        closed = [first + axis for axis in self.closed]
        if not closed:
            return state
        return jnp.fft.rfftn(state, axes=closed) if self.space.real else jnp.fft.fftn(state, axes=closed)

    def from_modes(self, amplitudes: jax.Array) -> jax.Array:
        first = amplitudes.ndim - self.space.dimension
        closed = [first + axis for axis in self.closed]
        if closed:
            back = jnp.fft.irfftn if self.space.real else jnp.fft.ifftn
            amplitudes = back(amplitudes, s=[self.space.shape[axis] for axis in self.closed], axes=closed)
        for axis, basis in enumerate(self.bases):
            amplitudes = amplitudes if basis is None else basis.backward(amplitudes, first + axis)
        return amplitudes

    def white(self, key: jax.Array, components: tuple[int, ...], dtype) -> jax.Array:
        space, count = self.space, float(np.prod([self.space.shape[axis] for axis in self.closed]))
        # Drawn in single precision, so that a key means one noise whatever the precision of a run.
        draws = jax.random.normal(key, (*components, *space.shape), jnp.float32 if space.real else jnp.complex64)
        draws = draws.astype(dtype)
        closed = [len(components) + axis for axis in self.closed]
        if closed:  # the transform of unit waves has the size of their number of nodes
            draws = np.sqrt(count) * (jnp.fft.rfftn if space.real else jnp.fft.fftn)(draws, axes=closed)
        for axis, basis in enumerate(self.bases):
            if basis is not None:
                lengths = _root_mean_squares(basis, space.axes[axis])
                shape = [-1 if a == axis else 1 for a in range(space.dimension)]
                draws = draws / jnp.asarray(lengths, real_dtype(dtype)).reshape(shape)
        return draws

    def multiplicity(self) -> np.ndarray:
        shape = [1] * self.space.dimension
        if not (self.space.real and self.closed):
            return np.ones(shape)
        axis, n = self.closed[-1], self.space.shape[self.closed[-1]]
        k = np.arange(n // 2 + 1)
        shape[axis] = len(k)
        return np.where((k == 0) | (2 * k == n), 1.0, 2.0).reshape(shape)


def _root_mean_squares(basis, axis: Axis):
    """Of the eigenvectors of an axis between walls, over its length."""
    with jax.ensure_compile_time_eval():
        vectors = basis.backward(np.eye(axis.count), 0)
    volumes = axis.volumes()  # among them those of nodes on walls that are no unknowns
    first = int(len(volumes) > axis.count and axis.gaps[0] == 1)
    shares = volumes[first : first + axis.count] / axis.extent
    xp = jnp if isinstance(vectors, jax.core.Tracer) else np
    return xp.sqrt(shares @ xp.square(vectors))


def modal_partial(u: Field, axis: int, order: int) -> Nodal:
    """What a probe holds after a derivative; refused where the eigenvectors do not diagonalize it."""
    modes = u.space.modes()
    walled = modes.bases[axis] is not None
    if walled and (order != 2 or u.data.traces is not None):
        raise NoDiagonalForm(
            "between walls only second derivatives of the state itself have a diagonal form: move other derivatives "
            "from `linear` to `nonlinear`, or take a diffrax solver such as diffrax.Tsit5()."
        )
    values = _times(u.data.values, modes.eigenvalues(axis, order))
    return Nodal(values, modal=True)  # even derivatives have the conditions of the space again


def inverse_laplacian(modes: FiniteDifferenceModes, values):
    """Values whose Laplacian is given, up to the modes that it annihilates, which are left out."""
    symbols = [modes.eigenvalues(axis, 2) for axis in range(modes.space.dimension)]
    return modes.from_modes(over_total(modes.to_modes(values), symbols))


def over_total(amplitudes, symbols):
    """Amplitudes over the sum of symbols, zero where that vanishes."""
    xp, dtype = _home(amplitudes), real_dtype(amplitudes.dtype)
    total = sum(xp.asarray(s, dtype) for s in symbols)
    return amplitudes * xp.where(total == 0, 0, 1 / xp.where(total == 0, 1, total))


def varying_error() -> ValueError:
    """The error for a linear part whose image of a probe is no probe."""
    return ValueError(
        "`linear` must be linear with constant coefficients: it multiplied or added something that varies in "
        "space. Move that part to `nonlinear`."
    )


def _home(array):
    return np if isinstance(array, np.ndarray) else jnp


def _times(modes, symbol: np.ndarray):
    if isinstance(modes, np.ndarray):
        return symbol * modes
    dtype = modes.dtype if np.iscomplexobj(symbol) else real_dtype(modes.dtype)
    return jnp.asarray(symbol, dtype) * modes
