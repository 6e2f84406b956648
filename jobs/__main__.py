"""``python -m jobs``: all jobs in one process."""

import sys

from jobs.conversion_rate.__main__ import JOB as CONVERSION_RATE
from jobs.events_split.__main__ import JOB as EVENTS_SPLIT
from jobs.report.__main__ import JOB as REPORT
from jobs.runner import main
from jobs.sessionize.__main__ import JOB as SESSIONIZE

JOBS = (EVENTS_SPLIT, SESSIONIZE, CONVERSION_RATE, REPORT)
SUMMARY = "The whole pipeline in one process: raw lines to answers."

if __name__ == "__main__":
    sys.exit(main(*JOBS, summary=SUMMARY))
