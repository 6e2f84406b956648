# The jobs on Spark, or embedded with ENGINE=duckdb. Any Debian 12 with Python 3.11 and its venv module can be the base.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS java
# hadolint ignore=DL3008  # Debian's stable release changes only for security fixes
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends libnss-wrapper openjdk-17-jre-headless tini \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /app

FROM java AS build
COPY requirements/run.txt requirements/spark.txt requirements/delta.txt requirements/spark-delta.txt requirements/
COPY scripts/setup scripts/class-archive scripts/warm_spark.py scripts/
RUN PIP_NO_CACHE_DIR=1 scripts/setup spark-delta \
    && .venv/bin/python -m pip uninstall --quiet --yes pip setuptools

# All layers except the jobs, so that a build after a change of the jobs takes a second.
FROM java AS runtime
COPY --from=build /app/.venv .venv
COPY scripts/entrypoint.sh scripts/with-user-name scripts/
ENV PATH=/app/.venv/bin:$PATH PYTHONPATH=/app HOME=/tmp
USER 1000:1000
ENTRYPOINT ["tini", "--", "/app/scripts/with-user-name", "/app/scripts/entrypoint.sh"]

# .dockerignore cannot leave the unit tests out, since the image of the tests needs them.
FROM java AS jobs
COPY jobs jobs
RUN rm -r jobs/unit_tests

FROM runtime
COPY --from=jobs /app/jobs jobs
