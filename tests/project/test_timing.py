"""Tests of how time grows tell linear time from quadratic time."""

from tests.support.timing import grows_no_faster


def test_linear_time_grows_no_faster_and_quadratic_time_does():
    def linear(number):
        sum(range(number))

    def quadratic(number):
        for _ in range(number):
            sum(range(number))

    assert grows_no_faster(linear, 100_000, 400_000, times=4)
    assert not grows_no_faster(quadratic, 400, 1600, times=4)
