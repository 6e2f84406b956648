"""The jobs in the order in which they run."""

from jobs.conversion_rate.job import JOB as CONVERSION_RATE
from jobs.events_split.job import JOB as EVENTS_SPLIT
from jobs.report.job import JOB as REPORT
from jobs.sessionize.job import JOB as SESSIONIZE

JOBS = (EVENTS_SPLIT, SESSIONIZE, CONVERSION_RATE, REPORT)
SUMMARY = "The whole pipeline in one process: raw lines to answers."
