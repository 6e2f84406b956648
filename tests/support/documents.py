"""What the documents of the project say, held against what is there.

Each function takes Markdown and gives a sentence for each fault that it finds.
"""

import re
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import ROOT

FENCE = re.compile(r"(?ms)^```(\w*)\n(.*?)^```$")
SPAN = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"(?m)^#+ (.+)$")
VARIABLE = re.compile(r"\b[A-Z]+(?:_[A-Z]+)+\b|\b[A-Z]{2,}(?==)")
TASK = re.compile(r"(?<![\w./-])(?:scripts/)?task ([a-z][a-z:-]*)")
EXPRESSION = re.compile(r"\b(?!(?:and|or|not)\b)\w+")

FILE = re.compile(r"[\w{}*-]+\.(?:in|ini|ipynb|md|py|sh|toml|ya?ml)")
"""The name of a file, wherever it lies."""

LEFT_BY_RUNS = {"data-output"}


@dataclass(frozen=True)
class Command:
    """A command as a document shows it.

    Attributes:
        settings: the variables before it.
        words: the program and its arguments.
    """

    settings: Mapping[str, str]
    words: tuple[str, ...]

    @property
    def task(self) -> str | None:
        """The task that it calls; None if it calls something else."""
        if self.words[0] not in ("scripts/task", "task"):
            return None
        return self.words[1] if len(self.words) > 1 else "default"

    @property
    def arguments(self) -> tuple[str, ...]:
        """What follows the program, or a task's ``--``."""
        if self.task is None:
            return self.words[1:]
        after = self.words.index("--") + 1 if "--" in self.words else len(self.words)
        return self.words[after:]


def documents() -> list[Path]:
    """Every page that people read."""
    return sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def table_rows(text: str, first: str) -> dict[str, list[str]]:
    """The rows of the table whose first column has this name, by their first cell."""
    found = {}
    is_within = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" |")]
        if not line.startswith("|"):
            is_within = False
        elif cells[0] == first:
            is_within = True
        elif is_within and not set(cells[0]) <= set("-:|"):
            found[cells[0].strip("`")] = [cell.strip("`") for cell in cells[1:]]
    return found


def table_faults(
    kind: str, listed: Mapping[str, str], there: Mapping[str, str]
) -> Iterator[str]:
    """Where a table of names and defaults differs from what there is."""
    for name in sorted(listed.keys() | there.keys()):
        if name not in listed:
            yield f"{kind} {name} is missing"
        elif name not in there:
            yield f"{kind} {name} does not exist"
        elif listed[name] != there[name]:
            yield f"{kind} {name} is {listed[name]!r}, and should be {there[name]!r}"


def code(text: str) -> list[str]:
    """The texts of code: each fenced block, and each span in one line."""
    fenced = [content for _, content in FENCE.findall(text)]
    spans = [" ".join(span.split()) for span in SPAN.findall(FENCE.sub("", text))]
    return fenced + spans


def tasks_of(taskfile: str) -> dict[str, str]:
    """What each task of a Taskfile is, by its name."""
    _, _, tasks = taskfile.partition("\ntasks:\n")
    parts = re.split(r"(?m)^  ([\w:-]+):$", tasks)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def task_faults(text: str, tasks: Collection[str]) -> Iterator[str]:
    """The tasks that a page names and that are none."""
    for part in code(text):
        for name in TASK.findall(part):
            if name not in tasks:
                yield f"there is no task {name}"


def unnamed_tasks(text: str, tasks: Collection[str]) -> Iterator[str]:
    """The tasks that a text does not name in code."""
    named = {name for part in code(text) for name in re.findall(r"[\w:-]+", part)}
    for name in sorted(set(tasks) - named - {"default"}):
        yield f"no page names the task {name}"


def variables_of(compose: str) -> dict[str, str]:
    """The variables that a file of Compose or a script takes, with their defaults."""
    found: dict[str, str] = {}
    for name, default in re.findall(r"(?<!\$)\$\{([A-Z_]+)(?::-([^}]*))?", compose):
        found.setdefault(name, default)
    for name in re.findall(r"(?m)^ +([A-Z_]+):(?: |$)", compose):
        found.setdefault(name, "")
    return found


def variable_faults(text: str, known: Collection[str]) -> Iterator[str]:
    """The variables that a page names and that nothing takes."""
    for name in sorted({v for part in code(text) for v in VARIABLE.findall(part)}):
        if name not in known:
            yield f"there is no variable {name}"


def path_faults(page: Path, text: str) -> Iterator[str]:
    """The files of the project that a page names and that are not there."""
    for span in code(FENCE.sub("", text)):
        for word in span.split():
            name = word.strip(",;:").partition("::")[0]
            if is_path(name) and not exists(name):
                yield f"there is no {name}"
    for target in LINK.findall(FENCE.sub("", text)):
        if not re.match(r"[a-z]+:", target):
            yield from link_faults(page, text, target)


def is_path(name: str) -> bool:
    """Whether a word of code is the path or name of a file of the project."""
    first, slash, _ = name.partition("/")
    if not slash:
        return bool(FILE.fullmatch(name))
    if first.startswith("."):
        return first == ".ci"
    return first not in ("", *LEFT_BY_RUNS) and (ROOT / first).is_dir()


def exists(name: str) -> bool:
    """Whether there is such a file; ``{job}`` stands for any name."""
    pattern = re.sub(r"\{\w+\}", "*", name).rstrip("/")
    if "/" in name:
        return any(ROOT.glob(pattern))
    folders = ("", "*/", "*/*/", "*/*/*/")
    return any(path for folder in folders for path in ROOT.glob(folder + pattern))


def link_faults(page: Path, text: str, target: str) -> Iterator[str]:
    """Faults of a link within the project."""
    name, _, anchor = target.partition("#")
    to = page.parent / name if name else page
    if not to.exists():
        yield f"there is no {target}"
    elif anchor and anchor not in anchors(to.read_text("utf-8") if name else text):
        yield f"{name or page.name} has no heading #{anchor}"


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = HEADING.findall(FENCE.sub("", text))
    return {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        for heading in headings
    }


def commands(text: str) -> list[Command]:
    """Every command of a page: after ``$`` in a block, or alone in a span."""
    found = [
        command
        for language, block in FENCE.findall(text)
        if language == "console"
        for command in re.findall(r"(?ms)^\$ (.*?)(?=^\$ |\Z)", block)
    ]
    found += [span for span in code(FENCE.sub("", text)) if is_command(span)]
    return [parsed(command) for command in found]


def is_command(span: str) -> bool:
    words = span.split()
    while words and re.match("[A-Z_]+=", words[0]):
        words.pop(0)
    programs = ("scripts/task", "task", "python", ".venv/bin/python")
    return bool(words) and words[0] in programs


def parsed(command: str) -> Command:
    """A command; the lines that it prints after it are none of its words."""
    for end in range(1, command.count("\n") + 2):
        try:
            words = shlex.split("\n".join(command.split("\n")[:end]))
            break
        except ValueError:  # a quote that is not closed yet
            continue
    else:
        raise ValueError(command)
    settings = {}
    while words and re.match("[A-Z_]+=", words[0]):
        name, _, settings[name] = words.pop(0).partition("=")
    return Command(settings, tuple(words))


def program_of(command: Command, tasks: Mapping[str, str]) -> tuple[str, ...] | None:
    """The program of Python's that takes the arguments; None if it is none of ours."""
    if command.task is None:
        called = " ".join(command.words)
    else:
        called = tasks.get(command.task, "")
    program = re.search(
        r"(?:python|\{\{\.PYTHON\}\}) (-m pytest tests/faults|-m [\w.]+|[\w/]+\.py)",
        called,
    )
    return tuple(program[1].split()) if program else None


def flag_faults(command: Command, takes: str) -> Iterator[str]:
    """The flags of a command that the help of its program does not name."""
    known = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", takes))
    for word in command.arguments:
        flag = word.split("=")[0]
        if re.match("--?[a-zA-Z]", word) and spelled(flag) not in known:
            yield f"{' '.join(command.words)}: there is no flag {flag}"


def spelled(flag: str) -> str:
    """``--INPUT_DATA_PATH`` is ``--input-data-path``."""
    return flag.lower().replace("_", "-") if flag.startswith("--") else flag


def selection_faults(command: Command, tests: str) -> Iterator[str]:
    """The words of ``-k`` that no test has in its name."""
    given: Sequence[str] = command.arguments
    if "-k" in given:
        for word in EXPRESSION.findall(given[given.index("-k") + 1]):
            if word not in tests and word != "NAME":
                yield f"{' '.join(command.words)}: no test is named {word}"
