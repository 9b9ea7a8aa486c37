"""The tree's rules, read off the imports."""

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHARED = ROOT / "shared" / "model_functions"

#: A module may import from its own line and from those below it. Names are below model_functions.
LAYERS = (
    ("http",),
    ("access",),
    ("families",),
    ("generation", "tensor_models", "torchserve"),
    ("legacy", "text_rows"),
    ("updates",),
    ("succession",),
    ("cache", "directory"),
    ("admission",),
    ("queue",),
    ("loading", "budget", "loaded"),
    ("repository",),
    ("self_test",),
    ("artifact",),
    ("engines", "store"),
    ("rows",),
    ("predictions",),
    ("wrapper",),
    ("row_tensors",),
    ("string_tensors",),
    ("tensors", "source_code"),
    ("inputs",),
    ("parameters", "source", "schemas"),
    ("boot",),
    ("tally", "draining"),
    ("process_logs", "spans"),
    (
        *("settings", "metrics", "logs", "caller", "pace", "names", "once", "memory", "backoff"),
        "processor",
    ),
    ("phases",),
    ("sink", "stack_trace", "tracing"),
    ("errors",),
)

#: The one module that may import a heavy package.
OWNERS = {
    "flask": "http/flask_edge.py",
    "gunicorn": "http/termination.py",
    "werkzeug": "http/form.py",
    "django": "http/django_edge.py",
    "asgiref": "http/django_edge.py",
    "dill": "artifact/stream.py",
    "google.cloud": "store/upload.py",
    "google.auth": {"access/tokens.py", "http/upstream.py", "store/credentials.py", "store/upload.py"},
    "opentelemetry": "spans.py",
    "cryptography": {"artifact/signing.py", "artifact/signing_key.py"},
    "jinja2": "engines/chat.py",
    "torch": {"engines/torch.py", "engines/modules.py", "engines/torch_handler.py"},
    "transformers": {"engines/transformers.py", "engines/image_folder.py"},
    "pandas": "engines/sklearn.py",
    "PIL": "engines/pillow.py",
    "sentencepiece": "engines/sentencepiece.py",
    "tokenizers": "engines/tokenizers.py",
    "openvino": {"engines/openvino.py", "engines/paged.py"},
    "onnx": "engines/onnx_file.py",
    "onnxruntime": "engines/onnxruntime.py",
    "tensorflow": "engines/saved_model.py",
    "keras": "engines/saved_model.py",
    "h5py": "engines/saved_model.py",
}

SOURCES = sorted(SHARED.rglob("*.py"))


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def imports(path: Path) -> list[str]:
    """The full names of the modules that a file imports, wherever it does."""
    found: list[str] = []
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def layer(module: str) -> int:
    return next(index for index, names in enumerate(LAYERS) if module in names)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(SHARED).as_posix())
def test_imports_go_one_way(path: Path) -> None:
    own = path.relative_to(SHARED).parts[0].removesuffix(".py")
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "model_functions" and own != "__init__":
            other = parts[1]
            assert other == own or layer(other) > layer(own), f"{own} imports {other}, which stands above it"


def test_every_module_has_a_layer() -> None:
    modules = {path.relative_to(SHARED).parts[0].removesuffix(".py") for path in SOURCES} - {"__init__"}
    assert modules == {name for names in LAYERS for name in names}


def test_families_never_import_each_other() -> None:
    for path in (SHARED / "families").glob("*.py"):
        others = [name for name in imports(path) if name.startswith("model_functions.families")]
        assert not others, f"{path.name} imports {others}"


def test_shared_code_knows_neither_deploy_nor_functions() -> None:
    for path in SOURCES:
        assert not {name.split(".")[0] for name in imports(path)} & {"deploy", "functions", "tests"}, path


def test_a_heavy_package_has_one_owner() -> None:
    for path in SOURCES:
        place = path.relative_to(SHARED).as_posix()
        for name in imports(path):
            for package, owner in OWNERS.items():
                if name == package or name.startswith(package + "."):
                    assert place in owner if isinstance(owner, set) else place == owner, f"{place} imports {package}"


def test_no_file_is_named_after_nothing() -> None:
    empty = re.compile(r"(utils?|helpers?|common|core|misc|base|manager)(_.*)?$")
    for folder in ("shared", "deploy", "functions", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            assert not empty.match(path.stem), path


def test_every_module_says_what_it_does() -> None:
    for folder in ("shared", "deploy", "functions"):
        for path in (ROOT / folder).rglob("*.py"):
            assert ast.get_docstring(parsed(path)), f"{path} has no docstring"


def test_nothing_else_stands_at_the_top() -> None:
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("the tree is no git checkout")
    tops = {name.split("/")[0] for name in listed.stdout.splitlines()}
    promised = {
        "functions",
        "shared",
        "deploy",
        "docs",
        "tests",
        "cloudbuild.yaml",
        "requirements.txt",
        "README.md",
        "SECURITY.md",
    }
    demanded = {"Makefile", "pyproject.toml", ".ci", ".gitignore", ".gcloudignore", "LICENSE", ".github"}
    assert tops == promised | demanded


def test_functions_print_nothing() -> None:
    """What is to be said goes to the log: a line that is printed is none of its lines."""
    for path in SOURCES:
        calls = (node.func for node in ast.walk(parsed(path)) if isinstance(node, ast.Call))
        names = {call.id for call in calls if isinstance(call, ast.Name)}
        assert not names & {"print", "pprint", "breakpoint"}, path
