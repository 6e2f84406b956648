"""``python -m jobs.verify``"""

import sys

from jobs.runner import main
from jobs.verify.job import JOB

if __name__ == "__main__":
    sys.exit(main(JOB, summary=JOB.summary))
