"""``python -m jobs.verify``"""

import sys

from jobs.checks import CHECKS, failures, rules
from jobs.engine import Engine
from jobs.errors import RunError
from jobs.runner import Job, Report, main
from jobs.settings import NoSettings
from jobs.tables import TABLES


def run(engine: Engine, _: NoSettings) -> Report:
    """Run every check on the published tables.

    Raises:
        RunError: checks failed; the message names each, its count and an example.
        InputError: a table is not there.
    """
    if failed := failures(engine, dict.fromkeys(TABLES)):
        raise RunError("; ".join(map(str, failed)))
    held = len(CHECKS) + sum(len(list(rules(table))) for table in TABLES)
    return Report(figures={"checks": held}, headline=f"{held} checks hold")


JOB = Job(
    "verify", "Run the checks of publishing on published tables.", NoSettings, run
)

if __name__ == "__main__":
    sys.exit(main(JOB, summary=JOB.summary))
