"""Initial conditions: the same field on every grid, the spectra and norms that they promise, and known flows."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim import initial

KEY = jax.random.key(7)
NOISE = {
    "filtered": lambda **kw: initial.filtered_noise(KEY, peak=2, **kw),
    "Gaussian": lambda **kw: initial.gaussian_random_field(KEY, cutoff=6, **kw),
    "truncated": lambda **kw: initial.truncated_series(KEY, cutoff=4, **kw),
}


def grid(*shape, length=2 * np.pi):
    return js.Fourier(js.Grid(shape, 0.0, length))


@pytest.mark.parametrize("name", NOISE)
@pytest.mark.parametrize("shape", [(16,), (16, 18), (14, 16, 15)])
def test_noise_is_the_same_field_on_every_grid(name, shape):
    noise = NOISE[name]()
    coarse = grid(*shape).field(noise)
    fine = grid(*(2 * n for n in shape)).field(noise)
    every_second = fine.values[(slice(None, None, 2),) * len(shape)]
    np.testing.assert_allclose(coarse.values, every_second, atol=1e-13)
    assert coarse.shape == () and coarse.dtype == jnp.float64
    assert abs(js.mean(coarse)) < 1e-14


@pytest.mark.parametrize("name", NOISE)
@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_points_and_grids_agree(name, dimension):
    # A grid is summed axis by axis, points are not; under jit the coordinates are not known to be a grid.
    noise = NOISE[name](length=2 * np.pi)
    space = grid(*(5, 6, 7)[:dimension])
    values = space.field(noise).values
    jitted = jax.jit(lambda f: space.field(f).values)(noise)
    single = noise(*(c.ravel()[3] for c in space.coordinates()))
    np.testing.assert_allclose(jitted, values, atol=1e-13)
    np.testing.assert_allclose(single, values.ravel()[3], atol=1e-13)


def test_noise_is_a_function_for_automatic_differentiation():
    noise = NOISE["filtered"](length=2 * np.pi)
    field = js.Function(lambda t, x, y: noise(x, y), 2, ())
    on_grid = grid(24, 24).field(noise)
    x, y = (c[4, 9] for c in on_grid.space.coordinates())
    np.testing.assert_allclose(js.laplacian(field)(0.0, x, y), js.laplacian(on_grid).values[4, 9], rtol=1e-11)


@pytest.mark.parametrize("name", ["filtered", "truncated"])
@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_root_mean_square_is_exact(name, dimension):
    u = grid(*(14, 16, 18)[:dimension]).field(NOISE[name](root_mean_square=3.0))
    assert float(jnp.sqrt(js.mean(u * u))) == pytest.approx(3.0, rel=1e-12)


@pytest.mark.parametrize("dimension", [1, 2])
def test_root_mean_square_of_the_gaussian_field_is_its_expectation(dimension):
    space = grid(*(24,) * dimension)

    def square(key):
        return js.mean(space.field(initial.gaussian_random_field(key, 2.0, 3.0, 1.5, cutoff=8)) ** 2)

    squares = jax.lax.map(square, jax.random.split(KEY, 300))
    standard_error = jnp.std(squares) / np.sqrt(300)
    assert abs(jnp.mean(squares) - 1.5**2) < 4 * standard_error
    assert standard_error < 0.2


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_spectrum_peaks_where_asked(dimension):
    space = grid(*(32,) * dimension)
    shells, total = np.sqrt(sum(np.square(k) for k in space.wave_numbers())), 0.0
    for seed in range(8):
        modes = np.abs(space.field(initial.filtered_noise(jax.random.key(seed), peak=5)).coefficients) ** 2
        total = total + np.bincount(np.rint(np.broadcast_to(shells, modes.shape)).astype(int).ravel(), modes.ravel())
    k = np.arange(len(total))
    wanted = k**4 * np.exp(-2 * (k / 5) ** 2)
    assert abs(np.sum(k * total) / np.sum(total) / (np.sum(k * wanted) / np.sum(wanted)) - 1) < 0.1
    assert np.all(total[14:] < 1e-20 * total.max())


@pytest.mark.parametrize("shape", [(18, 20), pytest.param((14, 16, 15), marks=pytest.mark.slow)])
def test_solenoidal_noise(shape):
    u = grid(*shape).field(initial.solenoidal_noise(KEY, 2, root_mean_square=7.0))
    assert u.shape == (len(shape),)
    assert jnp.abs(js.div(u).values).max() < 1e-12
    assert float(jnp.sqrt(jnp.sum(js.mean(u * u)))) == pytest.approx(7.0, rel=1e-12)
    with pytest.raises(ValueError, match="1 coordinates"):
        initial.solenoidal_noise(KEY, length=1.0)(jnp.zeros(3))


def test_boxes_of_other_lengths():
    noise = initial.filtered_noise(KEY, peak=2, length=(1.0, 3.0))  # which a space with these sides says by itself
    space = js.Fourier(js.Grid((16, 48), (0.5, -1.0), (1.5, 2.0)))
    x, y = space.coordinates()
    np.testing.assert_allclose(noise(x, y), noise(x + 1.0, y - 3.0), atol=1e-12)
    # Isotropic: as many waves per length along either axis.
    u = space.field(noise)
    slopes = [float(js.norm(js.partial(u, axis))) for axis in (0, 1)]
    assert 0.7 < slopes[0] / slopes[1] < 1.4
    with pytest.raises(ValueError, match="2 sides"):
        noise(x)


def test_keys_and_precision():
    x = jnp.linspace(0, 6, 11)
    noise = lambda key=KEY, **kw: initial.filtered_noise(key, length=2 * np.pi, **kw)
    values = noise()(x)
    single = noise()(x.astype(jnp.float32))
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, values, atol=2e-5)
    assert jnp.abs(noise(jax.random.key(8))(x) - values).max() > 0.1
    gradient = jax.grad(lambda a: jnp.sum(noise(root_mean_square=a)(x)))(2.0)
    np.testing.assert_allclose(gradient, jnp.sum(values), rtol=1e-12)


@pytest.mark.parametrize(
    "make", [lambda: initial.filtered_noise(KEY, peak=0), lambda: initial.filtered_noise(KEY, peak=-1.0),
             lambda: initial.truncated_series(KEY, cutoff=0), lambda: initial.truncated_series(KEY, length=0.0)]
)  # fmt: skip
def test_bad_numbers_raise(make):
    with pytest.raises(ValueError, match="positive|at least wave number 1"):
        make()


# -- flows --------------------------------------------------------------------------------------------------
FLOWS = {
    "Taylor-Green, plane": (initial.taylor_green(1.3), (16, 16)),
    "Taylor-Green, space": (initial.taylor_green(1.3), (8, 8, 8)),
    "ABC": (initial.abc_flow(1.0, 0.8, 0.6), (8, 8, 8)),
}


@pytest.mark.parametrize("name", FLOWS)
def test_flows_have_no_divergence(name):
    flow, shape = FLOWS[name]
    u = grid(*shape).field(flow)
    assert jnp.abs(js.div(u).values).max() < 1e-13
    assert jnp.abs(u.values).max() > 0.5


def test_taylor_green():
    space = grid(16, 16)
    flow, spin = initial.taylor_green(1.3, 0.1), initial.taylor_green_vorticity(1.3, 0.1)
    for t in (0.0, 0.7):
        velocity = js.sample(flow.solution, t, space.field(jnp.zeros((16, 16))))
        np.testing.assert_allclose(js.curl(velocity).values, spin.solution(t, *space.coordinates()), atol=1e-13)
    solid = grid(8, 8, 8).field(initial.taylor_green())
    assert float(js.mean(js.dot(solid, solid))) / 2 == pytest.approx(1 / 8)  # Brachet et al. 1983
    assert float(js.mean(js.dot(js.curl(solid), js.curl(solid)))) == pytest.approx(2 * 3 / 8)
    jax.jit(lambda f: grid(8, 8, 8).field(f).values)(initial.taylor_green())
    with pytest.raises(ValueError, match="no closed solution"):
        initial.taylor_green().solution(0.0, *solid.space.coordinates())
    with pytest.raises(ValueError, match="two or three"):
        initial.taylor_green()(jnp.zeros(3))


def test_abc_flow_is_its_own_vorticity():
    u = grid(8, 8, 8).field(initial.abc_flow(1.0, 0.8, 0.6))
    np.testing.assert_allclose(js.curl(u).values, u.values, atol=1e-13)


@pytest.mark.parametrize("length", [1.0, 2.5])
def test_shear_layer_and_its_vorticity(length):
    velocity = js.Function(lambda t, x, y: initial.shear_layer(20.0, 0.1, length)(x, y), 2, (2,))
    spin = initial.shear_layer_vorticity(20.0, 0.1, length)
    for x, y in [(0.1, 0.26), (0.7, 0.74), (0.3, 1.2), (0.3, -0.2)]:
        point = (x * length, y * length)
        np.testing.assert_allclose(js.curl(velocity)(0.0, *point), spin(*point), rtol=1e-9)
    x, y = jnp.asarray(0.1 * length), jnp.asarray(0.3 * length)
    np.testing.assert_allclose(spin(x, y + length), spin(x, y), rtol=1e-9)


# -- the box of the space -----------------------------------------------------------------------------------
def spaces(lower, sides, shape=(12, 16)):
    """Spaces on one box, periodic along both axes or along the second alone, with coordinates that meet on a seam."""
    box = js.Grid(shape, lower, np.add(lower, sides))
    return [js.Fourier(box), js.FiniteDifference(box), js.FiniteDifference(box, (js.Neumann(), js.Periodic()))]


@pytest.mark.parametrize("make", [
    lambda: initial.filtered_noise(KEY, 2), lambda: initial.gaussian_random_field(KEY, cutoff=3),
    lambda: initial.truncated_series(KEY, 3), initial.taylor_green_vorticity, initial.shear_layer_vorticity,
    lambda: initial.gaussian_bump(0.9, 0.05), lambda: initial.gray_scott_patch(0.9, 0.05, 0.01),
])  # fmt: skip
def test_what_a_box_holds_closes_on_it_whatever_its_sides(make):
    """A period further along each periodic axis are the same numbers."""
    for here, there in zip(spaces((0.0, 0.0), (1.0, 1.0)), spaces((0.0, -2.0), (1.0, 1.0))):
        values = here.field(make()).values
        np.testing.assert_allclose(there.field(make()).values, values, atol=1e-9 * jnp.abs(values).max())
    once = js.Fourier(js.Grid((12, 16), (1.0, 0.0), (2.0, 1.0))).field(make()).values
    np.testing.assert_allclose(once, spaces((0.0, 0.0), (1.0, 1.0))[0].field(make()).values, atol=1e-9)


def test_the_box_of_a_space_counts_waves_and_not_its_unit():
    """Noise and flows on a box of any size are those of the box of side 2 pi, with derivatives in its unit."""
    reference = grid(12, 16)
    for size in (1e-3, 1.0, 4 * np.pi):
        space = js.Fourier(js.Grid((12, 16), 0.0, size))
        for make in (lambda **kw: initial.filtered_noise(KEY, 3, **kw), lambda **kw: initial.taylor_green(1.3, **kw),
                     lambda **kw: initial.solenoidal_noise(KEY, 2, **kw)):  # fmt: skip
            values = space.field(make()).values
            np.testing.assert_allclose(values, reference.field(make()).values, atol=1e-12)
            np.testing.assert_array_equal(values, space.field(make(length=size)).values)
            np.testing.assert_array_equal(values, space.field(make(length=(size, size))).values)
        flow = initial.taylor_green(1.3, 0.1)
        spin = js.sample(initial.taylor_green_vorticity(1.3, 0.1).solution, 0.2 * size**2, space.field(values[0]))
        velocity = js.sample(flow.solution, 0.2 * size**2, space.field(values))
        np.testing.assert_allclose(js.curl(velocity).values * size, spin.values * size, atol=1e-11)
    x, y = reference.coordinates()
    formula = [1.3 * jnp.cos(x) * jnp.sin(y), -1.3 * jnp.sin(x) * jnp.cos(y)]
    np.testing.assert_allclose(reference.field(flow).values, formula, rtol=0, atol=1e-15)


def test_flows_on_boxes_of_unequal_sides_have_no_divergence_and_obey_the_equations():
    space = js.Fourier(js.Grid((12, 16), (-1.0, 0.0), (0.0, 3.0)))
    flow, spin = initial.taylor_green(1.3, 0.1), initial.taylor_green_vorticity(1.3, 0.1)
    u, w = space.field(flow), space.field(spin)
    assert jnp.abs(js.div(u).values).max() < 1e-12
    np.testing.assert_allclose(js.curl(u).values, w.values, atol=1e-12)
    slope = jax.jvp(lambda t: js.sample(spin.solution, t, w).values, (0.0,), (1.0,))[1]
    rate = js.equations.NavierStokesVorticity(0.1).right_hand_side(0.0, w)
    np.testing.assert_allclose(rate.values, slope, atol=1e-10)
    solid = js.Fourier(js.Grid((8, 8, 8), 0.0, (1.0, 2.0, 3.0)))
    assert jnp.abs(js.div(solid.field(initial.taylor_green())).values).max() < 1e-12
    cube = js.Fourier(js.Grid((8, 8, 8), 0.0, 2.0))
    u = cube.field(initial.abc_flow(1.0, 0.8, 0.6))
    np.testing.assert_allclose(js.curl(u).values, np.pi * u.values, atol=1e-12)
    with pytest.raises(ValueError, match="cube"):
        solid.field(initial.abc_flow())


def test_solitons_and_patches_sit_on_the_nearest_image():
    space = js.Fourier(js.Grid(64, 0.0, 20.0))
    middle = space.field(initial.kdv_soliton(4.0, 10.0)).values
    np.testing.assert_allclose(middle, 2 / jnp.cosh(space.coordinates()[0] - 10.0) ** 2, atol=1e-14)
    np.testing.assert_allclose(jnp.roll(space.field(initial.kdv_soliton(4.0)).values, 32), middle, atol=1e-14)
    later = js.sample(initial.kdv_soliton(4.0, 10.0).solution, 5.0, space.field(middle))  # once around the box
    np.testing.assert_allclose(later.values, middle, atol=1e-13)
    u, v = js.Fourier(js.Grid((20, 20))).field(initial.gray_scott_patch()).values
    assert v[10, 10] == v.max() and v[0, 0] < 1e-10 and u[10, 10] == u.min()
    still, moving = (js.Fourier(js.Grid(64, 0.0, 20.0), real=False).field(initial.nls_soliton(2.0, v)).values
                     for v in (0.0, 2 * np.pi / 20))  # fmt: skip
    np.testing.assert_allclose(moving, still * jnp.exp(2j * np.pi * space.coordinates()[0] / 20), atol=1e-8)


def test_another_box_than_that_of_the_space_is_refused():
    staggered = js.Staggered(js.Grid((8, 8)), js.Periodic())
    for put in (*(s.field for s in spaces((0.0, 0.0), (1.0, 2.0))), staggered.field):
        with pytest.raises(ValueError, match="leave out `length`"):
            put(initial.solenoidal_noise(KEY, length=2 * np.pi))
    with pytest.raises(ValueError, match="leave out `length`"):
        grid(8, 8).field(initial.filtered_noise(KEY, length=(2 * np.pi, 2 * np.pi * 1.00001)))
    grid(8, 8).field(initial.filtered_noise(KEY, length=np.float32(2 * np.pi)))  # the same in single precision
    with pytest.raises(ValueError, match="nothing says how large"):
        js.Fourier(js.Grid((8, 8))).field(lambda x, y: 1 + initial.filtered_noise(KEY)(x, y))
    with pytest.raises(ValueError, match="2 sides"):
        js.Fourier(js.Grid(8)).field(initial.filtered_noise(KEY, length=(1.0, 1.0)))
    for front in (initial.tanh_front(0.1, 0.5), initial.fisher_wave(), initial.burgers_wave(0.1)):
        with pytest.raises(ValueError, match="front, which would jump"):
            js.FiniteDifference(js.Grid(8)).field(front)
        js.FiniteDifference(js.Grid(8), js.Neumann()).field(front)
    along, _ = staggered.split(staggered.field(initial.taylor_green()))
    x, y = (2 * np.pi * c for c in along.space.coordinates())
    np.testing.assert_allclose(along.values, jnp.cos(x) * jnp.sin(y), atol=1e-14)


# -- profiles -----------------------------------------------------------------------------------------------
def test_two_solitons_separate_into_shifted_solitons():
    fast, slow, x1, x2 = 4.0, 1.0, -1.0, 2.0
    pair = initial.kdv_two_solitons(fast, slow, x1, x2)
    x = jnp.linspace(-300.0, 300.0, 12001)
    shift = np.log((np.sqrt(fast) + np.sqrt(slow)) / (np.sqrt(fast) - np.sqrt(slow)))
    before, after = -30.0, 30.0
    # Before the collision the slow soliton is ahead and both are where F = 1 + exp has its crest; after it the fast one
    # has gained 2 shift / k1 and the slow one has lost 2 shift / k2.
    for t, gained, lost in ((before, 0.0, 2.0), (after, 2.0, 0.0)):
        one = initial.kdv_soliton(fast, x1 + gained * shift / np.sqrt(fast)).solution(t, x)
        two = initial.kdv_soliton(slow, x2 + lost * shift / np.sqrt(slow)).solution(t, x)
        np.testing.assert_allclose(pair.solution(t, x), one + two, atol=1e-9)


def test_profiles_take_any_box_and_precision():
    x, y = (c.astype(jnp.float32) for c in grid(12, 10).coordinates())
    for profile, count in [
        (initial.gaussian_bump((1.0, 2.0), 0.5, 3.0), 2),
        (initial.gaussian_bump(1.0), 1),
        (initial.gray_scott_patch(), 2),
        (initial.tanh_front(0.3, 2.0, 0.0, 2.0), 2),
        (initial.shear_layer(length=2 * np.pi), 2),
        (initial.nls_soliton(1.2, 0.5), 1),
    ]:
        values = profile(*(x, y)[:count])
        assert values.shape[-2:] == x.shape
        assert values.dtype in (jnp.float32, jnp.complex64)
    bump = initial.gaussian_bump((1.0, 2.0), 0.5, 3.0)
    assert float(bump(1.0, 2.0)) == pytest.approx(3.0) and float(bump(1.5, 2.0)) == pytest.approx(3 * np.exp(-0.5))
    patch = initial.gray_scott_patch(1.0, 0.5, 0.01)
    np.testing.assert_allclose(patch(jnp.array([1.0, 3.0]), jnp.array([1.0, 3.0])), [[0.5, 1], [0.25, 0]], atol=1e-12)
    front = initial.tanh_front(0.3, 2.0, 0.0, 2.0)
    np.testing.assert_allclose(front(jnp.array([-9.0, 2.0, 12.0])), [0.0, 1.0, 2.0], atol=1e-12)


def test_profiles_without_a_solution_say_so():
    for profile in (initial.gaussian_bump(), initial.shear_layer(), initial.gray_scott_patch()):
        with pytest.raises(ValueError, match="no closed solution"):
            profile.solution(1.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="coordinates"):
        initial.gaussian_bump((1.0, 2.0))(jnp.zeros(3))


def test_profiles_do_not_trace_again_for_new_parameters():
    traces = []

    @eqx.filter_jit
    def values(profile, x):
        traces.append(1)
        return profile(x)

    x = jnp.linspace(-1, 1, 5)
    values(initial.kdv_soliton(4.0), x)
    values(initial.kdv_soliton(2.0, 0.1), x)
    assert len(traces) == 1


def test_public_names_are_there():
    assert all(callable(getattr(js.initial, name)) for name in initial.__all__)
