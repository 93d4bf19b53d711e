"""Increments of white noise over steps of one size, with the law of the stochastic convolution.

The solution of $du = (L u + N)\\,dt + dW$ is, by variation of constants,

$$u(t + h) = e^{hL} u(t) + \\int_0^h e^{(h - s)L} N\\,ds + \\int_0^h e^{(h - s)L}\\,dW(s).$$

The last integral does not depend on the solution. It is normal with mean zero and, where $L$ has the eigenvalue
$\\lambda$, the variance

$$\\sigma^2 \\int_0^h e^{2 s \\operatorname{Re}\\lambda}\\,ds
= \\sigma^2\\, h\\, \\varphi_1(2 h \\operatorname{Re}\\lambda).$$

It can be drawn exactly, and then a linear equation has the right law at every step size. Where $L$ couples components
the covariance $\\int_0^h e^{sL} S e^{sL^*} ds$ is $h \\varphi_1(hK)$ applied to $S$, with $K$ the Kronecker sum of $L$
and its conjugate, and a Cholesky factor of it makes the increment. The rest of the equation is solved between the
increments, which is of first order in the step, in law.

References: Jentzen and Kloeden, Proc. R. Soc. A 465 (2009) 649, which draw the same integral; Lord, Powell and
Shardlow, An Introduction to Computational Stochastic PDEs (2014), chapter 10.
"""

import math
from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..equations import Equation, tangent_part
from ..linear import Blocks, Diagonal
from ..spaces import Space
from .phi import array_namespace, matrix_phis, phis
from .semilinear import AbstractSemilinearSolver, scaled_by
from .term import SemilinearTerm
from .white_noise import AbstractWhiteNoise, BandNoise, on_host
from .wrapped import AbstractTransparentSolver, innermost


class Kicks(eqx.Module):
    """What is drawn in every step.

    - `scales`: for each array of a state the deviations of its modes, `None` where it has no noise.
    - `sources`: where components are coupled, for each of them that is forced its deviations and the factor of the
        covariance that it causes; `None` for the others, so that what a key means does not depend on them.
    - `projected`: whether the noise is projected on the equation's constraint.
    """

    scales: list
    sources: list
    projected: bool = eqx.field(static=True)

    def on(self, term: SemilinearTerm, y: Any, key: jax.Array) -> SemilinearTerm:
        """The term of a step with the increment that its end takes."""
        kick = self._coupled(term, y, key) if any(s is not None for s in self.sources) else self._separate(term, y, key)
        if self.projected:
            rate = tangent_part(term.equation, term.bind(term.from_modes(kick)))
            kick = term.to_modes(term.unbind(rate))
        return SemilinearTerm(term.equation, term.space, term.origin, kick)

    def _separate(self, term, y, key):
        white = _white(term, y, key, [scale is not None for scale in self.scales])
        kicks = [None if w is None else scale * w for scale, w in zip(self.scales, white, strict=True)]
        kicks = [jnp.zeros_like(a) if k is None else k for k, a in zip(kicks, jax.tree.leaves(term.to_modes(y)))]
        return jax.tree.unflatten(jax.tree.structure(y), kicks)

    def _coupled(self, term, y, key):
        total = None
        for number, source in enumerate(self.sources):
            if source is None:
                continue
            deviation, factor = source
            white = _white(term, y, jax.random.fold_in(key, number), [True] * len(jax.tree.leaves(y)))
            draws = jax.tree.unflatten(jax.tree.structure(y), [deviation * w for w in white])
            part = factor.mv(draws)
            total = part if total is None else jax.tree.map(lambda a, b: a + b, total, part)
        return total


class Kicked(AbstractTransparentSolver):
    """A stock solver whose steps end with the increment of noise that their term carries.

    Slopes that the solver keeps from one step to the next belong to the state before the noise, so it begins anew in
    every step: schemes whose last slope is the first of the next step evaluate once more.
    """

    solver: dfx.AbstractSolver

    def step(self, terms, t0, t1, y0, args, solver_state, made_jump):
        fresh = self.solver.init(terms, t0, t1, y0, args)
        y1, error, dense, _, result = self.solver.step(terms, t0, t1, y0, args, fresh, made_jump)
        y1 = jax.tree.map(lambda a, b: a + b, y1, terms.from_modes(terms.kick))
        y1 = terms.kept(t1, y1)
        return y1, error, {**dense, "y1": y1} if "y1" in dense else dense, solver_state, result


def noisy(solver: dfx.AbstractSolver, noise: Any, key: Any, term: SemilinearTerm, h, y: Any
          ) -> tuple[dfx.AbstractSolver, Kicks | None]:  # fmt: skip
    """A solver that takes noise, and the increments for steps of size `h`; `None` where there is no noise.

    **Raises:** `ValueError` for a solver whose steps would give noise another law, and for a space without modes.
    """
    if noise is None:
        if key is not None:
            raise ValueError("`key` is for noise: give `noise=js.integrate.WhiteNoise(...)` too, or leave it out.")
        return solver, None
    if key is None:
        raise ValueError("noise needs a `key`, such as jax.random.key(0).")
    inner, wrapper = innermost(solver), solver
    while type(wrapper).__mro__.count(AbstractTransparentSolver):  # diffrax's `isinstance` looks through wrappers
        wrapper = wrapper.solver
    if wrapper is not inner and isinstance(inner, AbstractSemilinearSolver):
        raise ValueError(f"noise: {type(wrapper).__name__} takes several steps in one; give the solver inside.")
    if not isinstance(inner, AbstractSemilinearSolver):
        solver = Kicked(solver)
    elif not inner.takes_noise:
        raise ValueError(
            f"noise: {type(inner).__name__} takes differences of past states and would count each increment again; "
            "take ETDAB2, IMEXRK2 or an exponential Runge-Kutta scheme."
        )
    return solver, kicks(noise, term, h, y)


def kicks(noise: Any, term: SemilinearTerm, h, y: Any) -> Kicks:
    """The increments of noise over steps of size `h`, with their coefficients in double precision where they can be."""
    per_field = _per_field(noise, term.space)
    arrays, parts = jax.tree.leaves(y), _part_spaces(term)
    for part in parts:
        if part.modes() is None:
            raise ValueError(
                f"noise: this {type(part).__name__} (its order, its sides or its mesh) has no modes, whose amplitudes "
                "noise is made of: take Fourier, or FiniteDifference up to order 6 without a mesh."
            )
    shapes = [array.shape[: array.ndim - part.dimension] for array, part in zip(arrays, parts, strict=True)]
    shares = _shares(term, y, [math.prod(shape) for shape in shapes])
    deviations = [
        None if one is None else _deviations(one, part, shape, share, index)
        for (one, index), part, shape, share in zip(per_field, parts, shapes, shares, strict=True)
    ]
    symbol, projected, dtype = term.symbol(y), shares[0] is not None, jnp.result_type(*arrays)
    precision = jnp.finfo(dtype).dtype
    if isinstance(symbol, Diagonal):
        growth = jax.tree.leaves(symbol.entries)
        scales = [None if d is None else _rounded(d * _diagonal(z, h), precision) for d, z in zip(deviations, growth)]
        return Kicks(scales, [], projected)
    assert isinstance(symbol, Blocks)
    modes, rows = symbol.matrices.shape[:-2], []
    for d, shape in zip(deviations, shapes, strict=True):
        every = None if d is None else array_namespace(d).broadcast_to(d, (*shape, *modes)).reshape(-1, *modes)
        rows += [None] * math.prod(shape) if every is None else list(every)
    forced = [d is not None and (isinstance(d, jax.Array) or bool(np.any(d != 0))) for d in rows]
    factors = covariance_factors(symbol.matrices, h, forced)
    sources = [None if f is None else (_rounded(d, precision), Blocks(f).rounded(dtype)) for d, f in zip(rows, factors)]
    return Kicks([None] * len(arrays), sources, projected)


def covariance_factors(matrices, h, forced: list[bool]) -> list:
    """For each component that is forced a matrix $G$ per mode with $G G^* = \\int_0^h e^{sL} e_c e_c^T e^{sL^*} ds$.

    **Arguments:**

    - `matrices`: $L$, shape `(*modes, m, m)`; on the host, or traced.
    - `h`: the step size.
    - `forced`: which of the `m` components have noise; the others give `None`.

    **Returns:** a list of `m` arrays `(*modes, m, m)`.
    """
    known = isinstance(matrices, np.ndarray) and not isinstance(h, jax.core.Tracer)
    return (_covariance_factors if known else eqx.filter_jit(_covariance_factors))(matrices, h, tuple(forced))


def _covariance_factors(matrices, h, forced: tuple[bool, ...]) -> list:
    m, xp = matrices.shape[-1], array_namespace(matrices)
    eye = np.eye(m)
    # vec(L S + S L*) = K vec(S) for rows one after the other
    left, right = matrices[..., :, None, :, None], xp.conj(matrices)[..., None, :, None, :]
    sums = (left * eye[:, None, :] + eye[:, None, :, None] * right).reshape(*matrices.shape[:-2], m * m, m * m)
    integral = matrix_phis(1, scaled_by(1.0, h, sums))[1]
    size = float(h) if not isinstance(h, jax.core.Tracer) else h

    def factor(c):
        return _cholesky(size * integral[..., :, c * m + c].reshape(matrices.shape))

    return [factor(c) if present else None for c, present in enumerate(forced)]


def _cholesky(covariance):
    """The Cholesky factor of small matrices, with a column of zeros for each direction without variance."""
    m, xp = covariance.shape[-1], array_namespace(covariance)
    dtype = covariance.dtype
    tiny = 100 * float(np.finfo(dtype).eps)
    rows = [[xp.zeros_like(covariance[..., 0, 0]) for _ in range(m)] for _ in range(m)]
    for j in range(m):
        whole = xp.real(covariance[..., j, j])
        rest = whole - sum(xp.real(rows[j][k] * xp.conj(rows[j][k])) for k in range(j))
        present = rest > tiny * whole
        root = xp.sqrt(xp.where(present, rest, 1))
        rows[j][j] = xp.where(present, root, 0).astype(dtype)
        for i in range(j + 1, m):
            inner = covariance[..., i, j] - sum(rows[i][k] * xp.conj(rows[j][k]) for k in range(j))
            rows[i][j] = xp.where(present, inner / root, 0)
    return xp.stack([xp.stack(row, -1) for row in rows], -2)


def _diagonal(symbol, h):
    """The deviation of the convolution of one mode, $\\sqrt{h \\varphi_1(2 h \\operatorname{Re}\\lambda)}$."""
    real = np.real(symbol) if isinstance(symbol, np.ndarray) else jnp.real(symbol)
    value = phis(1, scaled_by(2.0, h, real))[1]
    return np.sqrt(float(h) * value) if isinstance(value, np.ndarray) else jnp.sqrt(h * value)


def _deviations(noise: AbstractWhiteNoise, part: Space, shape: tuple[int, ...], shares: list | None, index: int | None):
    """The deviations of the modes of one array, which broadcast; `index` says which component of its field it is."""
    if index is not None and isinstance(noise, BandNoise):
        raise ValueError(
            "BandNoise: where each component has a space of its own, projection takes away a part of the rate that "
            "depends on the walls; give the deviations, js.integrate.WhiteNoise(...)."
        )
    squares = _squared_wave_numbers(part)
    numbers = np.sqrt(squares)
    factors = on_host(noise.components)
    if index is not None and factors.ndim:
        factors = factors[index]
    if not _fits(factors.shape, shape):
        raise ValueError(f"noise: `components` has shape {factors.shape}, the field has components {shape}.")
    factors = array_namespace(factors).broadcast_to(factors, shape)
    each = [1.0] * math.prod(shape) if shares is None else [on_host(share) for share in shares]
    count = part.modes().multiplicity() * sum(f**2 * s for f, s in zip(factors.ravel(), each, strict=True))
    found = on_host(noise.deviations(numbers, array_namespace(count).broadcast_to(count, numbers.shape)))
    if not _fits(found.shape, (*shape, *numbers.shape)):
        raise ValueError(f"noise: deviations of shape {found.shape} for components {shape} of modes {numbers.shape}.")
    if jnp.iscomplexobj(found):
        raise TypeError("noise: deviations are real numbers.")
    if not noise.mean:
        found = array_namespace(found).where(squares > 0, found, 0.0)
    if isinstance(found, np.ndarray) and not np.all(np.isfinite(found)):
        raise ValueError("noise: a deviation is not finite.")
    return factors.reshape(*shape, *(1,) * numbers.ndim) * found


def _fits(shape: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    """Whether an array broadcasts to a shape."""
    pairs = zip(reversed(shape), reversed(whole))
    return len(shape) <= len(whole) and all(a in (1, b) for a, b in pairs)


def _squared_wave_numbers(part: Space) -> np.ndarray:
    """Minus the eigenvalues of the Laplacian, exactly zero for the mean."""
    with jax.ensure_compile_time_eval():
        plain = part.homogeneous()
        modes = plain.modes()
        assert modes is not None
        squares = -np.real(np.asarray(modes.symbol(plain.laplacian(modes.probe((), ())))))
    return np.where(squares > 1e-12 * np.max(squares), squares, 0.0)


class _Tangent(Equation):
    """An equation whose linear part is the projection on the constraint of another one."""

    equation: Equation

    def linear(self, u):
        return self.equation.tangent(u)


def _shares(term: SemilinearTerm, y, counts: list[int]) -> list:
    """For each array what the projection of noise leaves of its components' modes; `None` where there is none."""
    found: list[bool] = []

    def look(y):
        found.append(tangent_part(term.equation, term.bind(y)) is not None)
        return y

    jax.eval_shape(look, y)
    if not found[0]:
        return [None] * len(counts)
    symbol = SemilinearTerm(_Tangent(term.equation), term.space).symbol(y)
    whole = [symbol.matrices[..., i, i].real if isinstance(symbol, Blocks) else 1.0 for i in range(sum(counts))]
    return [[whole.pop(0) for _ in range(count)] for count in counts]


def _per_field(noise, spaces) -> list:
    """For each array the noise of its field, `None` for none, and which component it is where it is one of several."""
    leaves, structure = jax.tree.flatten(spaces, is_leaf=_is_space)
    given = [noise]
    if not isinstance(noise, AbstractWhiteNoise):
        is_noise = lambda node: node is None or isinstance(node, AbstractWhiteNoise)
        given, shape = jax.tree.flatten(noise, is_leaf=is_noise)
        if not all(map(is_noise, given)):
            raise TypeError(
                "noise: expected js.integrate.WhiteNoise(...) or BandNoise(...), or one per field of the state; got "
                f"{type(noise).__name__}."
            )
        same = len(given) == len(leaves) and jax.tree.unflatten(shape, range(len(leaves))) == jax.tree.unflatten(
            structure, range(len(leaves))
        )
        if not same:
            raise ValueError("noise: needs the structure of the state, one noise or None for each field.")
    elif len(leaves) > 1:
        raise ValueError("noise: the state has several fields; give a pytree like it, with None for those without.")
    found = []
    for space, one in zip(leaves, given, strict=True):
        parts = space.parts()
        several = not isinstance(parts, Space)
        count = len(jax.tree.leaves(parts, is_leaf=_is_space))
        found += [(one, index if several else None) for index in range(count)]
    return found


def _white(term: SemilinearTerm, y, key, wanted: list[bool]) -> list:
    leaves, spaces = jax.tree.leaves(y), _part_spaces(term)
    keys = [key] if len(leaves) == 1 else [jax.random.fold_in(key, number) for number in range(len(leaves))]
    return [
        space.modes().white(k, leaf.shape[: leaf.ndim - space.dimension], leaf.dtype) if want else None
        for k, leaf, space, want in zip(keys, leaves, spaces, wanted, strict=True)
    ]


def _part_spaces(term: SemilinearTerm) -> list:
    parts = jax.tree.map(lambda s: s.parts(), term.space, is_leaf=_is_space)
    return jax.tree.leaves(parts, is_leaf=_is_space)


def _rounded(a, precision):
    return jnp.asarray(a).astype(precision)


def _is_space(node) -> bool:
    return isinstance(node, Space)
