"""A neural ODE beside plain diffrax and torchdiffeq: what the penalties cost, and the time of a training step."""

import os
import warnings
from collections.abc import Callable
from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.neural_de import GlobalError, GlobalStiffness, Integrator, LocalError, NeuralODE, StepCount

from ._common import arguments, finish, heading, interleaved, machine, peer, ratio, table

ADVICE = "torchdiffeq is not installed, so only diffrax is compared: pip install 'jaxsim-toolkit[bench-torch]'"
# Sizes of the layers, batch, end of the interval, and what the weights of a fresh network are multiplied by, so that
# the dynamics ask for about as many steps as trained ones.
CASES = {
    "spiral, 2-64-64-2, batch 256": ((2, 64, 64, 2), 256, 6.0, 2.0),
    "MNIST size, 784-100-784, batch 128": ((784, 100, 784), 128, 1.0, 4.0),
}
TOLERANCE = 1e-5
BOUND = 64  # steps


class Network(eqx.Module):
    """Layers with tanh between them, applied to a batch that is one state, as torchdiffeq takes it."""

    weights: list[jax.Array]
    biases: list[jax.Array]

    def __call__(self, t, y, args):
        for weight, bias in zip(self.weights[:-1], self.biases[:-1]):
            y = jnp.tanh(y @ weight + bias)
        return y @ self.weights[-1] + self.biases[-1]


def problem(sizes, batch: int, scale: float) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray, np.ndarray]:
    """Weights, biases, initial states and targets."""
    random = np.random.default_rng(0)
    bounds = [scale / np.sqrt(inputs) for inputs in sizes[:-1]]
    shapes = list(zip(sizes[:-1], sizes[1:], bounds))
    weights = [random.uniform(-b, b, (m, n)) for m, n, b in shapes]
    biases = [random.uniform(-b, b, n) for _, n, b in shapes]
    return weights, biases, random.normal(size=(batch, sizes[0])), random.normal(size=(batch, sizes[0]))


def integrator(adjoint=None, regularizer=None, steps: int = 4096) -> Integrator:
    """Dormand and Prince's pair with the tolerances of all programs."""
    return Integrator(
        solver=dfx.Dopri5(),
        stepsize_controller=dfx.PIDController(rtol=TOLERANCE, atol=TOLERANCE),
        adjoint=dfx.RecursiveCheckpointAdjoint() if adjoint is None else adjoint,
        regularizer=regularizer,
        max_steps=steps,
    )


def forward_programs(network: Network, y0, t1: float) -> dict[str, Callable]:
    """Solves alone: plain diffrax, and with each penalty."""
    key = jax.random.key(0)

    def plain(network, y0):
        return dfx.diffeqsolve(
            dfx.ODETerm(network), dfx.Dopri5(), jnp.zeros(()), jnp.asarray(t1, y0.dtype), None, y0, max_steps=4096,
            stepsize_controller=dfx.PIDController(rtol=TOLERANCE, atol=TOLERANCE),
        ).ys[0]  # fmt: skip

    def ours(regularizer):
        def run(network, y0):
            value, effort = NeuralODE(network, integrator(regularizer=regularizer))(y0, t1, key=key)
            return value, effort.penalty

        return run

    runs = {"diffrax": plain, "ours, no penalty": ours(None)}
    for regularizer in (GlobalError(), GlobalStiffness(), StepCount(), LocalError()):
        runs[f"ours, {type(regularizer).__name__}"] = ours(regularizer)
    compiled = {name: eqx.filter_jit(run).lower(network, y0).compile() for name, run in runs.items()}
    return {name: (lambda run=run: run(network, y0)) for name, run in compiled.items()}


def training_programs(network: Network, y0, target, t1: float) -> dict[str, Callable]:
    """Value and gradient of the mean square distance to a target, by jaxsim, without arguments."""
    integrators = {
        "ours": integrator(),
        f"ours, max_steps={BOUND}": integrator(steps=BOUND),  # bounds the number of checkpoints, and so their buffers
        f"ours, max_steps={BOUND}, GlobalError": integrator(steps=BOUND, regularizer=GlobalError()),
        "ours, continuous adjoint": integrator(dfx.BacksolveAdjoint(
            solver=dfx.Dopri5(),
            stepsize_controller=dfx.PIDController(rtol=TOLERANCE, atol=TOLERANCE, norm=dfx.adjoint_rms_seminorm),
        )),
    }  # fmt: skip
    runs = {}
    for name, how in integrators.items():

        def loss(network, y0, target, how=how):
            value, effort = NeuralODE(network, how)(y0, t1)
            return jnp.mean((value - target) ** 2) + 0.0 * effort.penalty, effort.evaluations

        compiled = eqx.filter_jit(eqx.filter_value_and_grad(loss, has_aux=True)).lower(network, y0, target).compile()
        runs[name] = lambda run=compiled: run(network, y0, target)
    return runs


def torch_programs(torch, weights, biases, y0, target, t1: float) -> tuple[dict[str, Callable], Callable]:
    """The same by torchdiffeq, and a function that counts evaluations, forward and in all."""
    torchdiffeq, kind = peer("torchdiffeq"), getattr(torch, str(jnp.result_type(float)))

    class Counted(torch.nn.Module):
        def __init__(self):
            super().__init__()
            layers = []
            for weight, bias in zip(weights, biases):
                linear = torch.nn.Linear(*weight.shape)
                linear.weight.data, linear.bias.data = torch.tensor(weight.T).to(kind), torch.tensor(bias).to(kind)
                layers += [linear, torch.nn.Tanh()]
            self.network, self.evaluations = torch.nn.Sequential(*layers[:-1]), 0

        def forward(self, t, y):
            self.evaluations += 1
            return self.network(y)

    field, times = Counted(), torch.tensor([0.0, t1], dtype=kind)
    parameters = list(field.parameters())
    y0, target = torch.tensor(y0).to(kind), torch.tensor(target).to(kind)
    options = dict(rtol=TOLERANCE, atol=TOLERANCE, method="dopri5")

    def solve(odeint):
        return odeint(field, y0, times, **options)[-1]

    def forward():
        with torch.no_grad():
            return solve(torchdiffeq.odeint)

    def train(odeint):
        loss = ((solve(odeint) - target) ** 2).mean()
        return loss, torch.autograd.grad(loss, parameters)

    def seminorm(f, y0, t, **options):  # as ours: parameters do not count in the error of the backward solve
        return torchdiffeq.odeint_adjoint(f, y0, t, adjoint_options=dict(norm="seminorm"), **options)

    runs = {"torchdiffeq, forward": forward, "torchdiffeq": lambda: train(torchdiffeq.odeint),
            "torchdiffeq, adjoint": lambda: train(torchdiffeq.odeint_adjoint),
            "torchdiffeq, adjoint, seminorm": lambda: train(seminorm)}  # fmt: skip

    def count(name):
        field.evaluations = 0
        runs[name]()
        return field.evaluations

    return runs, count


def distance(a: Any, b: Any) -> float:
    """Relative distance of two lists of arrays."""
    a, b = (np.concatenate([np.ravel(np.asarray(leaf)) for leaf in leaves]) for leaves in (a, b))
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def measure(name: str, options, torch) -> dict:
    """One case: seconds of all programs, their evaluations, and how far their results are apart."""
    sizes, batch, t1, scale = CASES[name]
    weights, biases, y0, target = problem(sizes, batch, scale)
    dtype = jnp.result_type(float)
    network = jax.tree.map(lambda a: jnp.asarray(a, dtype), Network(weights, biases))
    start, goal = jnp.asarray(y0, dtype), jnp.asarray(target, dtype)
    forward = forward_programs(network, start, t1)
    value, effort = NeuralODE(network, integrator())(start, t1)
    steps = int(effort.accepted + effort.rejected)
    training = training_programs(network, start, goal, t1)
    evaluations = {"ours": int(effort.evaluations) + 2}  # and two for the first step
    apart = {}
    if torch is not None:
        theirs, count = torch_programs(torch, weights, biases, y0, target, t1)
        evaluations |= {program: count(program) for program in theirs}
        apart["solution"] = distance([theirs["torchdiffeq, forward"]()], [value])
        _, exact = theirs["torchdiffeq"]()
        exact = [gradient.numpy().transpose() for gradient in exact]
        for program, run in training.items():
            gradient = run()[1]
            ours = [leaf for pair in zip(gradient.weights, gradient.biases) for leaf in pair]
            apart[f"gradient, {program}"] = distance(ours, exact)
        forward["torchdiffeq, forward"] = theirs.pop("torchdiffeq, forward")
        training |= theirs
    times = {"forward": interleaved(forward, options.repeats), "training": interleaved(training, options.repeats)}
    plain = times["forward"]["diffrax"]
    overhead = {program: {key: ratio(entry, plain, key) for key in ("median", "min", "processor")}
                for program, entry in times["forward"].items() if program.startswith("ours")}  # fmt: skip
    adjoint = "torchdiffeq, adjoint, seminorm", "ours, continuous adjoint"
    pairs = {"discrete": ("torchdiffeq", "ours"), "discrete, bounded": ("torchdiffeq", f"ours, max_steps={BOUND}"),
             "continuous": adjoint}  # fmt: skip
    faster = {kind: {key: ratio(times["training"].get(other), times["training"][own], key)
                     for key in ("median", "min", "processor")} for kind, (other, own) in pairs.items()}  # fmt: skip
    return {"case": name, "steps": steps, "rejected": int(effort.rejected), "evaluations": evaluations,
            "distance": apart, "seconds": times, "overhead": overhead, "torchdiffeq / ours": faster}  # fmt: skip


def extend(parser):
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of both sides")


def main():
    options = arguments(__doc__, extend=extend)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])  # XLA starts a thread per core it sees
    torch = peer("torch") if peer("torchdiffeq") is not None else None
    if torch is None:
        warnings.warn(ADVICE, stacklevel=1)
    else:
        torch.set_num_threads(options.threads)
    about = machine()
    heading(f"A neural ODE by Dormand-Prince, tolerance {TOLERANCE:g}", about, options)
    cases = []
    for name in list(CASES)[: 1 if options.quick else None]:
        case = measure(name, options, torch)
        cases.append(case)
        print(f"\n{name}: {case['steps']} steps, {case['rejected']} of them rejected; evaluations: "
              + ", ".join(f"{who} {n}" for who, n in case["evaluations"].items()))  # fmt: skip
        print("relative distances to torchdiffeq: " + ", ".join(f"{k} {d:.1e}" for k, d in case["distance"].items()))
        for kind, entries in case["seconds"].items():
            first = entries["diffrax" if kind == "forward" else "ours"]
            table([f"{kind}, {options.threads} threads", "ms", "least ms", "processor ms", "over the first"],
                  [[p, *(1e3 * e[k] for k in ("median", "min", "processor")), ratio(e, first)]
                   for p, e in entries.items()])  # fmt: skip
    name = "neural_ode_step" + ("_1" if options.threads == 1 else "")
    finish(name, options, about, {
        "threads": options.threads, "tolerance": TOLERANCE, "goal": {"overhead": 1.05, "torchdiffeq / ours": 2.0},
        "peers": versions(torch), "cases": cases,
    })  # fmt: skip


def versions(torch) -> dict[str, str | None]:
    """Of the packages on the other side."""
    theirs = {"torch": torch, "torchdiffeq": peer("torchdiffeq")}
    return {"diffrax": dfx.__version__} | {name: module and module.__version__ for name, module in theirs.items()}


if __name__ == "__main__":
    main()
