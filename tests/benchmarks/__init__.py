"""Figures for the README; never part of the test suite."""
