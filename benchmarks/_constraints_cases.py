"""The cases of the studies of constraint layers."""

import dataclasses
from collections.abc import Callable

from . import _constraints_burgers, _constraints_linear, _constraints_sorption, _constraints_vorticity


@dataclasses.dataclass(frozen=True)
class Case:
    """A problem that several methods are measured on.

    - `title`: what the table calls it.
    - `study`: maps a seed to rows, one for each method: `method`, `error` and other numbers.
    - `about`: sizes in a few words.
    - `published`: errors of others for a larger problem, by method, and beyond the times of training; empty where there
        are none.
    - `random`: whether networks are trained, so that seeds differ.
    """

    title: str
    study: Callable[[int], list[dict]]
    about: str
    published: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    random: bool = True


CASES = {
    "burgers": Case(
        "Burgers, random initial values",
        _constraints_burgers.study,
        "viscosity 0.01, periodic on [0, 1], t to 1; trunk 4x64 tanh; 600 points in the layer and 300 others in the "
        "loss; 400 steps of Adam on batches of 4",
    ),
    "sorption": Case(
        "Diffusion with sorption",
        _constraints_sorption.study,
        "a constant initial value from U(0, 0.2), 64 of them in training and 16 others in the test; network 3x40 tanh "
        "of time, place and initial value; 640 points in the layer, the same in all for 4 experts, and 320 others in "
        "the loss; 600 steps of Adam on batches of 4 through layers, and the penalty as long as one layer; trained on "
        "t <= 400, and layers are asked to hold up to 500 where errors are those of later times",
        {"penalty": [0.859, 8.06], "layer": [0.076, 0.48], "experts": [0.036, 0.148]},
    ),
    "sorption_fno": Case(
        "Diffusion with sorption, by Fourier neural operators",
        _constraints_sorption.by_fno,
        "as before, with functions on 33 x 41 nodes by a Fourier neural operator of 3 layers, 12 channels and 6 x 6 "
        "wave numbers, between which polynomials of the fourth degree pass; 400 steps",
    ),
    "sorption_fronts": Case(
        "Diffusion with sorption, beside fronts",
        _constraints_sorption.with_fronts,
        "as before, but the functions are added to the fronts that diffusion with constant retardations makes at both "
        "ends, and not to the initial value; the penalty too",
    ),
    "sorption_fixed": Case(
        "Diffusion with sorption, without networks",
        _constraints_sorption.fixed,
        "the same points, initial values and times; the functions of experts are seen in coordinates of their boxes",
        random=False,
    ),
    "transport": Case(
        "Transport of a sine around a circle, t to 1",
        _constraints_linear.transport,
        "308 fixed functions (44 polynomials by 7 waves), 900 points; one least-squares solve each",
        random=False,
    ),
    "darcy": Case(
        "Flow through ground with two permeabilities, 3 and 12",
        _constraints_linear.ground,
        "29 x 29 cells, whose balances are the rows; reference: finite volumes",
        random=False,
    ),
    "vorticity": Case(
        "Two-dimensional flow, vorticity at t <= 1",
        _constraints_vorticity.study,
        "viscosity 0.01, waves to the second at the beginning; the stream function begins with them by construction",
        random=False,
    ),
}
