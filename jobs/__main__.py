"""``python -m jobs``: all jobs in one process."""

import sys

from jobs.pipeline import JOBS, SUMMARY
from jobs.runner import main

if __name__ == "__main__":
    sys.exit(main(*JOBS, summary=SUMMARY))
