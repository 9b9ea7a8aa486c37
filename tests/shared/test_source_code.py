import traceback
from pathlib import Path

import pytest

from model_functions.source_code import SourceCode


def test_the_same_text_is_one_module_and_another_is_another() -> None:
    one, same, other = (SourceCode("net.py", f"class Net: size = {size}") for size in (1, 1, 2))
    assert one.find("Net") is same.find("Net")
    assert one.find("Net").size != other.find("Net").size
    assert one.find("Net").__module__ == one.module_name != other.module_name


def test_a_text_that_fails_is_no_module_and_shows_its_line() -> None:
    broken = SourceCode("net.py", "x = 1\nraise OSError('no weights here')")
    for _ in range(2):
        with pytest.raises(OSError, match="no weights here") as caught:
            broken.module()
        assert "raise OSError('no weights here')" in "".join(traceback.format_exception(caught.value))


def test_what_stands_beside_would_not_ship(tmp_path: Path) -> None:
    (tmp_path / "layers").mkdir()
    (tmp_path / "layers" / "__init__.py").touch()
    (tmp_path / "parts.py").touch()
    path = tmp_path / "net.py"
    for text, name in (
        ("import layers.dense", "layers"),
        ("from . import parts", "parts"),
        ("def f(): import parts", "parts"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=rf"net\.py imports {name}, which stands beside it"):
            SourceCode.read(path)
    path.write_text("import json, collections.abc")
    assert SourceCode.read(path).find("json").loads("1") == 1
    with pytest.raises(ValueError, match=r"net\.py has no Net"):
        SourceCode.read(path).find("Net")
