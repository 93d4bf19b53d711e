"""What `jax.shard_map` asks of a loop: all that it carries varies over the same devices."""

from typing import Any

import jax
from jax import lax


def inside_shard_map() -> bool:
    """Whether the code being traced runs on each device by itself."""
    return bool(jax.sharding.get_abstract_mesh().manual_axes)


def alike(tree: Any, *others: Any) -> Any:
    """The tree, with each array marked as varying over all mesh axes that any of the arrays given varies over."""
    if not inside_shard_map():
        return tree
    arrays = [leaf for leaf in jax.tree.leaves((tree, others)) if hasattr(leaf, "dtype")]
    axes = frozenset().union(*(_axes(leaf) for leaf in arrays))
    mark = lambda leaf: lax.pcast(leaf, tuple(sorted(axes - _axes(leaf))), to="varying")
    return jax.tree.map(lambda leaf: mark(leaf) if hasattr(leaf, "dtype") and axes - _axes(leaf) else leaf, tree)


def _axes(leaf) -> frozenset:
    kind = jax.typeof(leaf)
    manual = getattr(kind, "mat", None)
    return frozenset(getattr(kind, "vma", ()) if manual is None else manual.varying)
