#!/bin/sh
# entrypoint.sh JOB [FLAG ...]: runs a job in a container, through spark-submit unless ENGINE=duckdb.
#
# JOB is pipeline, events-split, sessionize, conversion-rate, report, verify or vacuum; JOB --help lists its settings.
# Settings come from the environment. APP_NAME, INPUT_DATA_PATH and OUTPUT_DATA_PATH_PREFIX must be set.
set -eu
root=$(CDPATH='' cd "$(dirname "$0")/.." && pwd)
jobs='pipeline, events-split, sessionize, conversion-rate, report, verify or vacuum'

fail() {
  printf 'error: %s\n' "$1" >&2
  exit 2
}

[ $# -gt 0 ] || fail "the job is missing: $jobs"
job=$1
shift
case $job in
  pipeline) module='jobs' ;;
  vacuum) module=jobs.vacuum ENGINE=duckdb ;; # it needs no engine
  events-split | sessionize | conversion-rate | report | verify) module=jobs.$(echo "$job" | tr - _) ;;
  *) fail "job=$job: it takes $jobs" ;;
esac
for name in APP_NAME INPUT_DATA_PATH OUTPUT_DATA_PATH_PREFIX; do
  eval "value=\${$name-}"
  [ "$value" ] || fail "$name is missing"
done

export ENGINE="${ENGINE:-spark}"
[ "$ENGINE" = spark ] || exec python -m "$module" "$@"

# The settings that a JVM needs before it starts. If a key is repeated, its last value counts.
set -- "$root/$(echo "$module" | tr . /)/__main__.py" "$@"
memory=${MEMORY_LIMIT:-4GB}
case ${SPARK_PROPERTIES-} in # Java accepts only one collector
  *-XX:+Use*GC*) collector= ;;
  *) collector=-XX:+UseParallelGC ;;
esac
properties="spark.driver.memory=${memory%B}
spark.driver.defaultJavaOptions=$collector $(cat "$root/jobs/engine/spark/java.options") \
-XX:SharedArchiveFile=$root/.venv/spark.jsa -Xlog:disable \
-Dlog4j2.configurationFile=$root/jobs/engine/spark/log4j2.properties
${SPARK_PROPERTIES_FILE:+$(cat "$SPARK_PROPERTIES_FILE")}
${SPARK_PROPERTIES-}"
file=$(mktemp) # other users could see a secret among the arguments
printf '%s\n' "$properties" >"$file"
spark-submit --master "${SPARK_MASTER:-local[*]}" --name "$APP_NAME" --properties-file "$file" "$@" &
submit=$!

# The signal goes to the run itself, which cleans up. Spark ends with the run, and passes on its exit code.
stop() {
  run=
  children=$(cat /proc/"$submit"/task/*/children 2>/dev/null) || : # a thread may have ended
  for child in $children; do
    # Other children are workers or short-lived.
    if grep -qs __main__.py "/proc/$child/cmdline"; then run=$child; fi
  done
  kill -TERM "${run:-$submit}" 2>/dev/null || :
}
trap stop TERM INT
while :; do
  code=0
  wait "$submit" || code=$?
  kill -0 "$submit" 2>/dev/null || exit "$code"
done
