"""The documents say what is there, and each command in them works."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from jobs.errors import RunError
from jobs.pipeline import JOBS
from jobs.settings import RunSettings
from jobs.tables import TABLES
from jobs.vacuum import VacuumSettings
from scripts import make_docs
from tests.support import documents
from tests.support.documents import Command
from tests.support.processes import ROOT

README = (ROOT / "README.md").read_text("utf-8")
COMPOSE = (ROOT / "docker-compose.yml").read_text("utf-8")
SCRIPT = (ROOT / "scripts" / "compose").read_text("utf-8")
TASKS = documents.tasks_of((ROOT / "Taskfile.yml").read_text("utf-8"))
PAGES = {path: path.read_text("utf-8") for path in documents.documents()}
ALL = "\n".join(PAGES.values())

CLASSES: list[Any] = [RunSettings, *(job.settings for job in JOBS), VacuumSettings]
SETTINGS = {
    field.name.upper(): field.metadata["default"]
    for settings in CLASSES
    for field in fields(settings)
}
ERRORS: list[type[RunError]] = [RunError, *RunError.__subclasses__()]
EXIT_CODES = {"0", *(str(error.exit_code) for error in ERRORS)}

# Variables that others than the jobs and Compose take.
OF_OTHERS = {
    *("ENGINE_UNDER_TEST", "TABLE_FORMAT_UNDER_TEST", "TZ", "JAVA_HOME", "PYTHONPATH"),
    *("HADOOP_CONF_DIR", "BASE_IMAGE"),
}
VARIABLES = {**documents.variables_of(COMPOSE), **documents.variables_of(SCRIPT)}
KNOWN = {*SETTINGS, *VARIABLES, *OF_OTHERS}

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def defaults(text, first):
    """The names of a table, each with its default."""
    return {name: row[0] for name, row in documents.table_rows(text, first).items()}


def test_the_readme_lists_every_setting_with_its_default():
    listed = defaults(README, "setting")
    assert [*documents.table_faults("setting", listed, SETTINGS)] == []


def test_the_readme_lists_every_exit_code():
    listed = dict.fromkeys(documents.table_rows(README, "exit"), "")
    there = dict.fromkeys(EXIT_CODES, "")
    assert [*documents.table_faults("exit code", listed, there)] == []


def test_the_readme_lists_every_table_with_its_layer_and_partition():
    listed = {}
    for row in re.findall(r"(?m)^\| (staging|intermediate|mart) \| (.*) \|$", README):
        names, _, partition = (cell.strip() for cell in row[1].split("|"))
        for name in re.findall("`(.+?)`", names):
            listed[name] = f"{row[0]}, {partition.strip('`')}"
    there = {
        table.name: f"{table.layer}, {table.partition.name if table.partition else ''}"
        for table in TABLES
    }
    assert [*documents.table_faults("table", listed, there)] == []


def test_the_page_of_the_tables_is_up_to_date():
    assert PAGES[make_docs.PAGE] == make_docs.page()


@pytest.mark.parametrize(
    ("listed", "fault"),
    [
        ("| a | `1` |", None),
        ("| a | `2` |", "it a is '2', and should be '1'"),
        ("| a | `1` |\n| b | |", "it b does not exist"),
        ("", "it a is missing"),
    ],
)
def test_a_table_of_names_that_is_wrong_is_seen(listed, fault):
    text = f"| it | default |\n|---|---|\n{listed}\n\n| other | |\n|---|---|\n| c | |"
    found = documents.table_faults("it", defaults(text, "it"), {"a": "1"})
    assert [*found] == [fault] * (fault is not None)


def test_every_task_is_named_and_every_named_task_is_there():
    assert [*documents.unnamed_tasks(ALL, TASKS)] == []
    assert [*documents.task_faults(ALL, TASKS)] == []


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("`scripts/task run`, `test`", []),
        ("`scripts/task run` a test", ["no page names the task test"]),
        ("`task\nrun:all`, `run`, `test`", ["there is no task run:all"]),
        (
            "```console\n$ scripts/task nosuch run test\n```",
            ["there is no task nosuch"],
        ),
    ],
)
def test_a_wrong_task_is_seen(text, faults):
    tasks = documents.tasks_of(
        "vars:\n\ntasks:\n  run:\n    x: 1\n  test:\n    cmds:\n"
    )
    assert [*tasks] == ["run", "test"]
    found = [*documents.unnamed_tasks(text, tasks), *documents.task_faults(text, tasks)]
    assert found == faults


def test_every_variable_of_the_containers_is_listed_and_every_setting_reaches_them():
    own = {name: text for name, text in VARIABLES.items() if name not in SETTINGS}
    own.pop("SPARK_DAEMON_JAVA_OPTS")  # of the cluster's own, and nobody's to set
    listed = defaults(README, "variable")
    assert [*documents.table_faults("variable", listed, own)] == []
    given = dict.fromkeys(documents.variables_of(COMPOSE).keys() & SETTINGS.keys(), "")
    there = dict.fromkeys(SETTINGS, "")
    assert [*documents.table_faults("setting", given, there)] == []


@every_page
def test_every_variable_that_a_page_names_is_there(page):
    assert [*documents.variable_faults(PAGES[page], KNOWN)] == []


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("`ENGINE=spark`, `MEMORY_LIMIT`, a NO_CODE, `NULL`", []),
        ("`CPUS=2`", ["there is no variable CPUS"]),
        ("```console\n$ export MEMORY_LIMITS='4GB'\n```",
         ["there is no variable MEMORY_LIMITS"]),
    ],
)  # fmt: skip
def test_a_wrong_variable_is_seen(text, faults):
    compose = "environment:\n  ENGINE: ${ENGINE:-spark}\n  MEMORY_LIMIT:\n"
    known = documents.variables_of(compose)
    assert known == {"ENGINE": "spark", "MEMORY_LIMIT": ""}
    assert [*documents.variable_faults(text, known)] == faults


@every_page
def test_every_path_and_every_link_of_a_page_leads_somewhere(page):
    assert [*documents.path_faults(page, PAGES[page])] == []


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("`jobs/tables.py`, `test_docs.py`, `jobs/{job}/model.py`, `tests/lines/`", []),
        ("`data-output/x.py`, `report/index.html`, `/lake/x.md`, `users.csv`", []),
        ("[a](LICENSE), [b](docs/answers.md), [c](https://x.org/#y)", []),
        ("`jobs/table.py`", ["there is no jobs/table.py"]),
        ("`scripts/task x` of `tests/nowhere/`", ["there is no tests/nowhere/"]),
        ("`test_nosuch.py`", ["there is no test_nosuch.py"]),
        ("`jobs/{job}/models.py`", ["there is no jobs/{job}/models.py"]),
        ("[a](docs/nosuch.md)", ["there is no docs/nosuch.md"]),
        ("# Two words!\n[a](#two-words)", []),
        ("# Two\n[a](#three)", ["README.md has no heading #three"]),
        ("[a](docs/answers.md#no)", ["docs/answers.md has no heading #no"]),
    ],
)
def test_a_wrong_path_or_link_is_seen(text, faults):
    assert [*documents.path_faults(ROOT / "README.md", text)] == faults


# Every command is run that ends within seconds, changes nothing in the checkout and
# needs neither Java nor Docker.
TASKS_RUN = {"default", "run", "verify", "sql", "vacuum", "map", "sample"}
TASKS_RUN |= {name for name in TASKS if name.startswith("run:")}
# Alone, these are a mention.
NEEDS = {"sql": "SELECT", "sample": "--output", "map": "/exports"}
MOST_EVENTS = 100_000


def can_run(command: Command) -> bool:
    given = " ".join([*command.settings.values(), *command.arguments])
    if "spark" in given.lower() or "…" in given:
        return False
    if any(int(n) > MOST_EVENTS for n in re.findall(r"--events (\d+)", given)):
        return False
    if NEEDS.get(command.task or "", "") not in given:
        return False
    program = documents.program_of(command, TASKS) or ("",)
    is_ours = program[-1].startswith("jobs")
    return command.task in TASKS_RUN or (command.task is None and is_ours)


SHOWN = list(
    {
        (str(c.settings), c.words): (page, c)
        for page in PAGES
        for c in documents.commands(PAGES[page])
    }.values()
)
RUN = [c for _, c in SHOWN if can_run(c)]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the sample, twice, with its tables, and with others' events."""
    folder = tmp_path_factory.mktemp("docs")
    for name in ("in", "ev"):
        shutil.copytree(ROOT / "data-input", folder / name)
    settings = {"OUTPUT_DATA_PATH_PREFIX": str(folder / "out")}
    assert call(["scripts/task", "run"], settings).returncode == 0
    exports = folder / "exports"
    for file in (ROOT / "tests" / "mapping" / "fixtures").glob("*.jsonl"):
        (exports / file.stem).mkdir(parents=True)
        shutil.copy(file, exports / file.stem / "events.jsonl")
    (exports / "own").mkdir()
    (exports / "own" / "events.jsonl").write_text(
        '{"event_type": "play", "time": 1612054800, "customer_id": "c1"}\n'
    )
    events = str(exports / "own" / "events.jsonl")
    own = ["scripts/task", "map", "--", events, "--output", str(exports / "own.toml")]
    assert call(own, {}).returncode == 0
    return folder


def call(words, settings, cwd=ROOT) -> subprocess.CompletedProcess[str]:
    # Task and Python are those of .venv, as in a shell where both are installed.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        list(words),
        cwd=cwd,
        env=dict(os.environ) | {"PATH": path} | settings,
        capture_output=True,
        text=True,
        check=False,
    )


def placed(text: str, place: Path) -> str:
    """A word of a command, with the paths of a page in this folder."""
    shown = {"/logs/2021": "in", "/tmp/lake": "d", "/lake": "out", "/tmp/events": "ev"}
    shown |= {"/exports": "exports", "/tables": "tables"}
    for path, folder in shown.items():
        text = text.replace(path, str(place / folder))
    return text


@pytest.mark.slow
@pytest.mark.parametrize("command", RUN, ids=lambda c: " ".join(c.words)[:60])
def test_every_command_that_takes_seconds_works(command, place):
    settings = {"OUTPUT_DATA_PATH_PREFIX": str(place / "out")}
    settings |= {name: placed(v, place) for name, v in command.settings.items()}
    if "--output" in command.words and command.task == "map":
        (place / "exports" / "own.toml").unlink()  # map writes over no file
    ended = call([placed(word, place) for word in command.words], settings)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def blocks(language):
    return [
        content
        for text in PAGES.values()
        for found, content in documents.FENCE.findall(text)
        if found == language
    ]


@pytest.mark.slow
@pytest.mark.parametrize("program", blocks("python"))
def test_every_program_of_a_page_works(program, place):
    program = program.replace("/lake", str(place / "out"))
    settings = {"OUTPUT_DATA_PATH_PREFIX": str(place / "out"), "PYTHONPATH": str(ROOT)}
    ended = call([sys.executable, "-c", program], settings, cwd=place)
    assert ended.returncode == 0, ended.stderr


@cache
def help_of(program: tuple[str, ...]) -> str:
    ended = call([sys.executable, *program, "--help"], {})
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def faults_of(command: Command) -> list[str]:
    paths = [*ROOT.glob("tests/**/test_*.py"), *ROOT.glob("jobs/unit_tests/test_*.py")]
    tests = " ".join(
        [
            *(path.stem for path in paths),
            *re.findall(r"def (test_\w+)", "".join(map(Path.read_text, paths))),
        ]
    )
    found = [*documents.selection_faults(command, tests)]
    if any(word.startswith("-") for word in command.arguments):
        if program := documents.program_of(command, TASKS):
            found += documents.flag_faults(command, help_of(program))
        else:
            found.append(f"{' '.join(command.words)}: it takes no flags")
    return found


@pytest.mark.slow
def test_every_other_command_names_tasks_flags_and_tests_that_are_there():
    assert [fault for _, c in SHOWN for fault in faults_of(c)] == []


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("```console\n$ A=1 scripts/task run -- -x\nsaid\n$ task sql 'a\n  b'\n…\n```",
         [Command({"A": "1"}, ("scripts/task", "run", "--", "-x")),
          Command({}, ("task", "sql", "a\n  b"))]),
        ("`ENGINE=spark scripts/task\nrun`, `run`, `sometask run`",
         [Command({"ENGINE": "spark"}, ("scripts/task", "run"))]),
        ("`python -m jobs --engine spark`",
         [Command({}, ("python", "-m", "jobs", "--engine", "spark"))]),
        ("```sh\nscripts/task run\n```", []),
    ],
)  # fmt: skip
def test_commands_are_found_in_blocks_and_spans(text, commands):
    assert documents.commands(text) == commands


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("scripts/task run -- --INPUT_DATA_PATH=x", None),
        ("scripts/task run -- --input-path=x", "there is no flag --input-path"),
        ("scripts/task test:faults -- -k broken_at_random --fuzz-seconds 3", None),
        ("scripts/task test:faults -- -k nosuch_test", "no test is named nosuch_test"),
        ("scripts/task sample -- --event 4", "there is no flag --event"),
        ("python -m jobs --spark", "there is no flag --spark"),
        ("scripts/task clean -- --all", "it takes no flags"),
    ],
)
def test_a_wrong_flag_or_test_is_seen(command, fault):
    found = faults_of(documents.parsed(command))
    assert found == ([f"{command}: {fault}"] if fault else [])
