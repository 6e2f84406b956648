"""``python -m jobs.events_split``"""

import sys

from jobs.events_split.job import JOB
from jobs.runner import main

if __name__ == "__main__":
    sys.exit(main(JOB, summary=JOB.summary))
