"""``python -m jobs.vacuum``: removes the data files of earlier runs of Delta tables."""

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from jobs.errors import InputError, RunError, in_one_line
from jobs.publishing.history import oldest_run, vacuum
from jobs.publishing.run import Writer
from jobs.quoting import counted
from jobs.settings import RunSettings, load, setting, whole_number

SUMMARY = """\
Remove data files of the Delta tables of OUTPUT_DATA_PATH_PREFIX that only earlier runs
need. The tables of the newest run stay, and those that were the newest in the last
VACUUM_DAYS.
"""


@dataclass(frozen=True)
class VacuumSettings:
    vacuum_days: int = setting(
        "7",
        whole_number(0, 36_500),
        "the days whose runs stay; 0: the newest run alone",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Remove files, and print their number; returns the exit code of the contract."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        settings: RunSettings
        own: VacuumSettings
        settings, own = load(
            (RunSettings, VacuumSettings), "python -m jobs.vacuum", SUMMARY, arguments
        )
        if not settings.prefix.is_dir():
            raise InputError(f"{settings.prefix}: there are no tables yet")
        with closing(Writer(settings, writes=())) as writer:
            for note in writer.notes:
                print(note)
            for table, files in vacuum(writer.tables, own.vacuum_days):
                print(f"{table.name}: {counted(files, 'file')} of earlier runs removed")
            newest = writer.tables.current()
            oldest = oldest_run(newest)
        if not any(r.delta_version is not None for r in newest.state.tables.values()):
            print("There are no Delta tables, so there is nothing to remove.")
        elif oldest:
            print(f"The oldest run that can be read is {oldest}.")
    except (Exception, KeyboardInterrupt) as error:
        print(f"error: {in_one_line(error)}", file=sys.stderr)
        return error.exit_code if isinstance(error, RunError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
