"""``python -m jobs.sessionize``"""

import sys

from jobs.runner import main
from jobs.sessionize.job import JOB

if __name__ == "__main__":
    sys.exit(main(JOB, summary=JOB.summary))
