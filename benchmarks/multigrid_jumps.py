"""Iterations of conjugate gradients with multigrid, for coefficients that jump, on ever finer meshes."""

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np

from jaxsim import linear

from ._common import arguments, finish, heading, machine

RTOL = 1e-8
JUMPS = (1.0, 1e3, 1e6, 1e-6)


def disk(n: int, jump: float) -> np.ndarray:
    """A disk that conducts `jump` times as well as what is around it."""
    x = (np.arange(n) + 0.5) / n
    return np.where((x[:, None] - 0.5) ** 2 + (x - 0.5) ** 2 < 0.1, jump, 1.0)


def checkerboard(n: int, jump: float) -> np.ndarray:
    """Eight by eight squares."""
    square = np.arange(n) * 8 // n
    return np.where((square[:, None] + square) % 2, jump, 1.0)


def lognormal(n: int, jump: float) -> np.ndarray:
    """Independent from cell to cell; `jump` is what lies between three standard deviations below and above."""
    return np.exp(np.log(jump) / 6 * np.random.default_rng(0).standard_normal((n, n)))


CASES = {"disk": disk, "checkerboard": checkerboard, "lognormal": lognormal}


@jax.jit
def iterations(a, b, spacing):
    """One program for all coefficients of a size."""
    operator = linear.VariableDiffusion(spacing * a, 1.0)
    options = {"preconditioner": linear.Multigrid(operator)}
    solution = lx.linear_solve(operator, b, linear.CG(RTOL, max_steps=1000), options=options, throw=False)
    # Beside a jump of 1e6 rounding of the residual may exceed the tolerance; then the last steps try to correct that.
    done = (solution.result == lx.RESULTS.successful) | (solution.result == lx.RESULTS.stagnation)
    return solution.stats["num_steps"], done


def main():
    options = arguments(__doc__, precision=64)
    about, sizes = machine(), (32, 64) if options.quick else (32, 64, 128, 256)
    heading(f"-div(a grad u) = 1 on the unit square, u = 0 on its walls, rtol {RTOL:.0e}", about, options)
    counts: dict[str, dict[str, dict[str, int]]] = {name: {f"{jump:.0e}": {} for jump in JUMPS} for name in CASES}
    for n in sizes:
        for name, make in CASES.items():
            for jump in JUMPS:
                count, success = iterations(jnp.asarray(make(n, jump)), jnp.ones((n, n)), n**2)
                if not success:
                    raise RuntimeError(f"{name} with jump {jump} on {n}² cells: conjugate gradients did not converge.")
                counts[name][f"{jump:.0e}"][str(n)] = int(count)
    print("| coefficient | jump | " + " | ".join(f"{n}²" for n in sizes) + " |")
    print("| --- | --- |" + " ---: |" * len(sizes))
    for name, rows in counts.items():
        for jump, row in rows.items():
            print(f"| {name} | {jump} | " + " | ".join(str(count) for count in row.values()) + " |")
    finish("multigrid_jumps", options, about, {"rtol": RTOL, "iterations": counts})


if __name__ == "__main__":
    main()
