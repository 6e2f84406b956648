"""A signal to ``scripts/task`` stops its commands, with and without a terminal."""

import os
import pty
import random
import signal
import subprocess
import time
from contextlib import suppress

import pytest

from tests.faults.conftest import (
    OF_TESTS,
    RATIO,
    assert_whole,
    left_over,
    wait_until,
    write_events,
)
from tests.support import published
from tests.support.engine import ENGINE
from tests.support.processes import ROOT, paths
from tests.support.watching import found

TASK = str(ROOT / "scripts" / "task")


def start(*arguments: str, **settings: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [TASK, *arguments],
        env=dict(os.environ) | settings,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        pytest.param(signal.SIGINT, marks=pytest.mark.long_on_spark),
        pytest.param(signal.SIGHUP, marks=pytest.mark.long_on_spark),
    ],
)
def test_a_task_that_is_signalled_stops_its_run(
    versions, prefix, tmp_path, number, tried
):
    many_days = tmp_path / "many-days"
    write_events(many_days, users=1000, days=1000)
    process = start(
        "run",
        **{"ENGINE": ENGINE, "SPARK_MASTER": "local[2]", **paths(many_days, prefix)},
        **RATIO,
        **OF_TESTS,
    )
    wait_until(lambda: found(prefix / "_tmp", "*/rejected_events"))
    process.send_signal(number)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "error: interrupted" in printed
    # The run has ended, too: it has cleaned up, and its lock is free.
    assert left_over(prefix) == []
    assert published.ledger(prefix)["error"] == "interrupted"
    assert_whole(prefix, versions)
    tried(f"{number.name} to scripts/task run: exit 1, the old tables, nothing left")


if ENGINE == "duckdb":
    PROGRAM = """
import signal, sys, time
def stop(number, frame):
    print("stopped", flush=True)
    sys.exit(5)
signal.signal(signal.SIGINT, stop)
print("up", flush=True)
for line in sys.stdin:
    print("read", line, flush=True)
time.sleep(1)
print("done", flush=True)
"""

    @pytest.fixture
    def tasks(tmp_path):
        """The options for scripts/task to use the tasks of this test."""
        program = tmp_path / "program.py"
        program.write_text(PROGRAM)
        file = tmp_path / "Taskfile.yml"
        file.write_text(
            "version: '3'\nsilent: true\ntasks:\n"
            "  fails: {cmds: [exit 7]}\n"
            f"  reads: {{cmds: [scripts/start run .venv/bin/python {program}]}}\n"
        )
        return "--taskfile", str(file)

    def test_a_task_reads_its_input_and_passes_its_exit_code_on(tasks):
        printed, _ = start(*tasks, "reads").communicate("a line\n")
        assert printed.split() == ["up", "read", "a", "line", "done"]
        process = start(*tasks, "fails")
        process.communicate()
        assert process.returncode == 7

    def test_a_task_without_any_input_runs(tasks):
        process = subprocess.run(
            ["sh", "-c", '"$@" <&-', "sh", TASK, *tasks, "reads"],
            capture_output=True,
            text=True,
        )
        assert process.stdout.split() == ["up", "done"]
        assert process.returncode == 0

    @pytest.mark.parametrize("moments", [12, pytest.param(100, marks=pytest.mark.long)])
    def test_a_task_that_is_stopped_at_any_moment_stops(tasks, tried, moments):
        for _ in range(moments):
            process = start(*tasks, "reads")
            time.sleep(random.uniform(0, 0.4))
            process.terminate()
            printed, _ = process.communicate(timeout=60)
            assert process.returncode != 0
            assert "done" not in printed
        tried(f"{moments} stops at random; each time nothing went on, exit not 0")

    @pytest.fixture
    def in_terminal(tasks):
        """Runs a task in its own terminal; returns its exit code and its output."""

        def run(task, act):
            process, terminal = pty.fork()
            if process == 0:
                os.execv(TASK, [TASK, *tasks, task])
            printed = b""
            with suppress(OSError):  # Linux raises it at the end of the output
                while more := os.read(terminal, 1000):
                    printed += more
                    if more.startswith(b"up"):
                        act(process, terminal)
            os.close(terminal)
            _, status = os.waitpid(process, 0)
            return os.waitstatus_to_exitcode(status), printed.decode()

        return run

    def test_ctrl_c_in_a_terminal_stops_the_command_of_a_task(in_terminal):
        code, printed = in_terminal(
            "reads", lambda _, terminal: os.write(terminal, b"\3")
        )
        assert code == 5
        assert printed.count("stopped") == 1
        assert "done" not in printed

    def test_sigterm_stops_the_command_of_a_task_in_a_terminal(in_terminal):
        code, printed = in_terminal(
            "reads", lambda pid, _: os.kill(pid, signal.SIGTERM)
        )
        assert code == 5
        assert printed.count("stopped") == 1
        assert "done" not in printed

    def test_a_task_reads_from_a_terminal(in_terminal):
        end_of_file = b"\4"
        code, printed = in_terminal(
            "reads", lambda _, terminal: os.write(terminal, b"a line\n" + end_of_file)
        )
        assert code == 0
        assert "read a line" in printed
        assert "done" in printed
