"""Many runs at once, spread over devices."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, jaxpr_as_fun
from jax.sharding import Mesh, PartitionSpec

from ..field import Field
from ..spaces.sharding import map_shards
from .failures import Failure, flagged, has_checks, inner_traces, raised


def ensemble(function: Callable, mesh: Mesh) -> Callable:
    """A function of one member, as a function of many whose members are spread over the devices of a mesh.

    `ensemble(f, mesh)(x)[i] = f(x[i])`, like `jax.vmap(f)`. Each device loops over its own members, so adaptive steps
    and iterations of one device do not wait for another; neither the value nor a gradient with respect to the
    arguments needs communication. Only the gradient with respect to what `function` closes over is summed over
    devices. Transform fields inside, too (`.values`, `.coefficients`): outside, XLA gathers all members to do it.

    Functions that use `diffrax.diffeqsolve`, lineax or optimistix (js.solve, for one) are differentiated inside, as in
    `js.ensemble(jax.value_and_grad(f), mesh)`; a derivative through the ensemble fails in these libraries, which do
    not recognize arrays of a `shard_map` (lineax issue 185). Everything else can be differentiated either way.

    What a member would raise when it runs (`Diverged`, a solve that did not converge, any `eqx.error_if`) is raised
    after the members have run, for the first one that failed: a device that raised by itself would leave the others
    waiting.

    **Arguments:**

    - `function`: takes and returns pytrees, fields among them; called with one member's.
    - `mesh`: a `jax.sharding.Mesh`; all of its axes are used.

    **Returns:** a function of the same arguments in which every array has a leading member axis. Leaves that are not
    arrays (activation functions, `None`) are shared. Its results have a leading member axis, spread over the mesh.

    **Raises:** `ValueError` when members are missing, differ in number between arguments, or do not fill the devices
    equally, and for fields that are themselves cut over a mesh. Where a member fails, `Diverged` with its number and
    the time for runs, and an `eqx.EquinoxRuntimeError` with its number for everything else; under an outer `jax.jit` a
    run-time error that every device raises, with the number and without the time.

    !!! example

        ```python
        mesh = jax.make_mesh((4,), ("members",))
        finals = js.ensemble(lambda u0: js.rollout(equation, u0, dt=1e-2, steps=100), mesh)(fields)
        ```
    """
    if not isinstance(mesh, Mesh):
        raise TypeError(f"ensemble: `mesh` must be a jax.sharding.Mesh, got {type(mesh).__name__}.")
    spec = PartitionSpec(mesh.axis_names)

    def spread(*arguments, **keywords):
        if keywords:
            names = ", ".join(keywords)
            raise TypeError(
                f"ensemble: give the members by position, and not as {names}=...; a function of keywords is wrapped as "
                f"in js.ensemble(lambda {names}: function({', '.join(f'{k}={k}' for k in keywords)}), mesh)."
            )
        arrays, shared = eqx.partition(arguments, eqx.is_array_like)
        _check(arguments, arrays, mesh.size)
        rest = []  # what members return besides arrays is known when they have been traced

        def member(arrays):
            result, other = eqx.partition(function(*eqx.combine(arrays, shared)), eqx.is_array_like)
            rest[:] = [other]
            return result

        # Traced before the mesh is in sight: lineax and optimistix compare shapes with and without a sharding, and fail
        # when traced inside `shard_map`. Nothing in the trace talks between devices, so no values need tracking (vma).
        one, shape = jax.make_jaxpr(member, return_shape=True)(_one(arrays))
        if "shard_map" in _primitives(one.jaxpr):
            raise ValueError(
                "ensemble: the function cuts something over a mesh itself; make its spaces without `mesh=`, and do not "
                "nest ensembles."
            )
        checked, texts = flagged(one) if has_checks(one) else (jaxpr_as_fun(one), [])
        traced = jax.make_jaxpr(jax.vmap(checked))(*jax.tree.leaves(_local(arrays, mesh.size)))
        members = jaxpr_as_fun(traced)
        leaves = jax.tree.leaves(arrays)
        specs = (spec,) * len(leaves), [spec] * len(traced.out_avals)
        results = map_shards(members, mesh, *specs, check_vma=False)(*leaves)
        if texts:
            *results, number, time = results
            results = raised(results, Failure(number, time), texts, mesh)
        return eqx.combine(jax.tree.unflatten(jax.tree.structure(shape), results), rest[0])

    return spread


def _one(arrays):
    """Shapes and types of one member."""
    return jax.tree.map(lambda array: jax.ShapeDtypeStruct(jnp.shape(array)[1:], jnp.result_type(array)), arrays)


def _local(arrays, devices: int):
    """Shapes and types of the piece of one device."""

    def piece(array):
        count, *shape = jnp.shape(array)
        return jax.ShapeDtypeStruct((count // devices, *shape), jnp.result_type(array))

    return jax.tree.map(piece, arrays)


def _check(arguments, arrays, devices: int) -> None:
    fields = [a for a in jax.tree.leaves(arguments, is_leaf=_is_field) if _is_field(a)]
    if any(getattr(field.space, "mesh", None) is not None for field in fields):
        raise ValueError(
            "ensemble: these fields are cut over a mesh themselves; make their space without `mesh=`, or run "
            "members one after another with jax.lax.map."
        )
    shapes = [jnp.shape(a) for a in jax.tree.leaves(arrays)]
    if not shapes:
        raise ValueError("ensemble: the arguments hold no arrays, so there are no members.")
    if () in shapes:
        raise ValueError(
            "ensemble: every array needs the members as leading axis, but one is a single number; close over what "
            "members share, as in js.ensemble(lambda u0: f(u0, shared), mesh)."
        )
    counts = sorted({shape[0] for shape in shapes})
    if len(counts) > 1:
        raise ValueError(
            f"ensemble: arguments disagree on the number of members, {counts}; every array needs them as leading axis, "
            "and what members share is closed over."
        )
    if counts[0] == 0 or counts[0] % devices:
        raise ValueError(
            f"ensemble: {devices} devices cannot share {counts[0]} members equally; use a multiple of {devices}, or a "
            "mesh of fewer devices."
        )


def _is_field(node) -> bool:
    return isinstance(node, Field)


def _primitives(jaxpr: Jaxpr) -> set[str]:
    """Names of all primitives of a trace, those inside loops and branches included."""
    names = set()
    for equation in jaxpr.eqns:
        names.add(equation.primitive.name)
        for inner in inner_traces(equation):
            names |= _primitives(inner.jaxpr if isinstance(inner, ClosedJaxpr) else inner)
    return names
