"""jinns at work: its own notebook for Burgers, by the second-order methods that it recommends."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from ._pinn_peers_problem import Clock, Problem

RECIPES = {
    "example": "MLP 3x16, 900 + 2000 + 2000 points, soft conditions, natural gradient, as in its notebook on Burgers",
    "hard, natural gradient": "MLP 3x20, 2500 points, hard conditions, natural gradient",
    "hard, SSBroyden": "MLP 3x20, 2500 points, hard conditions, Adam then SSBroyden",
}
ADAM = 200  # steps before SSBroyden


def load():
    """The module; `None` without it."""
    try:
        import jinns
    except ModuleNotFoundError:
        return None
    return jinns


def callback_value(params, batch, loss):
    return loss.evaluate(params, batch)[0]


def callback_gradient(params, batch, loss):
    return loss.ponderate_and_sum_gradient(loss.values_and_grads(params, batch)[1])


def watch(clock: Clock, values: Callable):
    """jinns' hook for stopping early, which reads the clock."""
    from jinns.validation import AbstractValidationModule

    over = lambda params: np.asarray(clock.over(lambda: values(jax.tree.map(np.array, params))))

    class Watch(AbstractValidationModule):
        call_every: int = 5

        def __call__(self, params):
            stop = jax.experimental.io_callback(over, jax.ShapeDtypeStruct((), bool), params)
            return self, stop, jnp.zeros(()), False

    return Watch()


def setting(jinns, problem: Problem, recipe: str, key):
    """Network, parameters, loss and points."""
    import equinox as eqx

    soft, burgers = recipe == "example", problem.kind == "burgers"
    width, inputs = (16 if soft else 20), (2 if soft or burgers else 3)
    layers = ((eqx.nn.Linear, inputs, width), (jax.nn.tanh,), (eqx.nn.Linear, width, width), (jax.nn.tanh,),
              (eqx.nn.Linear, width, width), (jax.nn.tanh,), (eqx.nn.Linear, width, 1))  # fmt: skip
    periodic = lambda c, _: jnp.stack([c[0], jnp.cos(jnp.pi * c[1]), jnp.sin(jnp.pi * c[1])])
    inside = lambda x: 1 - x**2 if burgers else 1.0
    hard = lambda c, y, _: problem.initial(c[1:]) + c[:1] * inside(c[1:]) * y
    first, scatter = jax.random.split(key)
    network, weights = jinns.nn.PINN_MLP.create(
        key=first, eqx_list=layers, eq_type="PDENonStatio", input_transform=periodic if inputs == 3 else None,
        output_transform=None if soft else hard,
    )  # fmt: skip
    params = jinns.parameters.Params(nn_params=weights, eq_params={"nu": jnp.asarray(problem.diffusivity)})

    class AllenCahn(jinns.loss.PDENonStatio):
        def equation(self, c, u, params):
            scalar = lambda c: u(c, params).squeeze()
            value, slope = scalar(c), jax.grad(scalar)(c)[:1]
            bend = jinns.loss.laplacian_rev(c, u, params, eq_type="PDENonStatio")
            return slope - params.eq_params.nu * bend + 5 * (value**3 - value)

    loss = jinns.loss.LossPDENonStatio(
        u=network, params=params, dynamic_loss=jinns.loss.BurgersEquation(Tmax=1) if burgers else AllenCahn(Tmax=1),
        loss_weights=jinns.loss.LossWeightsPDENonStatio(dyn_loss=1.0, **(
            {"initial_condition": 1.0, "boundary_loss": 1.0} if soft else {})),
        boundary_condition=jinns.loss.Dirichlet() if soft else None,
        initial_condition_fun=problem.initial if soft else None,
    )  # fmt: skip
    counts = {"n": 900, "nb": 2000, "ni": 2000} if soft else {"n": 2500, "nb": 2, "ni": 1}
    data = jinns.data.CubicMeshPDENonStatio(key=scatter, dim=1, min_pts=(-1,), max_pts=(1,), tmin=0, tmax=1,
                                            method="uniform", **counts)  # fmt: skip
    return network, params, loss, data


def train(problem: Problem, recipe: str, seed: int, clock: Clock, points: np.ndarray) -> tuple[list[np.ndarray], int]:
    """Values at points (t, x) when each budget is used up, and iterations."""
    import optax

    jinns = load()
    network, params, loss, data = setting(jinns, problem, recipe, jax.random.key(seed))
    kept = []

    def keep(params):
        kept.append(params)
        return np.zeros(())

    run = dict(data=data, loss=loss, verbose=False)
    if recipe.endswith("SSBroyden"):
        params, _, _, run["data"], run["loss"], *_ = jinns.solve(
            init_params=params, n_iter=ADAM, optimizer=optax.adam(1e-3), **run)  # fmt: skip
        name = jinns.solver.GetJinnsVariableName
        run |= {"optimizer": jinns.optimizers.scale_by_SSBroyden_family(), "extra_optax_args_and_kwargs": {
            "value": name("train_loss_value"), "grad_pt": name("grads"), "value_fn": callback_value,
            "grad_fn": callback_gradient, "batch": name("batch"), "loss": name("loss")}}  # fmt: skip
    else:
        run["optimizer"] = jinns.optimizers.vanilla_ngd()
    params, losses, *_ = jinns.solve(init_params=params, n_iter=100_000, validation=watch(clock, keep), **run)
    clock.finish(lambda: keep(params))
    values = jax.jit(lambda params: jax.vmap(lambda c: network(c, params)[0])(jnp.asarray(points)))
    return [np.asarray(values(params)) for params in kept], int(np.count_nonzero(losses))
