"""Fields, systems and trajectories come back from files bit by bit, and nothing else does."""

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray

import jaxsim as js
from jaxsim import io

BOX = (0.1, -1.0), (1.3, 2.0)
PLANE = js.Grid((9, 8), *BOX)
STRETCHED = js.Grid((9, 8), *BOX, stretching=(js.TanhStretching(1.5), None))
MOVING = js.Dirichlet(lambda t, x, y: t + y)
SPACES = {
    "point": js.Point(),
    "line": js.Fourier(js.Grid(7, 1.0, 1.001)),
    "plane": js.Fourier(PLANE, dealias=1.0),
    "complex": js.Fourier(js.Grid((6, 5), *BOX), real=False),
    "space": js.Fourier(js.Grid((4, 5, 6)), degree=3),
    "periodic": js.FiniteDifference(PLANE, order=4, real=False, faces=(False, True)),
    "walls": js.FiniteDifference(PLANE, (js.Robin(1.0, 2.0, 3.0), (js.Dirichlet(np.arange(9.0)), js.Neumann()))),
    "faces": js.FiniteDifference(js.Grid(9, 0.0, 1e-3), ((js.Dirichlet(1000.0), js.Neumann()),), faces=(True,)),
    "stretched": js.FiniteDifference(STRETCHED, (js.Dirichlet(0.0), js.Periodic()), faces=(True, False)),
    "moving": js.FiniteDifference(STRETCHED, (MOVING, js.Periodic())),
    "cavity": js.Staggered(PLANE, (js.NoSlip(), (js.NoSlip(), js.MovingWall((1.0, 0.0)))), scheme=js.Upwind(3)),
    "channel": js.Staggered(STRETCHED, ((js.Inflow((1.0, 0.0)), js.Outflow()), js.FreeSlip())),
    "body": js.Staggered(PLANE, body=js.Body(js.geometry.Union(js.geometry.Ball((0.6, 0.5), 0.2)), 0.1)),
    "jet": js.Staggered(PLANE, (js.Inflow(lambda t, x, y: (1 + 0 * y, 0 * y)), js.Periodic())),
    "room": js.Staggered(js.Grid((4, 5, 4)), js.NoSlip()),
}
FUNCTIONS = {"moving", "jet"}


def sized(space, leading=(), dtype=np.float64, size=1000.0, seed=0):
    """A field of rough values, also a velocity that no projection made."""
    rng = np.random.default_rng(seed)

    def rough(*shape):
        values = size * rng.normal(size=(*leading, *shape))
        return (values if getattr(space, "real", True) else values + 1j * rng.normal(size=values.shape)).astype(
            dtype if getattr(space, "real", True) else np.result_type(dtype, np.complex64)
        )

    if isinstance(space, js.Point):
        return space.field(rough(3))
    if isinstance(space, js.Staggered):
        return space.bind(tuple(jnp.asarray(rough(*part.shape)) for part in space.parts()))
    return space.field(rough(2, *getattr(space, "shape", space.grid.shape)))


def identical(a, b):
    """Whether two trees have one structure and the same bits."""
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b)):
        x, y = np.asarray(x), np.asarray(y)
        assert (x.dtype, x.shape, x.tobytes()) == (y.dtype, y.shape, y.tobytes())


SLOW = {name: [] if name in ("complex", "cavity") else pytest.mark.slow for name in SPACES}
IN_FOLDERS = [pytest.param(name, "zarr", marks=mark) for name, mark in SLOW.items()]


@pytest.mark.parametrize(("name", "suffix"), [*((name, "nc") for name in SPACES), *IN_FOLDERS])
def test_fields_of_every_space_come_back_bit_by_bit(tmp_path, name, suffix):
    space = SPACES[name]
    for dtype in (np.float64, np.float32):
        u = sized(space, dtype=dtype)
        path = io.save(tmp_path / f"u.{suffix}", u)
        back, times = io.load(path, space)
        assert times is None
        identical(back, u)
        identical((space.state(back), back.values), (space.state(u), u.values))
        if name in FUNCTIONS:
            with pytest.raises(ValueError, match="a function in it.*pass `space=`"):
                io.load(path)
        else:
            identical(io.load(path)[0], u)


def test_modes_products_and_derivatives_come_back_bit_by_bit(tmp_path):
    u, w = sized(SPACES["plane"], seed=1), sized(SPACES["stretched"])
    walls = js.FiniteDifference(js.Grid(12), js.Dirichlet(2.0)).field(jnp.cos)
    for field in (u * u, js.partial(u, 0), u + u * u, -0.0 * u, js.partial(w, 0), js.laplacian(w), walls * walls):
        back, _ = io.load(io.save(tmp_path / "u.zarr", field))
        identical(back.values, field.values)
        identical(js.partial(back, 0).values, js.partial(field, 0).values)
    velocity = sized(SPACES["cavity"])
    for field in (js.div(velocity), js.curl(velocity), velocity[0]):
        identical(io.load(io.save(tmp_path / "d.nc", field))[0], field)


def test_trajectories_and_solutions_come_back_with_their_times(tmp_path):
    times = np.array([0.0, 0.1, 0.25, 7.0], np.float32)
    for name in ("line", "cavity", "point", "moving"):
        space = SPACES[name]
        u = sized(space, leading=(4,))
        u = space.bind(space.state(u), times) if name == "moving" else u
        for suffix in ("nc", "zarr"):
            back, found = io.load(io.save(tmp_path / f"{name}.{suffix}", u, times), space)
            identical((back, found), (u, times))
    u0 = js.Fourier(js.Grid(16, 0.0, 2 * np.pi)).field(jnp.sin)
    solution = js.solve(js.equations.Burgers(0.1), u0, 0.3, dt=0.05, saveat=[0.05, 0.2, 0.3])
    identical(io.load(io.save(tmp_path / "s.nc", solution)), (solution.ys, np.asarray(solution.ts)))
    with pytest.raises(ValueError, match="leave out `times`"):
        io.save(tmp_path / "s.nc", solution, times)
    with pytest.raises(TypeError, match="saveat="):
        io.save(tmp_path / "s.nc", eqx.tree_at(lambda s: s.ys, solution, None))
    with pytest.raises(ValueError, match="one leading entry per time"):
        io.save(tmp_path / "s.nc", solution.ys, times)


def test_systems_come_back_as_they_were(tmp_path):
    flow, heat = sized(SPACES["cavity"]), sized(SPACES["cavity"].scalar(js.Dirichlet(1.0)))
    system = {"flow": flow, "t": [heat, (sized(SPACES["complex"]), sized(SPACES["point"]))], "n": sized(SPACES["line"])}
    for suffix in ("nc", "zarr"):
        path = io.save(tmp_path / f"s.{suffix}", system)
        identical(io.load(path)[0], system)
        spaces = jax.tree.map(lambda u: u.space, system, is_leaf=lambda node: isinstance(node, js.Field))
        identical(io.load(path, spaces)[0], system)
        identical(io.load(io.save(path, (heat, heat)), heat.space)[0], (heat, heat))
    io.save(path, system)
    for wrong in ({"flow": flow.space}, [flow.space] * 3, {**spaces, "x": flow.space}):
        with pytest.raises(ValueError, match="as one space, or as such a dict"):
            io.load(path, wrong)
    with pytest.raises(TypeError, match="needs a space for each field"):
        io.load(path, {**spaces, "flow": 3})
    for nothing in (flow.values, None, [], {"u": 1.0}, js.march):
        with pytest.raises(TypeError, match="files hold fields"):
            io.save(path, nothing)
    with pytest.raises(TypeError, match="js.interpolate"):
        io.save(path, js.Function(jnp.sin))
    with pytest.raises(ValueError, match=r"outside of jax\.jit"):
        jax.jit(lambda values: io.save(path, SPACES["line"].field(values)))(jnp.zeros(7))


@pytest.mark.parametrize("name", ["burgers", "cavity", "moving"])
def test_a_run_that_goes_on_from_a_file_is_the_run_that_goes_on(tmp_path, name):
    if name == "burgers":
        equation, solver, space = js.equations.Burgers(0.1), None, js.Fourier(js.Grid(33, 0.0, 2 * np.pi))
        u0 = space.field(lambda x: 1000 * jnp.sin(x))
    elif name == "cavity":
        equation, solver, space = js.equations.NavierStokesVelocity(0.05), dfx.Euler(), SPACES["cavity"]
        u0 = space.field(lambda x, y: (0 * x, 0 * x))
    else:
        wall = js.Dirichlet(lambda t, x: jnp.sin(30 * t) + 0 * x)
        equation, solver, space = js.equations.Diffusion(0.1), dfx.Euler(), js.FiniteDifference(js.Grid(12), wall)
        u0 = space.field(jnp.zeros(12))
    run = lambda u, t0: js.rollout(equation, u, dt=1e-4, steps=5, t0=t0, solver=solver)
    half = run(u0, 0.0)
    back, _ = io.load(io.save(tmp_path / "half.nc", half), space)
    identical(run(back, 5e-4), run(half, 5e-4))
    if name == "burgers":
        identical(space.state(run(back, 5e-4)), space.state(js.rollout(equation, u0, dt=1e-4, steps=10)))


def test_another_space_is_refused_and_says_in_what(tmp_path):
    space = js.FiniteDifference(js.Grid(9, 0.0, 1.0), js.Dirichlet(0.3), faces=(True,))
    path, u = tmp_path / "u.nc", sized(space)
    io.save(path, u)
    grid = lambda **changes: js.Grid(**{"shape": 9, "lower": 0.0, "upper": 1.0, **changes})
    others = {
        r"values on another space.*Fourier in the space": js.Fourier(grid()),
        r"grid.shape\[0\] is 9 in the file and 7": js.FiniteDifference(grid(shape=7), js.Dirichlet(0.3), faces=[True]),
        r"grid.lower\[0\] is 0.0": js.FiniteDifference(grid(lower=0.5), js.Dirichlet(0.3), faces=(True,)),
        r"grid.stretching\[0\] is None in the file and SinhStretching": js.FiniteDifference(
            grid(stretching=js.SinhStretching(1.0)), js.Dirichlet(0.3), faces=(True,)
        ),
        r"faces\[0\] is True": js.FiniteDifference(grid(), js.Dirichlet(0.3)),
        r"order is 2 in the file and 4": js.FiniteDifference(grid(), js.Dirichlet(0.3), order=4, faces=(True,)),
        r"real is True": js.FiniteDifference(grid(), js.Dirichlet(0.3), real=False, faces=(True,)),
        r"boundary\[0\]\[0\] is Dirichlet": js.FiniteDifference(grid(), js.Neumann(0.3), faces=(True,)),
        r"\[1\].value is 0.3 in the file and 0.4": js.FiniteDifference(
            grid(), ((js.Dirichlet(0.3), js.Dirichlet(0.4)),), faces=(True,)
        ),
        r"boundary\[0\]\[0\].value is 0.3": js.FiniteDifference(grid(), js.Dirichlet(lambda t, x: 0.3), faces=(True,)),
    }
    for message, other in others.items():
        with pytest.raises(ValueError, match=message):
            io.load(path, other)
    # A wall is the same whatever its precision, and a traced one is not known.
    single = js.FiniteDifference(grid(), js.Dirichlet(np.float32(0.3)), faces=(True,))
    assert io.load(path, single)[0].space.boundary[0][0].value.dtype == np.float32
    traced = lambda g: io.load(path, js.FiniteDifference(grid(), js.Dirichlet(g), faces=(True,)))[0]
    slope = jax.grad(lambda g: js.integral(traced(g)[0]))(0.7)
    np.testing.assert_allclose(slope, 1 / 9, rtol=1e-12)  # the ends of the trapezoidal rule


def test_spaces_of_somebody_else_are_given(tmp_path):
    class Spot(js.Point):
        weight: float = 1.0

    u = Spot().field([1.0, 2.0])
    path = io.save(tmp_path / "u.nc", u)
    identical(io.load(path, Spot())[0], u)
    with pytest.raises(ValueError, match="the class Spot in it"):
        io.load(path)
    with pytest.raises(ValueError, match="weight is 1.0 in the file and 2.0"):
        io.load(path, Spot(2.0))


def test_fields_are_put_on_a_mesh(tmp_path):
    grid, mesh = js.Grid((8, 8)), jax.make_mesh((4,), ("x",))
    u = sized(js.Fourier(grid))
    path = io.save(tmp_path / "u.nc", js.shard(js.Fourier(grid, mesh=mesh).field(u.values)))
    back, _ = io.load(path, js.Fourier(grid, mesh=mesh))
    assert len(back.values.sharding.device_set) == 4
    identical(io.load(path)[0].values, u.values)


@pytest.mark.parametrize("suffix", ["nc", "zarr"])
def test_files_have_values_where_the_nodes_are(tmp_path, suffix):
    space, times = SPACES["channel"], [0.0, 0.5]
    u = space.field(tuple(jnp.stack(2 * [sum(p.coordinates())]) for p in space.parts()))
    system = {"v": u, "w": sized(SPACES["complex"], (2,))}
    path = io.save(tmp_path / f"u.{suffix}", system, times, {"case": "a channel"})
    with xarray.open_dataset(path, engine="zarr" if suffix == "zarr" else "netcdf4", decode_times=False) as read:
        assert read.v.dims == ("t", "component", "x", "y") and read.attrs["case"] == "a channel"
        np.testing.assert_array_equal(read.t, times)
        np.testing.assert_array_equal(read.v, u.values)
        for part, values in zip(u.space.split(u), (read.v_x, read.v_y)):
            lines = [values[name] for name in values.dims[1:]]
            for axis, line in enumerate(lines):
                np.testing.assert_allclose(line, part.space.nodes(axis), rtol=1e-15)
            np.testing.assert_allclose(values[1], lines[0] + lines[1], rtol=1e-14)  # as the field was made
        assert read.w_real.dims[-1] != "x" and read.w_imag.dtype == np.float64


def test_other_files_are_refused(tmp_path):
    u, times = sized(SPACES["plane"], (3,)), [0.0, 1.0, 2.0]
    whole = io.save(tmp_path / "u.nc", u, times).read_bytes()
    for count in (0, 10, len(whole) // 2, len(whole) - 10):
        (tmp_path / "cut.nc").write_bytes(whole[:count])
        with pytest.raises(ValueError, match="cut short"):
            io.load(tmp_path / "cut.nc")
    (tmp_path / "text.nc").write_text("t, u\n0, 1\n")
    (tmp_path / "folder.zarr").mkdir()
    for name in ("text.nc", "folder.zarr"):
        with pytest.raises(ValueError, match="cannot be read as .*something else"):
            io.load(tmp_path / name)
    xarray.Dataset({"temperature": ("x", np.zeros(3))}).to_netcdf(tmp_path / "other.nc")
    with pytest.raises(ValueError, match="not written by jaxsim.io.save.*temperature.*space.field"):
        io.load(tmp_path / "other.nc")
    folder = io.save(tmp_path / "u.zarr", u, times)
    next(file for file in (folder / "u").iterdir() if file.name[0] != ".").unlink()  # zarr reads it as missing values
    with xarray.open_dataset(tmp_path / "u.nc", decode_times=False) as read:
        read.load()
    read.isel(t=slice(2)).to_netcdf(tmp_path / "part.nc")
    read.assign(u=read.u + 1).to_netcdf(tmp_path / "changed.nc")
    for path in (folder, tmp_path / "part.nc", tmp_path / "changed.nc"):
        with pytest.raises(ValueError, match="is damaged, or was changed"):
            io.load(path)
    with pytest.raises(ValueError, match="end the name in .nc or .zarr"):
        io.save(tmp_path / "u.csv", u)
    with pytest.raises(FileNotFoundError):
        io.load(tmp_path / "absent.nc")


def test_double_precision_is_not_rounded_without_a_word(tmp_path):
    u = sized(SPACES["line"])
    path = io.save(tmp_path / "u.nc", u)
    with jax.enable_x64(False), pytest.warns(UserWarning, match="rounded to single.*jax_enable_x64"):
        assert io.load(path)[0].values.dtype == np.float32
