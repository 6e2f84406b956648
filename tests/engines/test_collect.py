"""Small results are NamedTuples, on either engine."""

from typing import NamedTuple

import pytest

NUMBERS = "one INT, other INT"


class Numbers(NamedTuple):
    one: int | None
    other: int | None


class Few(NamedTuple):
    one: int


def test_a_result_has_its_columns_by_name_with_nulls(engine, table):
    [row] = engine.collect(table(NUMBERS, [[1, None]]), Numbers)
    assert isinstance(row, Numbers)
    assert (row.one, row.other) == (1, None)


def test_the_order_of_columns_does_not_matter(engine, table):
    rows = table(NUMBERS, [[1, 2], [1, 2]]).select("other", "one")
    assert engine.collect(rows, Numbers) == [Numbers(one=1, other=2)] * 2


def test_no_rows_are_an_empty_list(engine, table):
    assert engine.collect(table(NUMBERS, []), Numbers) == []


@pytest.mark.parametrize(
    ("columns", "into"),
    [
        (["one"], Numbers),
        (["one", "other"], Few),
        (["one", "one"], Numbers),
        (["other"], Few),
    ],
)
def test_columns_with_other_names_than_the_fields_are_an_error(
    engine, table, columns, into
):
    rows = table(NUMBERS, [[1, 2]]).select(*columns)
    with pytest.raises(ValueError) as refused:
        engine.collect(rows, into)
    assert str(refused.value) == (
        f"the columns are {', '.join(columns)}, and the fields of {into.__name__}"
        f" are {', '.join(into._fields)}"
    )
