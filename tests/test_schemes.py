"""Reconstruction schemes in the fluxes of a staggered velocity."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim.integrate import IMEXRK2


@pytest.mark.parametrize(
    "scheme, order", [(js.Upwind(1), 1), (js.Upwind(3), 3), (js.Upwind(5), 5), (js.Central(4), 4), (None, 2)]
)
def test_carried_components_and_scalars_have_the_order_of_the_scheme(scheme, order):
    """In a uniform stream, whose mean at the faces is exact: along both axes, with and against them."""
    wave = lambda x, y: (jnp.sin(x + y), jnp.cos(2 * x - y))
    rate = lambda x, y: (0.5 * jnp.cos(x + y), -2.5 * jnp.sin(2 * x - y))

    @eqx.filter_jit
    def errors(space):
        stream, scalar = space.field(lambda x, y: (1 + 0 * x, -0.5 + 0 * x)), space.scalar()
        carried = js.advect(stream, space.field(wave)) - space.field(rate)
        mixed = js.advect(stream, scalar.field(lambda x, y: wave(x, y)[0])).values
        return jnp.stack([
            *(jnp.abs(part.values).max() for part in carried),
            jnp.abs(mixed - rate(*scalar.coordinates())[0]).max(),
        ])  # fmt: skip

    coarse, fine = (errors(js.Staggered(js.Grid((n, n), 0.0, 2 * np.pi), scheme=scheme)) for n in (16, 32))
    assert np.all(np.abs(np.log2(coarse / fine) - order) < 0.15)


@pytest.mark.slow
def test_vortices_leave_through_an_open_side():
    sides = (js.Inflow(lambda t, x, y: (1 + 0 * y, 0 * y)), js.ConvectiveOutflow(1.0)), js.FreeSlip()
    space = js.Staggered(js.Grid((24, 8), 0.0, (3.0, 1.0)), sides, scheme=js.Upwind(3))
    bump = space.field(lambda x, y: (1 + 0 * x, 0.3 * jnp.sin(np.pi * y) * jnp.exp(-4 * (x - 1) ** 2)))
    u = js.rollout(js.equations.NavierStokesVelocity(0.01), bump, dt=0.02, steps=300, solver=IMEXRK2())
    assert jnp.abs(js.div(u).values).max() < 1e-12
    assert jnp.abs(u[0].values - 1).max() < 1e-3 and jnp.abs(u[1].values).max() < 1e-3


def test_schemes_are_for_equal_cells():
    with pytest.raises(ValueError, match="equal cells"):
        grid = js.Grid((8, 8), stretching=(js.TanhStretching(1.0), None))
        js.Staggered(grid, js.NoSlip(), scheme=js.Upwind(3))
