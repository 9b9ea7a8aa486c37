"""The corpus of bad inputs as data: what must be refused, and by which code, whoever asks it in which way.

Numbers from C001 to C125 are those of the list that it comes from; entries from D001 on are this project's own.
The suite asks it in process (tests/shared/http/protocols/test_bad_inputs.py), tests/torture/corpus.py asks it of real
servers.
"""
