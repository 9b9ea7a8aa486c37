"""``make bench``: every benchmark in turn."""

from tests.benchmarks import first_answer

first_answer.main()
