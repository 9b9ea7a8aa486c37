"""The page's files are one in the end, and a light one."""

import gzip
import re
from collections import Counter

from model_functions.http import pages


def test_no_two_files_of_the_page_give_things_the_same_name() -> None:
    script = pages.playground().body.decode().partition("<script>")[2]
    names = re.findall(r"^(?:async function|function|const|let|class) (\w+)", script, re.MULTILINE)
    assert [name for name, count in Counter(names).items() if count > 1] == []


def test_the_page_stays_light() -> None:
    whole, compressed = pages.playground(), pages.playground(compressed=True)
    assert gzip.decompress(compressed.body) == whole.body
    assert compressed.headers == whole.headers | {"Content-Encoding": "gzip"}
    assert len(compressed.body) < 32_000


def test_the_policy_lets_the_page_s_own_code_run_and_nothing_else() -> None:
    policy = pages.playground().headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "require-trusted-types-for 'script'; trusted-types 'none'" in policy
    assert re.search(r"script-src 'sha256-[\w+/=]+';", policy)
    assert re.search(r"style-src 'sha256-[\w+/=]+';", policy)
