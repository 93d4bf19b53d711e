"""DeepXDE at work: its own examples for Burgers and Allen-Cahn, with the lengths of their stages in processor time."""

import functools
import os

import numpy as np

from ._pinn_peers_problem import Clock, Problem

RECIPES = {
    "example": "FNN 3x20, 2540 + 80 + 160 points, soft conditions, Adam then L-BFGS, as in its example Burgers.py",
    "hard": "FNN 3x20, 8000 points, hard conditions, Adam then L-BFGS, as in its example Allen_Cahn.py",
    "hard, fewer points": "FNN 3x20, 2540 points, hard conditions, Adam then L-BFGS",
}
SHARE = 0.15  # of the budget, for Adam


@functools.cache
def load():
    """The modules, set up for one thread and double precision; `None` without them."""
    os.environ["DDE_BACKEND"] = "pytorch"
    try:
        import deepxde
        import torch
    except ModuleNotFoundError:
        return None
    torch.set_num_threads(1)
    deepxde.config.set_default_float("float64")
    deepxde.optimizers.config.LBFGS_options.update(iter_per_step=100, fun_per_step=125)  # how often the clock is read
    return deepxde, torch


def transforms(problem: Problem, torch):
    """Hard conditions of the initial values and of the ends, in its columns (x, t)."""
    periodic = lambda c: torch.cat([torch.cos(np.pi * c[:, :1]), torch.sin(np.pi * c[:, :1]), c[:, 1:]], 1)
    inside = lambda x: 1 - x**2 if problem.kind == "burgers" else 1.0
    hard = lambda c, y: problem.initial(c[:, :1], torch) + c[:, 1:] * inside(c[:, :1]) * y
    return (None if problem.kind == "burgers" else periodic), hard


def train(problem: Problem, recipe: str, seed: int, clock: Clock, points: np.ndarray) -> tuple[list[np.ndarray], int]:
    """Values at points (t, x) when each budget is used up, and iterations."""
    deepxde, torch = load()
    deepxde.config.set_random_seed(seed)
    slope, bend = deepxde.grad.jacobian, deepxde.grad.hessian

    def residual(c, u):
        change = slope(u, c, i=0, j=1) - problem.diffusivity * bend(u, c, i=0, j=0)
        return change + (u * slope(u, c, i=0, j=0) if problem.kind == "burgers" else 5 * (u**3 - u))

    line = deepxde.geometry.Interval(-1, 1)
    domain = deepxde.geometry.GeometryXTime(line, deepxde.geometry.TimeDomain(0, 1))
    conditions, counts = [], {"num_domain": 8000 if recipe == "hard" else 2540}
    features, hard = None, None
    if recipe == "example":
        conditions = [
            deepxde.icbc.DirichletBC(domain, lambda c: 0, lambda _, on: on),
            deepxde.icbc.IC(domain, lambda c: problem.initial(c[:, :1], np), lambda _, on: on),
        ]
        counts |= {"num_boundary": 80, "num_initial": 160}
    else:
        features, hard = transforms(problem, torch)
    network = deepxde.nn.FNN([2 if features is None else 3] + [20] * 3 + [1], "tanh", "Glorot normal")
    if features is not None:
        network.apply_feature_transform(features)
    if hard is not None:
        network.apply_output_transform(hard)
    model = deepxde.Model(deepxde.data.TimePDE(domain, residual, conditions, **counts), network)
    values = lambda: model.predict(points[:, ::-1].copy())[:, 0]

    class Limit(deepxde.callbacks.Callback):
        adam = True

        def on_epoch_end(self):
            if clock.over(values) or (self.adam and clock.spent > SHARE * clock.budgets[0]):
                self.model.stop_training = True

    limit = Limit()
    model.compile("adam", lr=1e-3, verbose=0)
    model.train(iterations=10**9, display_every=10**9, callbacks=[limit], verbose=0)
    limit.adam = False
    if not clock.over(values):
        model.compile("L-BFGS", verbose=0)
        model.train(callbacks=[limit], verbose=0)
    return clock.finish(values), model.train_state.iteration
