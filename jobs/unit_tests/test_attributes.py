"""users.csv and videos.csv are read in every form that people write them in."""

import codecs
import csv

import pytest

from jobs.errors import InputError
from jobs.events_split.attributes import MissingColumn, tidy_csv

NAMES = ["user_id", "signup_date", "gender"]


@pytest.fixture
def tidied(tmp_path):
    """Gives the rows of a file with these bytes, and its missing columns."""

    def rows(content, names=tuple(NAMES)):
        path, tidy = tmp_path / "users.csv", tmp_path / "tidy"
        path.write_bytes(content)
        missing = tidy_csv(path, names, tidy)
        with tidy.open(encoding="utf-8", newline="") as file:
            return list(csv.reader(file)), missing

    return rows


def test_a_csv_file_is_written_in_one_form(tidied):
    content = (
        "\ufeffGender,user_id,name\r\n"
        'f,u1,"a ""b"", c"\r\n'
        "\r\n"
        'm,u2,"two\r\nlines",more\n'
        "f,u3\r"
        "x,\0,\ufeff"
    )
    assert tidied(content.encode(), ["user_id", "name", "gender"]) == (
        [
            ["u1", 'a "b", c', "f"],
            ["u2", "two\r\nlines", "m"],
            ["u3", "", "f"],
            ["\0", "\ufeff", "x"],
        ],
        [],
    )


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"])
def test_every_delimiter_and_encoding_is_told_by_the_file(tidied, delimiter, encoding):
    lines = ["user_id,signup_date,gender", 'u1,2021-01-02,"f,;\t|ü"', "u2,,m"]
    text = "\n".join(line.replace(",", delimiter, 2) for line in lines)
    mark = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
    rows, missing = tidied(mark.get(encoding, b"") + text.encode(encoding))
    assert rows == [["u1", "2021-01-02", "f,;\t|ü"], ["u2", "", "m"]]
    assert missing == []


@pytest.mark.parametrize(
    ("content", "row"),
    [
        ("user_id;a,b;gender\nu1;x,y;f", ["u1", "", "f"]),
        ("user_id,a;b;c|gender,gender\nu1,x;y;z|m,f", ["u1", "", "f"]),
        ('"user_id";"gender"\n"u1";"f"', ["u1", "", "f"]),
        # If two give as many columns, the first of , ; tab and | counts.
        ("user_id,a\tuser_id\nu1,x\tu2", ["u1", "", ""]),
    ],
)
def test_the_delimiter_is_the_one_that_gives_most_columns(tidied, content, row):
    assert tidied(content.encode())[0] == [row]


def test_names_are_compared_without_case_and_blanks_and_fields_are_trimmed(tidied):
    content = (
        "\n \t\n USER_ID\t, Signup_Date ,gender,Gender\n"
        'u1 , "2021-01-02, " ,\tf\t,m\n'
        "\xa0u2,,\n"
    )
    with pytest.raises(InputError, match="',' expected after"):
        tidied(content.encode())  # A quote ends a field.
    rows, _ = tidied(content.replace('" ,', '",').encode())
    assert rows == [["u1", "2021-01-02,", "f"], ["\xa0u2", "", ""]]


def test_a_row_of_blanks_or_with_few_or_many_fields_is_no_error(tidied):
    rows, _ = tidied(b"user_id,signup_date,gender\n \t\nu1\nu2,2021,f,more,x\n,,\n")
    assert rows == [["", "", ""], ["u1", "", ""], ["u2", "2021", "f"], ["", "", ""]]


def test_a_column_that_is_missing_is_named_with_names_that_resemble_it(tidied):
    rows, missing = tidied(b"user_id,sign_up_date,Sex,SignupDate\nu1,1,2,3\n")
    assert rows == [["u1", "", ""]]
    assert missing == [
        MissingColumn("signup_date", ("sign_up_date", "signupdate")),
        MissingColumn("gender", ()),
    ]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "no column user_id"),
        (b"id,name\n", "no column user_id$"),
        (b"userId,name\n", "no column user_id, but userid$"),
        (b"user_id\nu1\n\xff\n", "not UTF-8 after row 1"),
        (b"\xff\xfeu", "not UTF-16 after row 1"),
        (b'user_id\nu1\n"u2', "unexpected end of data after row 2"),
        (b'user_id,name\nu1,"The "Best""\n', "expected after"),
        (b'user_id;name\nu1;"The "Best""\n', "expected after"),
    ],
)
def test_a_csv_file_that_cannot_be_read_is_named(tidied, content, fault):
    with pytest.raises(InputError, match=rf"users\.csv: .*{fault}"):
        tidied(content, ["user_id"])
