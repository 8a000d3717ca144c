"""Helpers of the tests, each named by what it gives; imported as `tests.support.…`."""
