"""The catalogue is consistent."""

import pytest

from jobs.pipeline import JOBS
from jobs.tables import TABLES, Range, Table

every_table = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)


@every_table
def test_every_column_has_a_unique_name_and_a_meaning(table):
    assert len(set(table.column_names)) == len(table.column_names)
    assert [column.name for column in table.schema if not column.means] == []


@every_table
def test_only_numbers_have_allowed_values(table):
    numbers = {"INT", "BIGINT", "DOUBLE", "DECIMAL(18,6)"}
    for column in table.schema:
        assert column.allowed is None or column.type in numbers, column.name
        if isinstance(column.allowed, Range) and column.allowed.most is not None:
            assert column.allowed.least < column.allowed.most, column.name


@every_table
def test_a_row_is_shown_by_required_columns(table):
    shown = table.shown_by or table.key
    required = {column.name for column in table.schema if not column.nullable}
    assert shown
    assert {*table.key, *shown} <= required
    assert "raw" not in shown


def test_every_table_is_written_by_one_job_in_the_order_of_the_pipeline():
    assert [table for job in JOBS for table in job.writes] == list(TABLES)


def test_a_job_reads_tables_of_jobs_before_it():
    written: list[Table] = []
    for job in JOBS:
        assert {*job.reads} <= {*written}
        written += job.writes
