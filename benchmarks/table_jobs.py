"""``python -m benchmarks.table_jobs``: the pipeline without its report."""

import sys

from jobs.pipeline import JOBS
from jobs.runner import main

# The peers make the tables, too, but no report.
TABLE_JOBS = tuple(job for job in JOBS if job.name != "report")

if __name__ == "__main__":
    sys.exit(main(*TABLE_JOBS, summary="The pipeline without its report."))
