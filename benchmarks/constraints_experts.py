"""Experts on smooth Burgers with 1, 2, 4 and 8 boxes, coupled and alone: error, and time of value and gradient."""

import os

# One thread for LAPACK: on a busy machine more threads wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from ._common import arguments, finish, heading, machine  # noqa: E402
from ._constraints_experts import measure, show  # noqa: E402


def main():
    options = arguments(__doc__, precision=64)
    about = machine()
    heading("Experts", about, options)
    result = measure(options)
    show(result)
    finish("constraints_experts", options, about, result)


if __name__ == "__main__":
    main()
