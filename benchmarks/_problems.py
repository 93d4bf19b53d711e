"""The problems of `benchmarks.work_precision`: an equation, its start and end, and the same in exponax."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

import jaxsim as js

from . import _flows


class Problem(NamedTuple):
    """An initial value problem on modes that jaxsim and exponax both resolve.

    `stepper` names exponax's class and `parameters` its arguments; `exact` gives the nodal values at the end, where
    they are known.
    """

    name: str
    equation: js.Equation
    start: Any
    t1: float
    steps: list[int]
    stepper: str
    parameters: dict[str, Any]
    exact: Callable | None = None

    @property
    def space(self) -> js.Fourier:
        """The space of jaxsim's field."""
        return self.start.space

    @property
    def nodes(self) -> int:
        """Nodes on which exponax keeps the same modes."""
        return _flows.nodes_for_modes(self.space.cutoffs[0])

    def exponax(self, steps: int, order: int):
        """exponax's stepper, or `None` where it is not installed."""
        stepper = _flows.exponax_stepper(
            self.stepper, self.space.dimension, self.nodes, self.t1 / steps, order,
            length=self.space.grid.lengths[0], **self.parameters,
        )  # fmt: skip
        if stepper is not None and _flows.kept_modes(stepper) != self.space.cutoffs[0]:
            raise AssertionError(f"{self.name}: exponax keeps {_flows.kept_modes(stepper)} modes.")
        return stepper

    def spectrum(self) -> jnp.ndarray:
        """The start as exponax's spectrum, `(1, N, ..., N//2+1)`."""
        n, dimension, k = self.nodes, self.space.dimension, self.space.cutoffs[0]
        padded = np.zeros((1, *[n] * (dimension - 1), n // 2 + 1), complex)
        rows = np.ix_([0], *[np.arange(-k, k + 1)] * (dimension - 1), np.arange(k + 1))
        compact = np.asarray(self.start.coefficients)[None]
        padded[rows] = np.fft.fftshift(compact, range(1, dimension)) if dimension > 1 else compact
        return jnp.asarray(padded * n**dimension)

    def coefficients(self, spectrum) -> np.ndarray:
        """jaxsim's coefficients of exponax's spectrum."""
        dimension, k = self.space.dimension, self.space.cutoffs[0]
        order = np.r_[0 : k + 1, -k:0]
        rows = np.ix_([0], *[order] * (dimension - 1), np.arange(k + 1))
        return np.asarray(spectrum)[rows][0] / self.nodes**dimension


def relative_error(coefficients, reference) -> float:
    """Relative distance in the mean square over the box, from coefficients of real fields; `inf` if not finite."""
    weights = np.where(np.arange(reference.shape[-1]) > 0, 2.0, 1.0)
    with np.errstate(over="ignore", invalid="ignore"):
        difference = np.sum(weights * np.abs(coefficients - reference) ** 2)
    error = float(np.sqrt(difference / np.sum(weights * np.abs(reference) ** 2)))
    return error if np.isfinite(error) else float("inf")


def navier_stokes(quick: bool) -> Problem:
    """Decaying flow in the plane, vorticity of unit variance."""
    nodes, viscosity = (32 if quick else 64), 4e-3
    space = js.Fourier(js.Grid((nodes, nodes), 0.0, _flows.LENGTH))
    # exponax turns its velocity the other way round.
    parameters = {"diffusivity": viscosity, "vorticity_convection_scale": -1.0}
    return Problem(
        name="Navier-Stokes", equation=js.equations.NavierStokesVorticity(viscosity),
        start=space.field(jnp.asarray(_flows.waves(nodes, 2, 1)[0])), t1=0.5 if quick else 3.0,
        steps=[8, 16, 32] if quick else [16, 32, 64, 128, 256, 512, 1024],
        stepper="NavierStokesVorticity", parameters=parameters,
    )  # fmt: skip


def kuramoto_sivashinsky(quick: bool) -> Problem:
    """The run of Kassam and Trefethen (2005), stopped while the error of a step is not yet lost in chaos."""
    space = js.Fourier(js.Grid(64 if quick else 128, 0.0, 32 * np.pi))
    return Problem(
        name="Kuramoto-Sivashinsky", equation=js.equations.KuramotoSivashinsky(),
        start=space.field(lambda x: jnp.cos(x / 16) * (1 + jnp.sin(x / 16))), t1=10.0 if quick else 50.0,
        steps=[20, 40, 80] if quick else [50, 100, 200, 400, 800, 1600, 3200, 6400],
        stepper="KuramotoSivashinskyConservative", parameters={"single_channel": True},
    )  # fmt: skip


def korteweg_de_vries(quick: bool) -> Problem:
    """One soliton of speed 4, on a box so long that its images count for less than rounding."""
    length, speed, t1 = 40.0, 4.0, 0.5

    def soliton(t):
        return lambda x: speed / 2 / jnp.cosh(np.sqrt(speed) / 2 * (x - length / 2 - speed * t)) ** 2

    space = js.Fourier(js.Grid(128 if quick else 256, 0.0, length))
    parameters = {"convection_scale": 6.0, "hyper_diffusivity": 0.0, "single_channel": True, "conservative": True}
    return Problem(
        name="Korteweg-de Vries", equation=js.equations.KortewegDeVries(), start=space.field(soliton(0.0)), t1=t1,
        steps=[50, 100] if quick else [62, 125, 250, 500, 1000, 2000, 4000],
        stepper="KortewegDeVries", parameters=parameters, exact=soliton(t1),
    )  # fmt: skip
