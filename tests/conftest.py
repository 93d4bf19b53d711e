"""Double precision, four virtual CPU devices, and a compilation cache kept between runs."""

import os
from pathlib import Path

# XLA reads its flags when the first backend starts, so they are set before jax is imported. Threads are
# not pinned: collectives between the four devices wait for each other, and need a thread each.
_DEVICES = "--xla_force_host_platform_device_count=4"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_DEVICES}".strip()
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".cache" / "jax"))

import jax  # noqa: E402

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)

import pytest  # noqa: E402
from jax._src.dispatch import runtime_tokens  # noqa: E402


@pytest.fixture(autouse=True)
def _errors_stay_in_their_test():
    """JAX keeps a device's last failed callback until the next one there, and `jax.effects_barrier` raises it again."""
    yield
    try:
        jax.effects_barrier()
    except Exception:
        runtime_tokens.clear()
