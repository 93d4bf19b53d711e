"""Pictures show what they should: extents, orientation, limits, spectra, frames."""

import matplotlib

matplotlib.use("Agg")

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

import jaxsim as js
from jaxsim import plot

STRETCHING = (js.SinhStretching(2.5, 0.2), js.TanhStretching(1.5))


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def plane(shape=(16, 12)):
    return js.Fourier(js.Grid(shape, lower=(0.0, -1.0), upper=(2.0, 3.0)))


def test_line_has_the_nodes_and_values_of_the_field():
    u = js.Fourier(js.Grid(16, 0.0, 2 * np.pi)).field(jnp.sin)
    line = plot.field(u)
    np.testing.assert_allclose(line.get_xdata(), u.space.coordinates()[0])
    np.testing.assert_allclose(line.get_ydata(), u.values)


def centers(image, axis=0):
    """Where the middles of the pixels of an image are."""
    low, high = np.array(image.get_extent()).reshape(2, 2)[axis]
    count = np.asarray(image.get_array()).shape[1 - axis]
    return low + (np.arange(count) + 0.5) * (high - low) / count


def test_image_has_the_first_axis_to_the_right_and_the_extent_of_the_box():
    space = plane()
    image = plot.field(space.field(lambda x, y: x + 0 * y), cmap="gray")
    shown = np.asarray(image.get_array())
    assert shown.shape == (12, 16)
    np.testing.assert_allclose(centers(image), np.arange(16) / 8, atol=1e-14)
    np.testing.assert_allclose(centers(image, 1), np.arange(12) / 3 - 1, atol=1e-14)
    assert image.origin == "lower" and np.all(np.diff(shown[0]) > 0) and np.ptp(shown[:, 0]) == 0


def pixels(image):
    """What the gray of every pixel of the axes of an image stands for: rows from the bottom, columns from the left."""
    figure = image.figure
    image.axes.set_axis_off()
    figure.canvas.draw()
    box = image.axes.get_window_extent()
    shown = np.asarray(figure.canvas.buffer_rgba())[::-1, :, 0] / 255
    shown = shown[round(box.y0) : round(box.y1), round(box.x0) : round(box.x1)]
    low, high = image.get_clim()
    return low + (high - low) * shown


@pytest.mark.parametrize(
    "space",
    [
        js.FiniteDifference(js.Grid((12, 10), 0.0, (2.0, 1.0), STRETCHING), js.Neumann()),
        js.FiniteDifference(js.Grid((12, 10), 0.0, (2.0, 1.0)), js.Neumann(), faces=(True, True)),
        js.Staggered(js.Grid((12, 10), 0.0, (2.0, 1.0)), ((js.NoSlip(), js.Outflow()), js.FreeSlip())).component(0),
        js.FiniteDifference(js.Grid((12, 10), 0.0, (2.0, 1.0))),
        js.FiniteDifference(js.Grid((12, 10), 0.0, (2.0, 1.0)), js.Neumann()),
    ],
    ids=["stretched", "corners", "faces", "periodic", "centers"],
)
def test_values_are_drawn_where_their_nodes_are(space):
    """x + y, which bilinear interpolation reproduces, is found at every pixel between the outermost nodes."""
    image = plot.field(space.field(lambda x, y: x + y), limit=(0, 3), cmap="gray", colorbar=False)
    shown, axes = pixels(image), image.axes
    rows, columns = ((np.arange(n) + 0.5) / n for n in shown.shape)
    x, y = (low + (high - low) * c for (low, high), c in zip((axes.get_xlim(), axes.get_ylim()), (columns, rows)))
    y = y[:, None]
    nodes = [np.unique(c) for c in space.coordinates()]
    within = [(c > n[0]) & (c < n[-1]) for c, n in zip((x, y), nodes)]
    error = np.abs(shown - (x + y))[within[0] & within[1]]
    assert error.size > 0.75 * shown.size and error.max() < 3 * 3 / 255  # three shades of gray; half a cell is 0.08


def test_animation_of_a_stretched_grid(tmp_path):
    space = js.FiniteDifference(js.Grid((12, 10), 0.0, (2.0, 1.0), STRETCHING), js.Neumann())
    path = plot.animate(tmp_path / "a.gif", space.field(jnp.stack([jnp.ones((12, 10)), -jnp.ones((12, 10))])))
    with Image.open(path) as gif:
        assert gif.n_frames == 2


def test_fields_of_both_signs_are_white_at_zero_and_others_sequential():
    space = plane()
    both = plot.field(space.field(lambda x, y: jnp.sin(np.pi * x) + 0.5 + 0 * y))
    positive = plot.field(space.field(lambda x, y: jnp.sin(np.pi * x) + 2 + 0 * y))
    assert both.get_clim()[0] == -both.get_clim()[1] and both.get_cmap().name == "RdBu_r"
    assert positive.get_clim()[0] > 0 and positive.get_cmap().name == "viridis"
    assert plot.field(space.field(lambda x, y: 0 * x * y), limit=3).get_clim() == (-3, 3)


def test_section_through_a_box_is_the_plane_that_was_asked_for():
    space = js.Fourier(js.Grid((8, 6, 4), 0.0, 2 * np.pi))
    u = space.field(lambda x, y, z: jnp.sin(x) + 10 * jnp.cos(y) + 0 * z)
    image = plot.field(u, section=(0, np.pi / 2))
    np.testing.assert_allclose(np.asarray(image.get_array()), u.values[2].T)
    assert "x = 1.57" in image.axes.get_title() and image.axes.get_xlabel() == "y"


@pytest.mark.parametrize("place", [(0, -0.1), (0, 6.4), (2, np.nan)])
def test_sections_outside_of_the_box_are_refused(place):
    u = js.Fourier(js.Grid((8, 6, 4), 0.0, 2 * np.pi)).field(lambda x, y, z: x + 0 * y * z)
    with pytest.raises(ValueError, match="outside of the box"):
        plot.field(u, section=place)


@pytest.mark.parametrize("unit", [1.0, 1e-4, 1e3])
def test_space_time_has_time_to_the_right(unit):
    space = js.Fourier(js.Grid(8, 0.0, 1.0))
    values = jnp.arange(5.0)[:, None] * jnp.ones(8)
    image = plot.space_time(space.field(values), 7 * unit + unit * np.linspace(0, 2, 5))
    np.testing.assert_allclose(centers(image), unit * np.array([7, 7.5, 8, 8.5, 9]))
    np.testing.assert_allclose(centers(image, 1), np.arange(8) / 8, atol=1e-15)
    np.testing.assert_allclose(np.asarray(image.get_array())[3], np.arange(5.0))
    with pytest.raises(ValueError, match="as many times"):
        plot.space_time(space.field(values), np.linspace(0, 2, 4))
    for times in ([0.0, 0.1, 1.0, 10.0, 20.0], [0.0, 1, 2, 3, 3.1], [4.0, 3, 2, 1, 0], [0.0, 1, 2, 3, np.inf]):
        with pytest.raises(ValueError, match="equal steps"):
            plot.space_time(space.field(values), unit * np.array(times))


def test_space_time_of_a_stretched_axis():
    """t + x is found at every pixel between the outermost nodes."""
    space = js.FiniteDifference(js.Grid(12, 0.0, 1.0, js.SinhStretching(2.5, 0.2)), js.Neumann())
    times, x = np.linspace(0, 2, 9), np.asarray(space.coordinates()[0])
    image = plot.space_time(space.field(times[:, None] + x), times, limit=(0, 3), cmap="gray", colorbar=False)
    shown = pixels(image)
    rows, columns = ((np.arange(n) + 0.5) / n for n in shown.shape)
    within = (rows > x[0]) & (rows < x[-1])
    assert image.axes.get_xlim() == (0, 2) and image.axes.get_ylim() == (0, 1)
    assert np.abs(shown - rows[:, None] - 2 * columns)[within].max() < 3 * 3 / 255


def test_labels_have_the_digits_that_tell_numbers_apart():
    from jaxsim.plot._backend import labels

    assert labels([0, 1e-4, 2e-4]) == ["0", "0.0001", "0.0002"] and labels([0, 0.5, 10]) == ["0", "0.5", "10"]
    assert labels([1000.0, 1000.01, 1000.02]) == ["1000", "1000.01", "1000.02"] and labels([2.0, 2.0]) == ["2", "2"]


@pytest.mark.parametrize("real", [True, False])
def test_shell_spectrum_of_one_wave_and_of_noise_sums_to_the_energy(real):
    space = js.Fourier(js.Grid((33, 33), 0.0, 2 * np.pi), real=real)
    wave_numbers, power = plot.shell_spectrum(
        space.field(lambda x, y: 3 * jnp.cos(3 * x + 4 * y) + (0 if real else 0j))
    )
    expected = np.where(wave_numbers == 5, 0.5 * 9 / 2, 0)
    np.testing.assert_allclose(power, expected, atol=1e-12)
    noise = js.initial.solenoidal_noise(jax.random.key(0), peak=4.0, length=2 * np.pi)
    u = space.field(lambda x, y: noise(x, y) + (0 if real else 0j))
    np.testing.assert_allclose(plot.shell_spectrum(u)[1].sum(), 0.5 * js.norm(u) ** 2 / space.volume, rtol=1e-10)


def test_shell_spectrum_of_a_long_box_counts_waves_of_the_longest_side():
    space = js.Fourier(js.Grid((32, 16), 0.0, (4 * np.pi, 2 * np.pi)))
    wave_numbers, power = plot.shell_spectrum(space.field(lambda x, y: jnp.cos(2 * x) + 0 * y))
    np.testing.assert_allclose(wave_numbers[:3], [0, 0.5, 1.0])
    assert np.argmax(power) == 4 and power[4] == pytest.approx(0.25)


def test_spectrum_draws_without_the_mean():
    u = plane((16, 16)).field(lambda x, y: 1 + jnp.sin(np.pi * x) + 0 * y)
    line = plot.spectrum(u)
    assert np.all(line.get_xdata() > 0)


def test_animation_has_a_frame_for_every_time(tmp_path):
    space = plane()
    values = jnp.stack([jnp.full(space.grid.shape, a) for a in (-1.0, 0.0, 1.0)])
    trajectory = space.field(values)
    path = plot.animate(tmp_path / "new" / "a.gif", [trajectory, -trajectory], times=[0, 1, 2], titles=["a", "b"])
    with Image.open(path) as gif:
        assert gif.n_frames == 3
        width, height = gif.size
        frames = []
        for index in (0, 2):
            gif.seek(index)
            frames.append(np.asarray(gif.convert("RGB")).astype(int))
    left, right = (frame[height // 2, width // 4] for frame in frames)
    assert left[2] > left[0] and right[0] > right[2]  # blue, then red


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s: plot.field(js.stack(s.field(jnp.add), s.field(jnp.add))), ValueError, r"Pick one: `u\[0\]`"),
        (lambda s: plot.field(js.Function(jnp.add)), TypeError, "js.interpolate"),
        (lambda s: plot.field(s.values), TypeError, "expected a Field"),
        (lambda s: plot.field(s.field(lambda x, y: jnp.nan * x * y)), ValueError, "not finite"),
        (lambda s: plot.field(js.Fourier(s.grid, real=False).field(jnp.add)), ValueError, "complex"),
        (lambda s: plot.field(s.field(jnp.add), section=(0, 0.0)), ValueError, "three dimensions"),
        (lambda s: plot.shell_spectrum(js.FiniteDifference(s.grid).field(jnp.add)), TypeError, "Fourier field"),
        (lambda s: plot.animate("a.mp4", s.field(jnp.zeros((2, 16, 12)))), ValueError, "GIF"),
        (lambda s: plot.animate("a.gif", s.field(jnp.zeros((16, 12)))), ValueError, "leading time axis"),
        (lambda s: plot.animate("a.gif", s.field(jnp.zeros((2, 16, 12))), times=[0]), ValueError, "as many times"),
    ],
)
def test_what_cannot_be_drawn_is_an_error_that_says_what_to_do(call, error, message):
    with pytest.raises(error, match=message):
        call(plane())


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install jaxsim-toolkit\[plot\]"):
        plot.field(plane().field(jnp.add))
