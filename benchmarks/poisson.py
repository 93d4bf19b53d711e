"""Log-normal Darcy flow on ever finer meshes: iterations and time to solve, beside SciPy, PyAMG and lineax."""

import functools
import os

# One thread for BLAS, which PyAMG calls on small matrices: on a busy machine more threads wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import lineax as lx  # noqa: E402
import numpy as np  # noqa: E402

from jaxsim import linear  # noqa: E402

from ._common import arguments, finish, heading, interleaved, machine, peer, ratio, table  # noqa: E402

RTOL = 1e-8
ALPHA, TAU, MODES = 2.5, 7.0, 23  # the field has the same modes on every mesh, all resolved by the coarsest


def coefficient(nodes: int, amplitude: float) -> np.ndarray:
    """exp(amplitude g) with one periodic Gaussian field g, sampled at the centers of `nodes`² cells.

    The spectrum of g is tau^(alpha - 1) (4 pi² |k|² + tau²)^(-alpha / 2), that of the Darcy data sets of operator
    learning (Li et al., Fourier Neural Operator for Parametric PDEs, ICLR 2021).
    """
    random = np.random.default_rng(0)
    k = np.arange(-MODES, MODES + 1)
    weight = TAU ** (ALPHA - 1) * (4 * np.pi**2 * (k[:, None] ** 2 + k**2) + TAU**2) ** (-ALPHA / 2)
    weight[MODES, MODES] = 0
    modes = weight * (random.standard_normal(weight.shape) + 1j * random.standard_normal(weight.shape))
    waves = np.exp(2j * np.pi * np.outer((np.arange(nodes) + 0.5) / nodes, k))
    return np.exp(amplitude * (waves @ modes @ waves.T).real)


def sparse_matrix(operator: linear.VariableDiffusion):
    """The same matrix for SciPy."""
    sparse = peer("scipy.sparse")
    x, y = (np.asarray(face) for face in operator.faces)
    n, m = operator.coefficient.shape
    beside_y = np.pad(y[:, 1:-1], ((0, 0), (0, 1))).reshape(-1)[:-1]
    bands = [np.asarray(operator.diagonal()).reshape(-1), -beside_y, -beside_y]
    return sparse.diags_array([*bands, -x[1:-1].reshape(-1), -x[1:-1].reshape(-1)], offsets=[0, 1, -1, m, -m]).tocsc()


@functools.partial(jax.jit, static_argnames=("make", "solver"))
def solve(operator, b, make, solver):
    """Set up and solve: what a changed coefficient costs."""
    options = {} if make is None else {"preconditioner": make(operator)}
    solution = lx.linear_solve(operator, b, solver, options=options, throw=False)
    return solution.value, solution.stats["num_steps"], solution.result == lx.RESULTS.successful


def ours(operator, b, make):
    return lambda: solve(operator, b, make, linear.CG(RTOL, max_steps=20_000))


def lineax_cg(operator, b, make):
    """lineax's rule is entrywise, so that an absolute tolerance has to stand for the norm of b."""
    stock = lx.CG(0.0, RTOL * float(jnp.max(jnp.abs(b))), max_steps=20_000)
    return lambda: solve(operator, b, make, stock)


def peers(operator, b) -> dict:
    """SciPy's direct solver and PyAMG's solvers, on one thread."""
    entries, right = {}, np.asarray(b).reshape(-1)
    linalg, pyamg = peer("scipy.sparse.linalg"), peer("pyamg")
    if linalg is None:
        return entries
    matrix = sparse_matrix(operator)
    entries["scipy, direct"] = lambda: (linalg.spsolve(matrix, right), None, True)
    if pyamg is None:
        return entries
    rows = matrix.tocsr()
    for name, make in (
        ("pyamg, smoothed aggregation CG", pyamg.smoothed_aggregation_solver),
        ("pyamg, Ruge-Stuben CG", pyamg.ruge_stuben_solver),
    ):

        def run(make=make):
            residuals = []
            value = make(rows).solve(right, tol=RTOL, accel="cg", residuals=residuals, maxiter=200)
            return value, len(residuals) - 1, True

        entries[name] = run
    return entries


def case(nodes: int, amplitude: float, options) -> dict:
    """All solvers on one mesh."""
    field = coefficient(nodes, amplitude)
    dtype = jnp.result_type(float)
    operator = linear.VariableDiffusion(jnp.asarray(field, dtype), 1 / nodes)
    b = jnp.ones(field.shape, dtype)
    runs = {
        "ours, CG + fast Poisson": ours(operator, b, linear.fast_poisson),
        "ours, CG + multigrid": ours(operator, b, linear.Multigrid),
        "ours, CG": ours(operator, b, None),
        "lineax CG": lineax_cg(operator, b, None),
        "lineax CG + our multigrid": lineax_cg(operator, b, linear.Multigrid),
    } | peers(operator, b)
    entries = {}
    for name, run in runs.items():
        value, steps, success = run()
        residual = b - operator.mv(jnp.asarray(value, dtype).reshape(b.shape))
        entries[name] = {
            "iterations": None if steps is None else int(steps),
            "success": bool(success),
            "relative residual": float(jnp.linalg.norm(residual) / jnp.linalg.norm(b)),
        }
    # Beyond this, plain conjugate gradients are counted and not timed: they take most of the time there is.
    timed = {name: run for name, run in runs.items() if nodes <= 128 or name not in ("ours, CG", "lineax CG")}
    times = interleaved({name: lambda run=run: run()[0] for name, run in timed.items()}, options.repeats)
    for name, entry in entries.items():
        entry["seconds"] = times.get(name)
    best = min(("ours, CG + fast Poisson", "ours, CG + multigrid"), key=lambda name: times[name]["median"])
    over = {name: ratio(times.get(name), times[best]) for name in runs}
    contrast = float(field.max() / field.min())
    return {
        "nodes": nodes,
        "amplitude": amplitude,
        "contrast": contrast,
        "best": best,
        "entries": entries,
        "over best": over,
    }


def versions() -> dict:
    """Versions of the solvers that are compared."""
    return {name: getattr(peer(name), "__version__", None) for name in ("lineax", "scipy", "pyamg")}


def main():
    options = arguments(__doc__, precision=64)
    about = machine()
    sizes = (48, 64) if options.quick else (48, 128, 256, 512)
    heading(f"-div(a grad u) = 1 on the unit square, u = 0 on its walls, rtol {RTOL:.0e}", about, options)
    print(", ".join(f"{name} {version or 'missing: its entries are left out'}" for name, version in versions().items()))
    cases = []
    for amplitude in (1.0, 4.0):
        for nodes in sizes:
            result = case(nodes, amplitude, options)
            cases.append(result)
            print(f"\n{nodes}² cells, contrast of a {result['contrast']:.3g}; times over {result['best']}")
            rows = [
                [
                    name,
                    e["iterations"],
                    e["relative residual"],
                    e["seconds"] and e["seconds"]["median"],
                    result["over best"][name],
                ]
                for name, e in result["entries"].items()
            ]
            table(["solver", "iterations (goal 15)", "relative residual", "s, set-up and solve", "ratio"], rows)
    most = {
        name: max(case["entries"][name]["iterations"] for case in cases if case["amplitude"] == 1)
        for name in ("ours, CG + fast Poisson", "ours, CG + multigrid")
    }
    print(f"most iterations on any mesh at amplitude 1 (goal 15): {most}")
    finish("poisson", options, about, {"goals": {"iterations": 15}, "most iterations": most, "peers": versions(),
                                       "rtol": RTOL, "cases": cases})  # fmt: skip


if __name__ == "__main__":
    main()
