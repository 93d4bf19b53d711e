"""Inverse problems by physics-informed networks: errors and their spread over seeds, beside fits through a solver."""

import os
import statistics
import time

# One thread: with other programs on the machine, more threads wait for each other.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import jax  # noqa: E402
import numpy as np  # noqa: E402

from ._common import arguments, finish, heading, machine, table  # noqa: E402

COUNT = 200  # samples
LEVELS = (0.01, 0.05)  # of the noise, in units of the root mean square of the solution


def options(parser):
    parser.add_argument("--seeds", type=int, default=5, help="draws of samples, noise and network")


def timed(function, *inputs):
    """What a function returns, with its wall and processor time."""
    start, busy = time.perf_counter(), time.process_time()
    found = jax.block_until_ready(function(*inputs))
    return found, time.perf_counter() - start, time.process_time() - busy


def summary(runs: list, wanted: np.ndarray) -> dict:
    """Errors, spread and expected deviation of some fits, all relative to the size of what is wanted.

    - `errors`: of each fit.
    - `error`: their root mean square.
    - `bias`: of the mean of all fits.
    - `spread`: the standard deviation of a fit over seeds.
    - `expected`: the standard deviation that the Jacobian at the end of each fit says, the median over seeds.
    """
    answers = np.stack([fit.answer for fit, _, _ in runs])
    size = float(np.sqrt(np.mean(wanted**2)))
    rms = lambda a: float(np.sqrt(np.mean(np.square(a)))) / size
    errors = [rms(answer - wanted) for answer in answers]
    return {
        "errors": errors,
        "error": float(np.sqrt(np.mean(np.square(errors)))),
        "bias": rms(answers.mean(0) - wanted),
        "spread": rms(answers.std(0, ddof=1)) if len(runs) > 1 else None,
        "expected": statistics.median(rms(fit.deviation) for fit, _, _ in runs),
        "misfit": statistics.median(float(fit.misfit) for fit, _, _ in runs),
        "field": statistics.median(float(fit.field) for fit, _, _ in runs),
        "seconds": statistics.median(wall for _, wall, _ in runs),
        "processor seconds": statistics.median(busy for _, _, busy in runs),
        "first seconds": runs[0][1],
    }


def main():
    chosen = arguments(__doc__.splitlines()[0], precision=64, extend=options)
    from ._pinn_inverse_fits import STEPS, by_network, by_solver  # after the precision is set
    from ._pinn_inverse_problems import PROBLEMS, measured, solved

    about = machine()
    heading("Inverse problems", about, chosen)
    seeds, levels, steps = (1, LEVELS[:1], 6) if chosen.quick else (chosen.seeds, LEVELS, STEPS)
    cases = []
    for problem in PROBLEMS.values():
        fine, coarse = solved(problem.truth(), 1024, 5e-4), solved(problem.truth(), 512, 1e-3)
        own = float(np.linalg.norm(coarse - fine[:, ::2]) / np.linalg.norm(coarse))
        for level in levels:
            runs = {"network": [], "solver": []}
            for seed in range(seeds):
                samples = measured(COUNT, level, seed, fine)
                key = jax.random.key(seed)
                runs["network"].append(timed(by_network, problem, samples, fine, key, steps))
                runs["solver"].append(timed(by_solver, problem, samples, fine))
                shown = "; ".join(f"by {way} {summary(found, problem.wanted())['errors'][-1]:.1e}, {found[-1][2]:.0f} s"
                                  for way, found in runs.items())  # fmt: skip
                print(f"  {problem.title}, noise {level:.0%}, seed {seed}: {shown}", flush=True)
            for way, found in runs.items():
                case = {"problem": problem.title, "noise": level, "way": way, "seeds": seeds}
                cases.append({**case, "reference error": own, **summary(found, problem.wanted())})
    columns = ["error", "bias", "spread", "expected", "misfit", "field", "seconds", "processor seconds"]
    names = [f"{c['problem']}, noise {c['noise']:.0%}, {c['way']}" for c in cases]
    table(["case", *columns], [[name, *(c[key] for key in columns)] for name, c in zip(names, cases)])
    finish("pinn_inverse", chosen, about, {"samples": COUNT, "cases": cases})


if __name__ == "__main__":
    main()
