"""``python -m jobs.report``"""

import sys

from jobs.report.job import JOB
from jobs.runner import main

if __name__ == "__main__":
    sys.exit(main(JOB, summary=JOB.summary))
