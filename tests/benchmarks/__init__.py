"""Figures for the README; never part of the test suite."""

import deploy  # noqa: F401 - it finds the shared package for all of them
