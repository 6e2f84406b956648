"""A search works in folders that another process removes."""

import shutil
import threading
from contextlib import contextmanager

import pytest

from tests.support.watching import found

SEARCHES = 1500


@contextmanager
def folders_that_come_and_go(parent):
    """Makes and removes folders of two levels, as fast as it can."""
    is_over = threading.Event()

    def come_and_go():
        while not is_over.is_set():
            for name in "abcd":
                (parent / name / "table" / "_temporary").mkdir(parents=True)
            for name in "abcd":
                shutil.rmtree(parent / name)

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


@pytest.mark.parametrize("pattern", ["*/*/_temporary", "**/_temporary"])
def test_a_path_that_stays_is_found_while_others_are_removed(tmp_path, pattern):
    stays = tmp_path / "stays" / "table" / "_temporary"
    stays.mkdir(parents=True)
    with folders_that_come_and_go(tmp_path):
        for _ in range(SEARCHES):
            assert stays in found(tmp_path, pattern)


def test_matches_are_sorted_and_hidden_names_are_among_them(tmp_path):
    for name in ("b", "a", ".c"):
        (tmp_path / name).mkdir()
    assert [path.name for path in found(tmp_path, "*")] == [".c", "a", "b"]


def test_a_folder_that_does_not_exist_has_no_paths(tmp_path):
    assert found(tmp_path / "nowhere", "*") == []
    assert found(tmp_path / "nowhere", "**/*.parquet") == []
