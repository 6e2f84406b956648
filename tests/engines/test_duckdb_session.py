"""DuckDB has to judge each line once."""

import pytest

from jobs.engine.duckdb.session import Session
from jobs.errors import RunError
from jobs.fields import FIELDS
from jobs.lines.files import listed, whole


@pytest.fixture
def session():
    opened = Session({}, "UTC")
    yield opened
    opened.close()


def as_read(lines, rewrite):
    return lines


def test_a_line_that_duckdb_got_and_did_not_store_is_an_error(session, tmp_path):
    (tmp_path / "a.json").write_text("{}\n\n{}\n{}")
    ranges = [whole(listed(tmp_path / "a.json", tmp_path))]
    session.judge(ranges, FIELDS, as_read, None, "CREATE TABLE all_lines AS {}".format)
    assert session.connection.sql("SELECT count(*) FROM all_lines").fetchall() == [(3,)]
    lossy = "CREATE TABLE some_lines AS SELECT * FROM ({}) LIMIT 2"
    with pytest.raises(
        RunError, match=r"a\.json .*: 3 lines, of which DuckDB judged 2"
    ):
        session.judge(ranges, FIELDS, as_read, None, lossy.format)
