"""What every projection must pass."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np


def check_derivatives(function, *points, rtol=1e-6, step=1e-5, seed=0):
    """Forward against central differences, reverse against forward (the dot test), along random directions."""
    rng = np.random.default_rng(seed)
    directions = tuple(jnp.asarray(rng.standard_normal(np.shape(p))) for p in points)

    @jax.jit
    def all_of_them(points, directions):
        shifted = jax.vmap(lambda h: function(*(p + h * d for p, d in zip(points, directions))))
        ahead, behind = shifted(jnp.array([step, -step]))
        value, push = jax.linearize(function, *points)
        forward = push(*directions)
        toward = jnp.cos(jnp.arange(value.size, dtype=value.dtype)).reshape(value.shape)
        return forward, (ahead - behind) / (2 * step), toward, jax.linear_transpose(push, *points)(toward)

    forward, difference, toward, back = all_of_them(points, directions)
    assert np.linalg.norm(forward) > 0
    np.testing.assert_allclose(forward, difference, rtol=rtol, atol=rtol * np.max(np.abs(difference)))
    pulled = sum(np.sum(b * d) for b, d in zip(back, directions))
    np.testing.assert_allclose(np.sum(toward * forward), pulled, rtol=1e-10, atol=1e-12 * np.linalg.norm(forward))


def check_batch(function, batch):
    """A batch gives what its members give alone."""
    together, alone = jax.vmap(function)(batch), jnp.stack([function(y) for y in batch])
    np.testing.assert_allclose(together, alone, rtol=1e-12, atol=1e-13)


def traces(function):
    """The function compiled, and a list that grows by one entry with every trace."""
    seen = []

    @eqx.filter_jit
    def counted(*arguments):
        seen.append(None)
        return function(*arguments)

    return counted, seen


def check_sharded(function, batch):
    """Cut over four devices, values and gradients are those of one device and take no collective."""
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:4]), ("batch",))
    cut = lambda f: jax.jit(jax.shard_map(jax.vmap(f), mesh=mesh, in_specs=jax.P("batch"), out_specs=jax.P("batch")))
    slope = jax.grad(lambda y: jnp.sum(jnp.sin(function(y))))
    for f in (function, slope):
        program = cut(f).lower(batch).compile()
        text = str(program.as_text())
        assert not any(word in text for word in ("all-reduce", "all-gather", "all-to-all", "collective-permute"))
        np.testing.assert_allclose(program(batch), jax.jit(jax.vmap(f))(batch), rtol=1e-11, atol=1e-12)
