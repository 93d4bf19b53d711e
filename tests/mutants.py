"""Which small mistakes in a file would its tests not notice?

`make mutants FILE=jaxsim/norms.py` changes one operator, number, sign, condition or keyword at a time in a copy of the
repository, runs the tests that know the file in a fresh process, and prints what survives. The working tree is not
written to. A survivor is a missing test, or a change that means the same.
"""

import argparse
import ast
import difflib
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
ARITHMETIC = {ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"),
              ast.Pow: ("**", "*"), ast.FloorDiv: ("//", "*"), ast.Mod: ("%", "*"), ast.MatMult: ("@", "+"),
              ast.BitAnd: ("&", "|"), ast.BitOr: ("|", "&")}  # fmt: skip
COMPARISONS = {ast.Lt: ("<", ">="), ast.Gt: (">", "<="), ast.LtE: ("<=", ">"), ast.GtE: (">=", "<"),
               ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="), ast.Is: ("is", "is not"),
               ast.IsNot: ("is not", "is"), ast.In: ("in", "not in"), ast.NotIn: ("not in", "in")}  # fmt: skip
SILENT = ast.Raise, ast.Assert, ast.JoinedStr, ast.Import, ast.ImportFrom  # messages; asserts are for type checkers

HARMLESS = ("strict",)  # keywords: `zip` checks what is known


class Source:
    """A file, and places in it as offsets."""

    def __init__(self, text: str):
        self.text = text
        lines = text.splitlines(keepends=True)
        self.lines, self.starts = lines, [sum(map(len, lines[:i])) for i in range(len(lines) + 1)]

    def offset(self, line: int, column: int) -> int:
        return self.starts[line - 1] + len(self.lines[line - 1].encode()[:column].decode())

    def span(self, node) -> tuple[int, int]:
        return self.offset(node.lineno, node.col_offset), self.offset(node.end_lineno, node.end_col_offset)

    def between(self, left, right, old: str) -> tuple[int, int]:
        """Where an operator stands between two nodes."""
        start, stop = self.span(left)[1], self.span(right)[0]
        found = start + self.text[start:stop].index(old)
        return found, found + len(old)


def mutations(source: Source) -> Iterator[tuple[int, int, str]]:
    """Start, stop and replacement of every small change."""

    def visit(node):
        if isinstance(node, SILENT) or getattr(node, "name", None) in ("__repr__", "__str__"):
            return
        yield from changes(source, node)
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST) and getattr(child, "arg", None) not in HARMLESS:
                    yield from visit(child)

    yield from visit(ast.parse(source.text))


def changes(source: Source, node) -> Iterator[tuple[int, int, str]]:
    """The changes of one node of the syntax tree."""
    if isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        old, new = ARITHMETIC[type(node.op)]
        yield *source.between(node.left, node.right, old), new
    elif isinstance(node, ast.Compare):
        for left, kind, right in zip([node.left, *node.comparators], node.ops, node.comparators):
            old, new = COMPARISONS[type(kind)]
            yield *source.between(left, right, old), new
    elif isinstance(node, ast.BoolOp):
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        yield *source.between(node.values[0], node.values[1], old), new
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub | ast.Invert):
        yield source.span(node)[0], source.span(node.operand)[0], ""
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
        yield *source.span(node), changed_number(node.value)
    elif isinstance(node, ast.Call):
        for keyword in node.keywords:
            if keyword.arg is not None and keyword.arg not in HARMLESS:
                start, stop = source.span(keyword)
                before, after = source.text[:start].rstrip(), source.text[stop:]
                comma = len(after) - len(after.lstrip()) if after.lstrip().startswith(",") else None
                start = len(before) - 1 if before.endswith(",") else start
                first = source.text[start] != ","
                yield start, stop + comma + 1 if first and comma is not None else stop, ""


def changed_number(value) -> str:
    if isinstance(value, bool):
        return repr(not value)
    if isinstance(value, int):
        return repr(value + 1)
    return repr(2 * value if value else 1.0)


def known_by(file: Path) -> list[str]:
    """The test file of the same name, or else all that name the module or something public in it."""
    stem = file.stem.strip("_")
    own = ROOT / "tests" / f"test_{stem}.py"
    if own.exists():
        return [str(own.relative_to(ROOT))]
    defined = [n.name for n in ast.parse(file.read_text()).body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    words = [stem, *(name for name in defined if not name.startswith("_"))]
    known = re.compile(r"\b(" + "|".join(map(re.escape, words)) + r")\b")
    found = [p for p in sorted((ROOT / "tests").glob("test_*.py")) if known.search(p.read_text())]
    return [str(p.relative_to(ROOT)) for p in found]


def copied(target: Path) -> None:
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=ROOT, capture_output=True, check=True, text=True).stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)


def passes(copy: Path, tests: list[str], limit: float | None) -> bool:
    """Whether the tests pass, in a process of their own; not where they take too long."""
    cache = os.environ.get("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".cache" / "jax"))
    own = {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1", "JAX_COMPILATION_CACHE_DIR": cache}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    try:
        run = subprocess.run(command, cwd=copy, env=os.environ | own, capture_output=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return False
    if run.returncode not in (0, 1, 2):  # 1 is a failed test, 2 an error at import
        raise SystemExit(f"{shlex.join(command)} ended with {run.returncode}:\n{run.stdout.decode()[-2000:]}")
    return run.returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--tests", default="", help="files, node ids and options for pytest; found by name when empty")
    parser.add_argument("--lines", default="", help="only changes in these lines, such as 40-90")
    parser.add_argument("--limit", type=float, help="seconds per change; three times the unchanged run when left out")
    parser.add_argument("--at-most", type=int, help="a sample of so many changes, the same each time")
    given = parser.parse_args()
    file = given.file.resolve()
    name, source = file.relative_to(ROOT), Source(file.read_text())
    tests = shlex.split(given.tests) or known_by(file)
    if not tests:
        raise SystemExit(f"no test names {name}: say which to run, TESTS=tests/test_....py")
    first, last = (int(n) for n in given.lines.split("-")) if given.lines else (1, len(source.lines))
    found = [m for m in dict.fromkeys(mutations(source)) if first <= source.text.count("\n", 0, m[0]) + 1 <= last]
    if given.at_most is not None and given.at_most < len(found):
        found = sorted(random.Random(0).sample(found, given.at_most))
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        copied(copy)
        begin = time.monotonic()
        if not passes(copy, tests, None):
            raise SystemExit(f"the tests fail without any change: {shlex.join(tests)}")
        taken = time.monotonic() - begin
        print(f"{len(found)} changes of {name}, {taken:.0f} s for {shlex.join(tests)}", flush=True)
        survivors = 0
        for start, stop, new in found:
            text = source.text[:start] + new + source.text[stop:]
            (copy / name).write_text(text)
            if passes(copy, tests, given.limit or 20 + 3 * taken):
                survivors += 1
                line = source.text.count("\n", 0, start) + 1
                delta = difflib.ndiff(source.text.splitlines(), text.splitlines())
                print(f"\n{name}:{line}", *(d for d in delta if d[0] in "-+"), sep="\n", flush=True)
    print(f"\n{survivors} of {len(found)} survived")


if __name__ == "__main__":
    main()
