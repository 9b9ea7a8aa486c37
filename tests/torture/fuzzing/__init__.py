"""Readers under fuzz: each takes any bytes, and does no worse than an error that it declares."""
