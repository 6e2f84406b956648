"""``python -m jobs.conversion_rate``"""

import sys

from jobs.conversion_rate.job import JOB
from jobs.runner import main

if __name__ == "__main__":
    sys.exit(main(JOB, summary=JOB.summary))
