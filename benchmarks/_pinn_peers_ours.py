"""jaxsim at work on the problems of the comparison beside peers."""

import dataclasses
from collections.abc import Callable

import jax
import numpy as np

from jaxsim import optimize, pinn
from jaxsim.constraints import FromInitial
from jaxsim.nets import MLP

from ._pinn_allen_cahn import Reacted
from ._pinn_peers_problem import Clock, Problem
from ._pinn_references import evaluate
from ._pinn_training import perceptron


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Steps of Levenberg-Marquardt, then of a self-scaled Broyden method till the time is up.

    - `damped`: how many steps of the first.
    - `every` and `broyden`: steps in one call of each.
    - `adaptive`: whether points are drawn anew between calls, where the residual is large.
    """

    words: str
    width: int = 20
    depth: int = 3
    points: int = 2048
    harmonics: int = 1
    damped: int = 0
    adaptive: bool = True
    every: int = 20
    broyden: int = 300
    reacted: bool = False


RECIPES = {
    "same": Recipe("MLP 3x20, 2048 points that follow the residual, hard conditions, SSBroyden"),
    "damped": Recipe("MLP 3x20, 2048 points, hard conditions, Levenberg-Marquardt", damped=10**6, adaptive=False),
    "harmonics": Recipe(
        "MLP 3x20 of 3 harmonics, 2048 points that follow the residual, hard conditions, SSBroyden", harmonics=3
    ),
    "reaction": Recipe(
        "MLP 3x16, 1536 points that follow the residual, flow of the reaction built in, SSBroyden",
        width=16, points=1536, reacted=True,
    ),
}  # fmt: skip


def fields(problem: Problem, recipe: Recipe, key):
    box = ((0.0, 1.0), (-1.0,), (1.0,))
    if recipe.reacted:
        return Reacted(MLP(3, "scalar", recipe.width, recipe.depth, key=key)), pinn.Box(*box)
    network = perceptron(key, box[1], box[2], (True,), box[0], width=recipe.width, depth=recipe.depth,
                         harmonics=recipe.harmonics)  # fmt: skip
    return FromInitial(network, lambda x: problem.initial(x)), pinn.Box(*box)


def train(problem: Problem, recipe: str | Recipe, seed: int, clock: Clock, points: np.ndarray,
          say: Callable | None = None) -> tuple[list[np.ndarray], int]:  # fmt: skip
    """Values at points (t, x) when each budget is used up, and steps."""
    recipe = RECIPES[recipe] if isinstance(recipe, str) else recipe
    first, scatter, draw = jax.random.split(jax.random.key(seed), 3)
    field, box = fields(problem, recipe, first)
    blocks = [pinn.collocation(problem.equation, box.sobol(recipe.points, scatter))]
    values = lambda: evaluate(field, points)
    taken, pick = 0, pinn.ResidualAdaptive(box, 8 * recipe.points)
    for method, most, every in ((optimize.LevenbergMarquardt(), recipe.damped, recipe.every),
                                (optimize.SSBroyden(), 10**9, recipe.broyden)):  # fmt: skip
        state, steps = None, 0
        rules = [pinn.Resample(pick, every=every)] if recipe.adaptive else []
        while steps < most and not clock.over(values):
            done = optimize.train(blocks, field, method, every, rules=rules, every=every, state=state,
                                  key=jax.random.fold_in(draw, steps))  # fmt: skip
            field, state, blocks = done.model, done.state, done.blocks
            steps, taken = steps + every, taken + every
            if say:
                say(method, steps, clock.spent, done.losses[-1], values())
    return clock.finish(values), taken
