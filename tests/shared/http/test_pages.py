"""The page's files are one script in the end."""

import re
from collections import Counter

from model_functions.http import pages


def test_no_two_files_of_the_page_give_things_the_same_name() -> None:
    script = pages.playground().body.decode().partition("<script>")[2]
    names = re.findall(r"^(?:async function|function|const|let|class) (\w+)", script, re.MULTILINE)
    assert [name for name, count in Counter(names).items() if count > 1] == []
