"""What is written replaces what was there as a whole, or not at all."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import matplotlib.figure
import numpy as np
import pytest

import jaxsim as js
from jaxsim import io, plot
from jaxsim.files import replacing
from jaxsim.optimize.checkpoint import Checkpoint


def content(path):
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def write(path, text):
    """A file, or a folder with two of them."""
    if path.suffix == ".zarr":
        path.mkdir()
        (path / text).write_text(text)
        (path / "same").write_text(text)
    else:
        path.write_text(text)


@pytest.mark.parametrize("name", ["a.nc", "a.zarr"])
def test_a_block_that_ends_replaces_and_one_that_raises_leaves_no_trace(tmp_path, name):
    target = tmp_path / "new" / name
    for text in ("first", "second"):
        with replacing(target) as part:
            assert part.parent == target.parent and part.suffix == target.suffix
            write(part, text)
    whole = content(tmp_path)
    assert set(whole.values()) == {b"second"} and len(list(target.parent.iterdir())) == 1
    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error), replacing(target) as part:
            write(part, "third")
            raise error
    with pytest.raises(FileNotFoundError, match="nothing was written"), replacing(target):
        pass
    assert content(tmp_path) == whole and list(target.parent.iterdir()) == [target]


def test_folders_are_exchanged_also_where_the_system_has_no_call_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "elsewhere")
    for text in ("first", "second"):
        with replacing(tmp_path / "a.zarr") as part:
            write(part, text)
    assert set(content(tmp_path)) == {"a.zarr/second", "a.zarr/same"}


def test_files_and_folders_do_not_replace_each_other(tmp_path):
    (tmp_path / "a.zarr").write_text("a file")
    with pytest.raises(IsADirectoryError, match="name another path"), replacing(tmp_path / "a.zarr") as part:
        write(part, "a folder")
    assert content(tmp_path) == {"a.zarr": b"a file"}


def test_links_and_permissions_stay(tmp_path):
    (tmp_path / "real.nc").write_text("first")
    (tmp_path / "real.nc").chmod(0o640)
    (tmp_path / "link.nc").symlink_to("real.nc")
    with replacing(tmp_path / "link.nc") as part:
        part.write_text("second")
    assert (tmp_path / "link.nc").is_symlink() and (tmp_path / "real.nc").read_text() == "second"
    assert (tmp_path / "real.nc").stat().st_mode & 0o777 == 0o640


def test_a_process_that_is_killed_while_it_writes_leaves_what_was_there(tmp_path):
    u = js.Point().field(np.arange(3.0))
    paths = [io.save(tmp_path / name, u) for name in ("u.nc", "u.zarr")]
    code = """
import os, signal, sys, xarray
import jaxsim as js
from jaxsim import io
write = getattr(xarray.Dataset, sys.argv[2])
def killed(dataset, path, **options):
    write(dataset, path, **options)
    os.truncate(path, 100) if os.path.isfile(path) else None
    os.kill(os.getpid(), signal.SIGKILL)
setattr(xarray.Dataset, sys.argv[2], killed)
io.save(sys.argv[1], js.Point().field([5.0, 6.0, 7.0]))
"""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    for path, writer in zip(paths, ("to_netcdf", "to_zarr")):
        ended = subprocess.run([sys.executable, "-c", code, str(path), writer], env=environment)
        assert ended.returncode == -signal.SIGKILL
        np.testing.assert_array_equal(io.load(path)[0].values, u.values)


def test_every_writer_leaves_what_was_there_where_it_fails(tmp_path, monkeypatch):
    u, figure = js.Fourier(js.Grid(8)).field(np.arange(8.0)), matplotlib.figure.Figure()
    seen = io.Observations(np.arange(2.0), np.zeros((1, 3)), {"u": np.ones((2, 3))})
    line = js.Fourier(js.Grid(8)).field(np.ones((2, 8)))
    writers = {
        "u.nc": lambda path: io.save(path, u),
        "u.zarr": lambda path: io.save(path, u),
        "o.nc": lambda path: io.write_observations(path, seen),
        "o.npz": lambda path: io.write_observations(path, seen),
        "p.png": lambda path: plot.save(path, figure),
        "p.gif": lambda path: plot.animate(path, line),
        "run": lambda path: Checkpoint(path).write(u, [1.0], []),
    }
    for name, writer in writers.items():
        writer(tmp_path / name)
    whole = content(tmp_path)

    def full(*_, **__):
        raise OSError("the disk is full")

    monkeypatch.setattr("jaxsim.files._settle", full)
    for name, writer in writers.items():
        with pytest.raises(OSError, match="the disk is full"):
            writer(tmp_path / name)
    assert content(tmp_path) == whole
