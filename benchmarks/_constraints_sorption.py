"""Diffusion with sorption from constant values: a penalty, one layer and experts, in trained times and beyond."""

from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erfc

import jaxsim as js
from jaxsim.constraints import Chebyshev, ConstraintLayer, Experts, Interface, OnGrid, Partition, TensorProduct
from jaxsim.nets import FNO, MLP
from jaxsim.optimize import GaussNewton, OnFailure, Rows, total_loss
from jaxsim.pinn import collocation

from ._constraints_data import concentrations, diffusion_sorption
from ._constraints_training import errors, summary, train

EQUATION = js.equations.DiffusionSorption()
END = 500.0
CONDITIONS = 400.0  # weight of what holds at the ends and at the start


# R has a kink at u = 0, where the least residual often lies: steps end with the last digits of the value unknown and
# the tolerance not met. Their gradients are kept, since those of the smooth sides are close.
def how(steps: int) -> dict:
    """Settings of the layers."""
    return {"ridge": 1e-6, "method": GaussNewton(tolerance=1e-4, steps=steps), "on_failure": OnFailure.KEEP}


class Operator(eqx.Module):
    """Functions of `(t, x)` for an initial value, made by a network of three numbers."""

    net: MLP

    def __init__(self, count, width: int, key: jax.Array):
        self.net = MLP(3, count, width, 3, key=key)

    def of(self, u0: jax.Array) -> Callable:
        """The functions for one initial value, a callable of `(t, x)`."""
        return _Functions(self.net, u0)


class _Functions(eqx.Module):
    net: MLP
    u0: jax.Array

    def __call__(self, t, x):
        return self.net(jnp.stack([2 * t / END - 1, 2 * x - 1, 10 * self.u0 - 1]))


class GridOperator(eqx.Module):
    """The same by a Fourier neural operator on a grid of times and places, which sees the initial value everywhere."""

    net: FNO
    scalar: bool = eqx.field(static=True)

    def __init__(self, count, width: int, key: jax.Array):
        self.scalar = count == "scalar"
        self.net = FNO(1, 1 if self.scalar else count, width, 3, (6, 6), coordinates=True, padding=0.25, key=key)

    def of(self, u0: jax.Array) -> Callable:
        """The functions for one initial value, polynomials of the fourth degree between nodes."""
        values = self.net(jnp.full((1, 33, 41), 10 * u0 - 1))
        return OnGrid(values[0] if self.scalar else values, (0.0, 0.0), (END, 1.0))


class Start(eqx.Module):
    """The initial value at all times, which the sums of functions are added to."""

    u0: jax.Array

    def __call__(self, t, x):
        return self.u0 + 0 * t


class Fronts(eqx.Module):
    """The initial value, and what diffusion with constant retardations would bring in and let out at the ends.

    It has the jumps at the ends of the first moment, which smooth functions do not.
    """

    u0: jax.Array

    def __call__(self, t, x):
        width = lambda u: 2 * jnp.sqrt(EQUATION.diffusivity * (t + 1e-6 * END) / EQUATION.retardation(u))
        inlet = (1 - self.u0) * erfc(x / width((1 + self.u0) / 2))
        return self.u0 + inlet - self.u0 * erfc((1 - x) / width(self.u0 / 2))


class Added(eqx.Module):
    """A field next to what it is added to."""

    start: Callable
    change: Callable

    def __call__(self, t, x):
        return self.start(t, x) + self.change(t, x)


def conditions(u0: jax.Array, t: jax.Array, x: jax.Array, inlet=1.0, outlet=1.0) -> dict[str, Rows]:
    """Initial value, inlet and outlet; the last two with weights, for experts that do not have them."""
    outflow = lambda u, t: u(t, 0 * t + 1) + EQUATION.diffusivity * js.partial(js.Function(u, 1), 0)(t, 0 * t + 1)
    return {
        "initial": Rows(lambda u, s: u(0 * s[0], s[0]) - s[1], (x, jnp.full(x.shape, u0)), weight=CONDITIONS),
        "inlet": Rows(lambda u, t: u(t, 0 * t) - 1.0, t, weight=CONDITIONS * inlet),
        "outlet": Rows(outflow, t, weight=CONDITIONS * outlet),
    }


def interior(points: jax.Array) -> Rows:
    """The equation at points; with the last time as the unit of time its terms are of order one."""
    return collocation(EQUATION, points, weight=END**2)


def whole(u0: jax.Array, unit: jax.Array, end: float) -> dict[str, Rows]:
    """All rows without a partition; `unit` are points of the unit square."""
    s = jnp.linspace(0, 1, 33)[1:]
    return {"interior": interior(unit * jnp.array([end, 1.0])), **conditions(u0, end * s, s)}


def _of_expert(given, box):
    u0, unit = given
    s = jnp.linspace(0, 1, 17)[1:]
    t, x = box.within(0, s), box.within(1, s)
    return {"interior": interior(box.at(unit)), **conditions(u0, t, x, box.first[1], box.last[1])}


def one_layer(end: float, steps: int = 40, start: Callable = Start):
    """A layer on the whole box: the field for functions, an initial value and points."""
    layer = ConstraintLayer(lambda given: whole(*given, end), **how(steps))
    return lambda functions, u0, unit: layer(functions, (u0, unit), offset=start(u0))


def four_experts(end: float, steps: int = 40, coupled: bool = True, local: bool = False, start: Callable = Start):
    """Four experts along the column, a quarter of the points each."""
    partition = Partition((0.0, 0.0), (end, 1.0), (1, 4))
    experts = Experts(partition, _of_expert, Interface(16) if coupled else None, local=local, **how(steps))
    return lambda functions, u0, unit: experts(functions, (u0, unit[: len(unit) // 4]), offset=start(u0))


def hard_loss(solve: Callable, starts: jax.Array, end: float, batch: int, points: int):
    """The mean loss of the layer's fields at points that were not constrained."""

    def loss(model, key):
        u0, inside, outside = _draw(starts, key, batch, points)

        def one(u0):
            solved = solve(model.of(u0), u0, inside)
            return total_loss(list(whole(u0, outside, end).values()), solved.value)

        return jnp.mean(jax.vmap(one)(u0))

    return loss


def soft_loss(starts: jax.Array, end: float, batch: int, points: int, start: Callable = Start):
    """The mean loss of a network's own fields, at as many points as a layer sees in all."""

    def loss(model, key):
        u0, inside, outside = _draw(starts, key, batch, points)
        unit = jnp.concatenate([inside, outside])
        field = lambda u0: Added(start(u0), model.of(u0))
        return jnp.mean(jax.vmap(lambda u0: total_loss(list(whole(u0, unit, end).values()), field(u0)))(u0))

    return loss


def _draw(starts, key, batch, points):
    keys = jax.random.split(key, 3)
    draw = lambda key, count: jax.random.uniform(key, (count, 2))
    chosen = jax.random.choice(keys[0], starts, (batch,), replace=False)
    return chosen, draw(keys[1], points), draw(keys[2], points // 2)


class Problem:
    """Held-out initial values, their solutions, and how errors of fields are summed up."""

    def __init__(self, end: float = 400.0, points: int = 640):
        self.end, self.held_out = end, concentrations(jax.random.key(12), 16)
        self.data = diffusion_sorption(self.held_out)
        self.t, self.x = map(jnp.asarray, self.data.coordinates)
        self.known = np.asarray(self.t) <= end
        self.inside = jax.random.uniform(jax.random.key(13), (points, 2))

    def nodes(self, u: Callable) -> jax.Array:
        """Values of a field at all nodes of the solutions."""
        return jax.vmap(lambda t: jax.vmap(lambda x: u(t, x))(self.x))(self.t)

    def row(self, name: str, within, after, **more) -> dict:
        """Errors at the times of training of one set of fields, and at later ones of another."""
        known, values = self.known, self.data.values
        late = errors(np.asarray(after)[:, ~known], values[:, ~known])
        made = summary(name, np.asarray(within)[:, known], values[:, known], beyond=float(late.mean()),
                       reference=self.data.error, **more)  # fmt: skip
        print(f"  {name}: {made['error']:.2e}, beyond {made['beyond']:.2e}; {more}", flush=True)
        return made

    def layered(self, name: str, functions: Callable, solver: Callable, **more) -> dict:
        """Layers that are asked to hold for the times of training, and for all times."""

        @eqx.filter_jit
        def each(functions, end):
            def one(u0):
                solved = solver(end)(functions(u0), u0, self.inside)
                return (self.nodes(solved.value), jnp.mean(solved.succeeded), jnp.max(solved.steps),
                        jnp.max(solved.condition))  # fmt: skip

            return jax.lax.map(one, self.held_out)

        within, succeeded, used, condition = each(functions, self.end)
        return self.row(name, within, each(functions, END)[0], converged=float(succeeded.mean()),
                        steps=float(used.mean()), condition=float(jnp.median(condition)), **more)  # fmt: skip


def study(seed: int, start: Callable = Start, make: Callable = Operator, count: int = 16, width: int = 40,
          steps: int = 600, batch: int = 4, points: int = 640) -> list[dict]:  # fmt: skip
    """Errors of penalty, layer and experts with networks of the same size."""
    problem, starts = Problem(points=points), concentrations(jax.random.key(11), 64)
    keys, of = jax.random.split(jax.random.key(seed), 4), lambda trained: trained.model.of
    operator, end = make(count, width, keys[0]), problem.end
    layer, experts = partial(one_layer, start=start), partial(four_experts, start=start)
    rows = [problem.layered(f"layer, {count} untrained functions", operator.of, layer)]
    hard = train(hard_loss(layer(end, 15), starts, end, batch, points), operator, keys[1], steps=steps)
    rows.append(problem.layered(f"layer, {count} trained functions", of(hard), layer, seconds=hard.seconds,
                                taken=steps))  # fmt: skip
    joint = train(hard_loss(experts(end, 15), starts, end, batch, points), operator, keys[1], steps=steps)
    rows.append(problem.layered(f"4 coupled experts, {count} trained functions", of(joint), experts,
                                seconds=joint.seconds, taken=len(joint.losses)))  # fmt: skip
    rows.append(problem.layered(f"4 experts alone, the {count} functions of the coupled ones", of(joint),
                                partial(experts, coupled=False)))  # fmt: skip
    soft = train(soft_loss(starts, end, batch, points, start), make("scalar", width, keys[2]), keys[3],
                 seconds=hard.seconds)  # fmt: skip
    fields = eqx.filter_jit(lambda model: jax.lax.map(lambda u0: problem.nodes(Added(start(u0), model.of(u0))),
                                                      problem.held_out))  # fmt: skip
    found = fields(soft.model)
    rows.append(problem.row("penalty, equal time", found, found, seconds=soft.seconds, taken=len(soft.losses)))
    return rows


def with_fronts(seed: int) -> list[dict]:
    """The same where what the functions are added to has the jumps."""
    return study(seed, Fronts)


def by_fno(seed: int) -> list[dict]:
    """The same with functions on a grid by a Fourier neural operator."""
    return study(seed, make=GridOperator, width=12, steps=400)


class Fixed(eqx.Module):
    """Polynomials of time and place, the same for all initial values."""

    in_time: int = eqx.field(static=True)
    in_space: int = eqx.field(static=True)
    end: float = eqx.field(static=True, default=END)

    def __call__(self, u0: jax.Array) -> Callable:
        return TensorProduct([Chebyshev(self.in_time, 0.0, self.end), Chebyshev(self.in_space)])


def fixed(seed: int) -> list[dict]:
    """Errors of layers and experts over polynomials, without and with the jumps in what they are added to."""
    problem, rows = Problem(), []
    for start, words in ((Start, ""), (Fronts, ", beside fronts")):
        for a, b in ((4, 4), (6, 8), (8, 12)):
            rows.append(problem.layered(f"layer, {a * b} fixed functions ({a} polynomials by {b}){words}", Fixed(a, b),
                                        partial(one_layer, start=start)))  # fmt: skip
        rows.append(problem.layered(f"4 coupled experts, 16 fixed functions each (4 by 4){words}", Fixed(4, 4, 1.0),
                                    partial(four_experts, local=True, start=start)))  # fmt: skip
    return rows
