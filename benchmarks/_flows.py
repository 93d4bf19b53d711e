"""Flows on which the benchmarks run: the same fields for every solver, and how each solver steps them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import jaxsim as js

from ._common import peer

LENGTH = 2 * np.pi


def waves(nodes: int, dimension: int, components: int, highest: int = 6, seed: int = 0) -> np.ndarray:
    """A smooth random field with zero mean and unit variance, the same one for every number of nodes.

    **Returns:** array of shape `(components, *[nodes] * dimension)`.
    """
    random = np.random.default_rng(seed)
    shape = (components, *[2 * highest + 1] * dimension)
    amplitudes = random.standard_normal(shape) + 1j * random.standard_normal(shape)
    numbers = np.stack(np.meshgrid(*[np.arange(-highest, highest + 1)] * dimension, indexing="ij"))
    squares = np.sum(numbers**2, 0)
    amplitudes *= np.where((squares > 0) & (squares <= highest**2), squares * np.exp(-squares / 8), 0.0)
    spectrum = np.zeros((components, *[nodes] * dimension), complex)
    index = np.ix_(*[np.arange(-highest, highest + 1)] * dimension)
    spectrum[(slice(None), *index)] = amplitudes
    field = np.fft.ifftn(spectrum, axes=range(1, dimension + 1)).real
    scale = np.sqrt(np.sum(np.abs(amplitudes) ** 2) / 2)  # the real part has half the variance
    return field * nodes**dimension / scale


def solenoidal(nodes: int) -> np.ndarray:
    """A smooth random velocity in three dimensions without divergence, shape `(3, nodes, nodes, nodes)`."""
    potential = np.fft.fftn(waves(nodes, 3, 3, highest=4), axes=(1, 2, 3))
    k = np.stack(np.meshgrid(*[np.fft.fftfreq(nodes, 1 / nodes)] * 3, indexing="ij"))
    velocity = np.fft.ifftn(1j * np.cross(k, potential, axis=0), axes=(1, 2, 3)).real
    return velocity / np.sqrt(np.mean(velocity**2))


def compiled_jaxsim(equation, values, dt, steps, solver):
    """A rollout of jaxsim from nodal values, compiled: a function without arguments, and the program."""
    dimension = values.ndim if values.ndim == 2 else 3
    space = js.Fourier(js.Grid(values.shape[-dimension:], 0.0, LENGTH))
    start = space.field(jnp.asarray(values, jnp.result_type(float)))
    run = jax.jit(lambda u: js.rollout(equation, u, dt=dt, steps=steps, solver=solver)).lower(start).compile()
    return lambda: run(start).data, run.as_text()


def kept_modes(stepper) -> int:
    """The largest wave number that survives exponax's dealiasing on each axis."""
    mask = np.asarray(stepper._integrator._nonlinear_fun.dealiasing_mask)
    return int(np.sum(mask[(0,) * (mask.ndim - 1)])) - 1


def nodes_for_modes(modes: int) -> int:
    """The least even number of nodes on which exponax keeps `modes` (its mask: |k| <= N/3 - 1)."""
    return next(n for n in range(2 * modes, 4 * modes + 8, 2) if int(2 / 3 * (n // 2) - 1) >= modes)


def exponax_stepper(name: str, dimension: int, nodes: int, dt: float, order: int, *, length=LENGTH, **parameters):
    """A stepper of exponax, or `None` where it is not installed."""
    exponax = peer("exponax")
    if exponax is None:
        return None
    return getattr(exponax.stepper, name)(dimension, length, nodes, dt, order=order, **parameters)


def spectrum(values):
    """exponax's spectrum of nodal values, `(components, *nodes)`."""
    return jnp.fft.rfftn(jnp.asarray(values, jnp.result_type(float)), axes=range(1, values.ndim))


def compiled_exponax(stepper, spectrum, steps):
    """The scan of exponax's step over a spectrum, which spares it the transforms between steps."""

    @eqx.filter_jit
    def run(stepper, u):
        return jax.lax.scan(lambda u, _: (stepper.step_fourier(u), None), u, None, steps)[0]

    program = run.lower(stepper, spectrum).compile()
    return lambda: program(stepper, spectrum), program.compiled.as_text()


def compiled_jax_cfd(nodes, values, viscosity, dt, steps):
    """The scan of jax-cfd's spectral Navier-Stokes with its Runge-Kutta scheme of order 4, or `None` without it."""
    grids, equations, stepping = (
        peer(f"jax_cfd.{m}") for m in ("base.grids", "spectral.equations", "spectral.time_stepping")
    )
    if grids is None:
        return None
    grid = grids.Grid((nodes, nodes), domain=((0, LENGTH), (0, LENGTH)))
    step = stepping.crank_nicolson_rk4(equations.NavierStokes2D(viscosity, grid, smooth=True), dt)
    spectrum = jnp.fft.rfftn(jnp.asarray(values, jnp.result_type(float)))
    run = jax.jit(lambda u: jax.lax.scan(lambda u, _: (step(u), None), u, None, steps)[0])
    program = run.lower(spectrum).compile()
    return lambda: program(spectrum), program.as_text()
