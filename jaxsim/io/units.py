"""Units of lengths, times and velocities, converted to meters and seconds."""

import re

# Factor to meters and seconds, and the powers of length and time.
_UNITS = {
    "m": (1.0, 1, 0), "meter": (1.0, 1, 0), "metre": (1.0, 1, 0), "micron": (1e-6, 1, 0),
    "in": (0.0254, 1, 0), "inch": (0.0254, 1, 0), "ft": (0.3048, 1, 0), "foot": (0.3048, 1, 0),
    "feet": (0.3048, 1, 0), "mile": (1609.344, 1, 0), "mi": (1609.344, 1, 0), "nmi": (1852.0, 1, 0),
    "s": (1.0, 0, 1), "sec": (1.0, 0, 1), "second": (1.0, 0, 1), "min": (60.0, 0, 1), "minute": (60.0, 0, 1),
    "h": (3600.0, 0, 1), "hr": (3600.0, 0, 1), "hour": (3600.0, 0, 1), "d": (86400.0, 0, 1), "day": (86400.0, 0, 1),
    "Hz": (1.0, 0, -1), "hertz": (1.0, 0, -1),
    "rad": (1.0, 0, 0), "radian": (1.0, 0, 0), "1": (1.0, 0, 0),
    "knot": (1852.0 / 3600, 1, -1), "kn": (1852.0 / 3600, 1, -1), "kt": (1852.0 / 3600, 1, -1),
}  # fmt: skip
_PREFIXES = {
    "n": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "m": 1e-3, "c": 1e-2, "d": 1e-1, "k": 1e3, "M": 1e6,
    "nano": 1e-9, "micro": 1e-6, "milli": 1e-3, "centi": 1e-2, "deci": 1e-1, "kilo": 1e3, "mega": 1e6,
}  # fmt: skip
_PREFIXED = {"m", "meter", "metre", "s", "sec", "second", "Hz", "hertz"}
_FACTOR = re.compile(r"([^\W\d_]+|1)\s*(?:\^|\*\*)?\s*([+-]?\d+)?$")

LENGTH, TIME, VELOCITY, RATE = (1, 0), (0, 1), (1, -1), (0, -1)
_NAMES = {LENGTH: "a length", TIME: "a time", VELOCITY: "a velocity", RATE: "one over time"}
_SI = {LENGTH: "m", TIME: "s", VELOCITY: "m/s", RATE: "1/s"}


class UnknownUnit(ValueError):
    """A unit that is not in the table."""


def factor(unit: str, dimension: tuple[int, int]) -> float:
    """What values in a unit are multiplied by to be in meters and seconds.

    **Arguments:**

    - `unit`: such as `"ms"`, `"cm/s"`, `"m s-1"`, `"km hour^-1"`, or `"seconds since 2000-01-01"`, whose date is
        left out. No unit, `""` and `"1"` leave values as they are, and so do radians.
    - `dimension`: the powers of length and time that it must have.

    **Raises:** `ValueError` for another dimension and for units that are not known, such as degrees.
    """
    unit = unit.strip()
    if dimension == TIME:
        unit = unit.partition(" since ")[0].strip()
    if not unit or unit == "-":
        return 1.0
    number, found = parse(unit)
    if found == (0, 0) and number == 1:
        return 1.0
    if found != dimension and not (dimension == RATE and unit.startswith("rad") and found == RATE):
        raise ValueError(f"is in {unit!r}, which is not {_NAMES[dimension]}")
    return number


def name(dimension: tuple[int, int]) -> str:
    """The unit that values of a dimension are converted to."""
    return _SI[dimension]


def parse(unit: str) -> tuple[float, tuple[int, int]]:
    """The factor of a unit and its powers of length and time."""
    number, length, time, sign = 1.0, 0, 0, 1
    written, unit = unit, re.sub(r"\bper\b", "/", unit)
    for token in re.split(r"(\s*/\s*|\s*(?<!\*)\*(?!\*)\s*|\s*·\s*|(?<=[\w])\.(?=[^\W\d])|\s+)", unit):
        if token is None or not token.strip(" *·."):
            continue
        if token.strip() == "/":
            sign = -1
            continue
        match = _FACTOR.match(token)
        if match is None:
            raise UnknownUnit(_unknown(written))
        power = sign * int(match[2] or 1)
        size, powers = _unit(match[1], written)
        number, length, time = number * size**power, length + power * powers[0], time + power * powers[1]
        sign = 1
    return number, (length, time)


def _unit(word: str, whole: str) -> tuple[float, tuple[int, int]]:
    names = (word, word.lower(), word.lower().rstrip("s")) if len(word) > 3 else (word,)
    for name in names:
        if name in _UNITS:
            size, length, time = _UNITS[name]
            return size, (length, time)
    for prefix in sorted(_PREFIXES, key=len, reverse=True):
        rest = word.removeprefix(prefix)
        if rest == word:
            continue
        rest = rest.lower().rstrip("s") if len(rest) > 3 else rest
        if rest in _PREFIXED:
            size, length, time = _UNITS[rest]
            return _PREFIXES[prefix] * size, (length, time)
    raise UnknownUnit(_unknown(whole))


def _unknown(unit: str) -> str:
    return (
        f"is in {unit!r}, which is no unit that can be converted: write meters, seconds, meters per second, their "
        "multiples such as mm, ms or km/h, or no unit"
    )
