"""The catalogue is consistent, and the docs agree with it."""

import re

import pytest

from jobs.pipeline import JOBS
from jobs.tables import TABLES, Range, Table
from tests.support.processes import ROOT

every_table = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)


@every_table
def test_every_column_has_a_unique_name_and_a_meaning(table):
    assert len(set(table.column_names)) == len(table.column_names)
    assert [column.name for column in table.schema if not column.means] == []


@every_table
def test_only_numbers_have_allowed_values(table):
    numbers = {"INT", "BIGINT", "DOUBLE"}
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


def test_the_readme_lists_every_table_with_its_layer_and_partition():
    listed = {}
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    layers = "|".join(dict.fromkeys(table.layer for table in TABLES))
    for row in re.findall(rf"(?m)^\| ((?:{layers}) \|.*) \|$", text):
        layer, names, _, partition = (cell.strip() for cell in row.split("|"))
        for name in re.findall("`(.+?)`", names):
            assert name not in listed
            listed[name] = layer, partition.strip("`")
    assert listed == {
        table.name: (table.layer, table.partition.name if table.partition else "")
        for table in TABLES
    }
