"""One fresh process of `benchmarks.compile`: imports a solver, makes a first call and a second, prints their times.

Nothing is imported before the clock starts. Run as `python -m benchmarks._first_call PROGRAM NODES PRECISION`.
"""

import json
import sys
import time

STEPS = 16


def ours(nodes: int, jax):
    import jax.numpy as jnp

    import jaxsim as js

    def call():
        space = js.Fourier(js.Grid((nodes, nodes), 0.0, 2 * jnp.pi))
        start = space.field(lambda x, y: jnp.sin(4 * y) + 0.1 * jnp.cos(x + 2 * y))
        flow = js.equations.NavierStokesVorticity(1e-3)
        return js.rollout(flow, start, dt=1e-3, steps=STEPS, solver=js.integrate.ETDRK4()).values

    return call


def exponax(nodes: int, jax):
    import exponax as ex
    import jax.numpy as jnp

    def call():
        stepper = ex.stepper.NavierStokesVorticity(2, 2 * jnp.pi, nodes, 1e-3, diffusivity=1e-3, order=4)
        x, y = ex.make_grid(2, 2 * jnp.pi, nodes)
        start = (jnp.sin(4 * y) + 0.1 * jnp.cos(x + 2 * y))[None]
        return jax.jit(ex.repeat(stepper, STEPS))(start)

    return call


def main():
    program, nodes, precision = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    times = {}
    wall, processor = time.perf_counter(), time.process_time()

    def lap(name):
        nonlocal wall, processor
        times[name] = {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor}
        wall, processor = time.perf_counter(), time.process_time()

    import jax

    jax.config.update("jax_enable_x64", precision == 64)
    jax.devices()
    lap("import jax")
    call = {"ours": ours, "exponax": exponax}[program](nodes, jax)
    lap("import")
    jax.block_until_ready(call())
    lap("first call")
    jax.block_until_ready(call())
    lap("second call")
    print(json.dumps(times))


if __name__ == "__main__":
    main()
