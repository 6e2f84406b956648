"""Checks the rules of the house that a tool can check.

``python scripts/house_rules.py`` reads every module of jobs/ and tests/, prints each
broken rule as ``path:line: rule``, and exits 1 if a rule is broken.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

Found = Iterator[tuple[int, str]]
"""Numbers of lines, each with the rule that the line breaks."""

MODEL_MAY_IMPORT = re.compile(
    r"(__future__|collections(\.abc)?|dataclasses|typing)(\..+)?"
    r"|datetime\.date"  # the type of a DATE in a result
    r"|pyspark\.sql\.(Column|DataFrame|Window|WindowSpec|functions as F)"
    r"|pyspark\.sql\.window\.(Window|WindowSpec)"
    r"|jobs\.(fields|local_time|tables|zones|\w+\.model)(\..+)?"
)

TIE = "a tie is left to chance: order by a unique key, or aggregate with min or max"
IMPURE = "a model's result depends on its input alone, not on time or chance"
ENGINES = "a job caches rows through the engine; a model does not"
NO_ACTIONS = "a model describes rows and runs nothing; count with F.count(...)"

FUNCTIONS_BARRED = {
    **dict.fromkeys(("first", "first_value", "last", "last_value", "any_value"), TIE),
    **dict.fromkeys(("current_date", "current_timestamp", "now", "curdate"), IMPURE),
    **dict.fromkeys(("rand", "randn", "uuid", "monotonically_increasing_id"), IMPURE),
}
METHODS_BARRED = {
    **dict.fromkeys(("dropDuplicates", "drop_duplicates"), TIE),
    "today": IMPURE,
    **dict.fromkeys(("cache", "checkpoint", "localCheckpoint", "persist"), ENGINES),
    **dict.fromkeys(("collect", "count", "first", "foreach", "head"), NO_ACTIONS),
    **dict.fromkeys(("isEmpty", "show", "tail", "take", "toPandas"), NO_ACTIONS),
}

TESTS = ("jobs/unit_tests", "tests")
# Queries and the warehouse use DuckDB, whichever engine made the tables.
USE_DUCKDB = ("jobs/engine", "jobs/sql.py", "jobs/warehouse.py")
BESIDE_OTHER_PROCESSES = ("tests/containers", "tests/faults")


ROOT = Path(__file__).resolve().parent.parent


def names_of_fields(source: str) -> frozenset[object]:
    """The keys of ``FIELDS``, as jobs/fields.py has it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "FIELDS":
            assert isinstance(node.value, ast.Dict)
            keys = (key for key in node.value.keys if isinstance(key, ast.Constant))
            return frozenset(key.value for key in keys)
    raise ValueError("there are no FIELDS")


FIELD_NAMES = names_of_fields((ROOT / "jobs" / "fields.py").read_text(encoding="utf-8"))


def violations(path: str, source: str) -> list[str]:
    """The rules that a module breaks, as ``path:line: rule``.

    The path is relative to the project's root. It decides which rules apply.
    """
    file = PurePosixPath(path)
    is_test = is_within(file, TESTS)
    tree = ast.parse(source, path)
    found = {*module_name(file), *one_partition(tree)}
    if file.match("jobs/*/model.py"):
        found.update(model_imports(tree, file))
        found.update(model_calls(tree))
        found.update(model_docstrings(tree))
    if path != "jobs/settings.py" and not is_test:
        found.update(environment(tree, file))
    if not is_test and not is_within(file, USE_DUCKDB):
        found.update(engines(tree, file))
    if file.is_relative_to("jobs/engine"):
        found.update(fields(tree, file))
        found.update(only_computes(tree, file))
    if file.match("jobs/*/job.py"):
        found.update(sees_only_the_run(tree, file))
    if is_within(file, BESIDE_OTHER_PROCESSES):
        found.update(searches(tree))
    return [f"{path}:{line}: {rule}" for line, rule in sorted(found)]


def is_within(file: PurePosixPath, folders: tuple[str, ...]) -> bool:
    return any(file.is_relative_to(folder) for folder in folders)


def module_name(file: PurePosixPath) -> Found:
    """A program that is run by its path imports its neighbours before Python's own."""
    if file.stem in sys.stdlib_module_names:
        yield 1, f"Python's own {file.stem} is hidden from a program beside it"


def model_imports(tree: ast.Module, file: PurePosixPath) -> Found:
    for line, name in imports(tree, file):
        if not MODEL_MAY_IMPORT.fullmatch(name):
            yield line, f"a model does not import {name}"


def model_calls(tree: ast.Module) -> Found:
    for call, owner, method in method_calls(tree):
        is_function = isinstance(owner, ast.Name) and owner.id == "F"
        barred = FUNCTIONS_BARRED if is_function else METHODS_BARRED
        if method in barred:
            prefix = "F." if is_function else "."
            yield call.lineno, f"{prefix}{method}: {barred[method]}"


def model_docstrings(tree: ast.Module) -> Found:
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node):
            yield node.lineno, f"{node.name} has no docstring: describe its result"


def one_partition(tree: ast.Module) -> Found:
    for call, _, method in method_calls(tree):
        sizes = [*call.args[:1], *(keyword.value for keyword in call.keywords)]
        if method in {"repartition", "coalesce"} and any(
            isinstance(size, ast.Constant) and size.value == 1 for size in sizes
        ):
            yield call.lineno, f"{method}(1) puts all rows through one task"


def environment(tree: ast.Module, file: PurePosixPath) -> Found:
    rule = "only jobs/settings.py reads the environment"
    names = {"os.environ", "os.environb", "os.getenv"}
    for line, name in imports(tree, file):
        if name.split(" as ")[0] in names:
            yield line, rule
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in names:
            yield node.lineno, rule


def engines(tree: ast.Module, file: PurePosixPath) -> Found:
    rule = "only jobs/engine knows which engine runs"
    for line, name in imports(tree, file):
        if name.split(".")[0] in {"duckdb", "sqlframe"} or "SparkSession" in name:
            yield line, rule
    for node in ast.walk(tree):
        if "SparkSession" in (getattr(node, "id", ""), getattr(node, "attr", "")):
            yield getattr(node, "lineno", 0), rule


def fields(tree: ast.Module, file: PurePosixPath) -> Found:
    """An engine gets the kinds of fields as an argument."""
    for line, name in imports(tree, file):
        if name.startswith("jobs.fields.FIELDS"):
            yield line, "an engine gets the fields as an argument"
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in FIELD_NAMES:
            yield node.lineno, f"an engine does not name the field {node.value!s}"


def only_computes(tree: ast.Module, file: PurePosixPath) -> Found:
    """An engine does not publish the files that it writes: the run does."""
    for line, name in imports(tree, file):
        if re.match(r"jobs\.(publishing|ledger|runner|pipeline)\b", name):
            yield line, f"an engine computes, and does not import {name}"
    for node in ast.walk(tree):
        if getattr(node, "attr", "") == "output_data_path_prefix":
            yield getattr(node, "lineno", 0), "an engine does not know the prefix"


def sees_only_the_run(tree: ast.Module, file: PurePosixPath) -> Found:
    for line, name in imports(tree, file):
        if re.match(r"jobs\.publishing\b(?!\.run\.Run$)", name):
            yield line, f"a job uses only the run, and does not import {name}"


def searches(tree: ast.Module) -> Found:
    """Find searches that raise FileNotFoundError if a folder is removed meanwhile."""
    for call, owner, method in method_calls(tree):
        if method in {"glob", "rglob"} and ast.unparse(owner) != "glob":
            rule = f"Path.{method} fails if a folder is removed meanwhile: use found"
            yield call.lineno, rule


def imports(tree: ast.Module, file: PurePosixPath) -> Iterator[tuple[int, str]]:
    """Each imported name in full, as ``package.module.name`` or ``… as alias``."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        package_name = ""
        if isinstance(node, ast.ImportFrom):
            package = file.parts[: -node.level] if node.level else ()
            package_name = ".".join((*package, *filter(None, [node.module]))) + "."
        for alias in node.names:
            renamed = f" as {alias.asname}" if alias.asname else ""
            yield node.lineno, f"{package_name}{alias.name}{renamed}"


def method_calls(tree: ast.Module) -> Iterator[tuple[ast.Call, ast.expr, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node, node.func.value, node.func.attr


def main() -> int:
    broken = []
    for file in sorted((*ROOT.glob("jobs/**/*.py"), *ROOT.glob("tests/**/*.py"))):
        path = file.relative_to(ROOT).as_posix()
        broken += violations(path, file.read_text(encoding="utf-8"))
    for violation in broken:
        print(violation)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
