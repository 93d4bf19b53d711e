"""The script that makes small mistakes makes all of them, one at a time, and each is Python."""

import ast
from pathlib import Path

from mutants import Source, known_by, mutations

TEXT = '''
"""Text with 1 + 2 is left alone."""
LIMIT = 0.5


def clip(x: int = 3, scale=-2.0, *, strict=True):
    if not x < LIMIT and x is not None:
        raise ValueError(f"{x + 1} is no good")
    return sum((x * scale, abs(x) ** 2), start=(x - 1))
'''
EXPECTED = [
    "LIMIT = 1.0", "x: int = 4", "scale=2.0", "scale=-4.0", "strict=False", "if x < LIMIT", "not x >= LIMIT",
    "LIMIT or x is not None", "and x is None", "(x / scale", "abs(x) * 2", "abs(x) ** 3", "start=(x + 1)",
    "start=(x - 2)", "(x * scale, abs(x) ** 2))",
]  # fmt: skip


def test_every_kind_of_mistake_is_made_once():
    source = Source(TEXT)
    made = [TEXT[:start] + new + TEXT[stop:] for start, stop, new in mutations(source)]
    assert all(ast.dump(ast.parse(text)) != ast.dump(ast.parse(TEXT)) for text in made)
    for expected in EXPECTED:
        assert sum(expected in text for text in made) == 1, expected
    assert len(made) == len(set(made)) == len(EXPECTED)


def test_tests_are_found_by_name_or_by_what_they_name():
    jaxsim = Path(__file__).parents[1] / "jaxsim"
    assert known_by(jaxsim / "norms.py") == ["tests/test_norms.py"]
    assert "tests/test_staggered.py" in known_by(jaxsim / "spaces" / "staggered.py")
    assert "tests/test_grid.py" in known_by(jaxsim / "stretching.py")
