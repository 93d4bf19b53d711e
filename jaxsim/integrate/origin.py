"""Terms whose times are counted from a moment of their own.

Solvers take `t1 - t0` for the size of a step. Late in a run that difference of two rounded numbers is not the step that
was asked for: in float32, steps of 1e-4 at t = 1e4 are zero. A run of counted steps therefore gives each step the
interval from 0 to `dt`, and a term that knows when that was. An equation that does not depend on time then does not
depend on when it starts either, to the last bit.
"""

from collections.abc import Callable
from typing import Any

import diffrax as dfx
import equinox as eqx

from .term import SemilinearTerm


def since(term: dfx.AbstractTerm, origin) -> dfx.AbstractTerm:
    """The same term with time zero at `origin`: `since(term, t0).vf(t, y, args)` is `term.vf(t0 + t, y, args)`.

    **Arguments:**

    - `term`: any diffrax term.
    - `origin`: a time, which may be traced.

    **Returns:** a term of the same class where diffrax's solvers ask for one. Controls that are paths are asked for
    their increment between the true times; where time itself is the control, its increment is that of the new times.
    """
    if isinstance(term, SemilinearTerm):
        origin = origin if term.origin is None else term.origin + origin
        return SemilinearTerm(term.equation, term.space, origin, term.kick)
    if isinstance(term, dfx.MultiTerm):
        return dfx.MultiTerm(*(since(part, origin) for part in term.terms))
    if type(term) is dfx.ODETerm:
        return dfx.ODETerm(Later(term.vector_field, origin))
    if type(term) is dfx.ControlTerm:
        return dfx.ControlTerm(Later(term.vector_field, origin), _Increments(term.control, origin))
    return _Since(term, origin)


class Later(eqx.Module):
    """A function of time that begins at `origin`."""

    function: Callable
    origin: Any

    def __call__(self, t, y, args):
        return self.function(self.origin + t, y, args)


class _Increments(dfx.AbstractPath):
    """The path that drives a term, asked between the true times."""

    path: Any
    origin: Any

    @property
    def t0(self):
        return self.path.t0 - self.origin

    @property
    def t1(self):
        return self.path.t1 - self.origin

    def evaluate(self, t0, t1=None, left: bool = True, **kwargs):
        later = None if t1 is None else self.origin + t1
        return self.path.evaluate(self.origin + t0, later, left, **kwargs)


class _Since(dfx.AbstractTerm):
    """Any other term; its own control decides what an increment is."""

    term: dfx.AbstractTerm
    origin: Any

    def vf(self, t, y, args):
        return self.term.vf(self.origin + t, y, args)

    def contr(self, t0, t1, **kwargs):
        return self.term.contr(self.origin + t0, self.origin + t1, **kwargs)

    def prod(self, vf, control):
        return self.term.prod(vf, control)

    def vf_prod(self, t, y, args, control):
        return self.term.vf_prod(self.origin + t, y, args, control)

    def is_vf_expensive(self, t0, t1, y, args):
        return self.term.is_vf_expensive(self.origin + t0, self.origin + t1, y, args)
