"""Pictures and animations of fields. Needs the `plot` extra: `pip install jaxsim-toolkit[plot]`."""

from .animation import animate
from .fields import field, show, space_time
from .pictures import save
from .spectra import shell_spectrum, spectrum

__all__ = ["animate", "field", "save", "shell_spectrum", "show", "space_time", "spectrum"]
