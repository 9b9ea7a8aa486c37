import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deploy import fast_lane
from deploy.publish import publish
from model_functions.artifact import stream
from model_functions.artifact.signing import Trust
from model_functions.artifact.signing_key import SigningKey
from model_functions.errors import InvalidInput
from model_functions.families.pytorch import PytorchWrapper
from model_functions.http.function import FamilyFunction
from model_functions.repository import Repository
from model_functions.settings import Settings
from model_functions.store.folder import FolderStore
from tests.shared.http.requests import body, post

ROW = [0.5, -1.0, 2.0]

#: A file of a publisher's own: two inputs, a dict of outputs, a buffer that no checkpoint holds.
SOURCE = """
import torch

class Net(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear = torch.nn.Linear(3, width)
        self.register_buffer("shift", torch.tensor([10.0]), persistent=False)

    def forward(self, features, scale):
        scores = self.linear(features) * scale.unsqueeze(-1)
        return {"scores": scores, "rest": (scores.argmax(-1), self.shift + scores[..., 0])}

def make(width=4):
    return Net(width)
"""
ITEM = {"features": ROW, "scale": 2.0}
OUTPUTS = {"scores", "rest_0", "rest_1"}


@pytest.fixture(autouse=True)
def quiet() -> Any:
    """torch itself warns of its own TorchScript, and of what its exporter calls."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def network() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 64), torch.nn.Dropout(0.5), torch.nn.Linear(64, 2))


def expected(module: Any, row: Any) -> Any:
    with torch.inference_mode():
        return module.eval()(torch.tensor([row]))[0].tolist()


def wrapper(path: Path, **settings: Any) -> PytorchWrapper:
    return PytorchWrapper.from_source(str(path), **settings)


def stored(model: PytorchWrapper) -> Any:
    return stream.load_and_list(stream.dump(model))[0]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``features``, of 2 to 5 rows, and what ``network`` answers."""
    path = tmp_path_factory.mktemp("program") / "net.pt2"
    batch = torch.export.Dim("batch", min=2, max=5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = torch.export.export(network().eval(), (torch.zeros(3, 3),), dynamic_shapes=({0: batch},))
        torch.export.save(exported, path)
    return path


def checkpoint(folder: Path, *, wrapped: bool = False, source: str = SOURCE) -> tuple[Path, Any]:
    """Net's weights as training scripts leave them, its source beside them, and the module itself."""
    (folder / "net.py").write_text(source)
    scope: dict[str, Any] = {}
    exec(SOURCE, scope)
    torch.manual_seed(1)
    module = scope["Net"](4).eval()
    weights = module.state_dict()
    saved = {"epoch": 3, "state_dict": {f"module.{name}": one for name, one in weights.items()}} if wrapped else weights
    torch.save(saved, folder / "net.pt")
    return folder / "net.pt", module


def test_a_program_tells_its_shapes_and_is_filled_up_to_its_smallest_batch(program: Path) -> None:
    model = wrapper(program, trusted=True)
    [spec] = model.engine.inputs
    assert (spec.name, spec.dtype, spec.item().shape) == ("input", "float32", (3,))
    assert (model.tensors.smallest_batch, model.tensors.largest_batch) == (2, 5)
    for loaded in (model, stored(model)):
        assert loaded.predict(ROW) == pytest.approx(expected(network(), ROW), rel=1e-5)
        rows = [[float(index), 0.0, 1.0] for index in range(7)]
        assert [answer[0] for answer in loaded.predict(rows)] == pytest.approx(
            [expected(network(), row)[0] for row in rows], rel=1e-4
        )


def test_a_script_learns_its_shapes_of_the_example(tmp_path: Path) -> None:
    module = network().eval()
    torch.jit.save(torch.jit.script(module), tmp_path / "net.pt")
    model = wrapper(tmp_path / "net.pt", example=ROW)
    assert model.tensors.batched
    for loaded in (model, stored(model)):
        assert loaded.predict([ROW, [0, 0, 0]])[0] == pytest.approx(expected(module, ROW), rel=1e-5)
    # Whole numbers in the example are no reason to send integers to a linear layer.
    assert wrapper(tmp_path / "net.pt", example=[1, 2, 3]).predict([1, 2, 3.5])


def test_steps_before_a_module_change_what_the_example_tells() -> None:
    steps = [{"reshape": {"from": [3, 1], "to": [3]}}, {"rescale": 0.5}]
    model = PytorchWrapper.from_module(network(), [[1], [2], [4]], preprocess={"input": steps})
    assert model.predict([[[1], [2], [4]]])[0] == pytest.approx(expected(network(), [0.5, 1.0, 2.0]), rel=1e-5)


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_class_of_ones_own_ships_as_source(tmp_path: Path, wrapped: bool) -> None:
    path, module = checkpoint(tmp_path, wrapped=wrapped)
    model = wrapper(path, class_path="net:Net", init={"width": 4}, example=ITEM)
    serialized = stream.dump(model)
    # What a function loads knows nothing of this folder.
    (tmp_path / "net.py").unlink()
    loaded, names = stream.load_and_list(serialized)
    assert not [name for name in names if name.startswith("net")]
    with torch.inference_mode():
        scores = module(torch.tensor([ROW]), torch.tensor([2.0]))["scores"][0].tolist()
    for one in (model, loaded):
        answer = one.predict(ITEM)
        assert set(answer) == OUTPUTS
        assert answer["scores"] == pytest.approx(scores, rel=1e-5)
        assert answer["rest_0"] == int(np.argmax(scores))
        assert answer["rest_1"] == pytest.approx(10 + scores[0], rel=1e-5)


def test_a_class_that_can_be_imported_ships_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = checkpoint(tmp_path)
    library = tmp_path / "library"
    library.mkdir()
    (tmp_path / "net.py").rename(library / "importable_net.py")
    monkeypatch.syspath_prepend(library)
    serialized = stream.dump(wrapper(path, class_path="importable_net:make", example=ITEM))
    (library / "importable_net.py").unlink()
    assert set(stream.load_and_list(serialized)[0].predict(ITEM)) == OUTPUTS


def test_settings_beside_the_checkpoint_and_declared_inputs(tmp_path: Path) -> None:
    path, _ = checkpoint(tmp_path)
    shapes = {
        "features": {"dtype": "float32", "shape": ["batch", 3]},
        "scale": {"dtype": "float32", "shape": ["batch"]},
    }
    settings = {"class_path": "net:make", "inputs": shapes, "postprocess": {"scores": ["softmax"]}}
    (tmp_path / "net.json").write_text(json.dumps(settings))
    answer = wrapper(path).predict(ITEM, {"outputs": "scores"})
    assert sum(answer["scores"]) == pytest.approx(1)


def test_a_module_in_memory(tmp_path: Path) -> None:
    model = PytorchWrapper.from_module(network(), ROW)
    assert stored(model).predict(ROW) == pytest.approx(expected(network(), ROW), rel=1e-5)


def test_a_pickled_module_must_be_trusted(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save(network(), path)
    with pytest.raises(ValueError, match=r"net\.pt, which holds more than weights, runs whatever code .* say --trust"):
        wrapper(path, example=ROW)
    assert wrapper(path, example=ROW, trusted=True).predict(ROW) == pytest.approx(expected(network(), ROW), rel=1e-5)


class Bomb:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("exploded"),))


def test_a_malicious_checkpoint_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"weights": Bomb()}, "net.pt")
    with pytest.raises(ValueError, match="say --trust"):
        wrapper(Path("net.pt"), class_path="net:Net", example=ITEM)
    assert not Path("exploded").exists()


def test_a_program_must_be_trusted(program: Path) -> None:
    with pytest.raises(ValueError, match="say --trust"):
        wrapper(program)


def test_what_cannot_be_loaded_is_refused(tmp_path: Path, program: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save(network().state_dict(), path)
    whole = path.read_bytes()
    for data in (b"", b"no model", whole[: len(whole) // 2]):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"net\.pt cannot be loaded: "):
            wrapper(path, class_path="net:Net", example=ROW)
    path.with_suffix(".pt2").write_bytes(program.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"net\.pt2 cannot be loaded: "):
        wrapper(path.with_suffix(".pt2"), trusted=True)
    with pytest.raises(ValueError, match=r"net\.bin is no \.pt2, \.pt or \.pth file"):
        wrapper(tmp_path / "net.bin")
    with pytest.raises(FileNotFoundError, match="There is no file"):
        wrapper(tmp_path / "missing.pt")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, r"net\.pt holds weights without a class\. Name it, as --set class_path=net:Net with net\.py beside\."),
        ({"class_path": "Net"}, 'class_path "Net": write FILE:NAME'),
        ({"class_path": "other:Net"}, 'class_path "other:Net": write FILE:NAME'),
        ({"class_path": "net:Other"}, r"net\.py has no Other"),
        ({"class_path": "net:torch"}, r"torch of net\.py cannot be made"),
        ({"class_path": "net:Net"}, r"Net of net\.py cannot be made: .*'width'\. Give its arguments as init\."),
        (
            {"class_path": "net:make", "init": {"width": 5}},
            "The weights are not those of make: size mismatch for linear",
        ),
        ({"class_path": "net:Net", "init": 4}, "init is 4. Write an object by the names of the arguments"),
        ({"class_path": "net:make", "batched": "no"}, "batched is 'no'. Write true or false."),
        ({"class_path": "net:make", "inputs": []}, "inputs is .*. Write an object with the type and shape"),
        ({"class_path": "net:make", "example": None}, "Give an item with --example, or declare its inputs"),
        ({"class_path": "net:make", "example": {"features": [1, 2]}}, "The module cannot take the example: "),
        ({"class_path": "net:make", "inputs": {"x": {"dtype": "float32"}}}, "inputs.x: write"),
        (
            {"class_path": "net:make", "inputs": {"features": {"dtype": "float32", "shape": [2, 2]}}},
            "The module cannot take inputs as they are declared: ",
        ),
    ],
)
def test_a_class_that_does_not_fit_is_refused(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    path, _ = checkpoint(tmp_path)
    with pytest.raises(ValueError, match=message):
        wrapper(path, **{"example": ITEM, **settings})


def test_a_source_that_is_none_or_not_alone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "layers.py").write_text("")
    path, _ = checkpoint(tmp_path, source="from layers import Layer")
    with pytest.raises(ValueError, match=r"net\.py imports layers, which stands beside it and would not ship"):
        wrapper(path, class_path="net:Net", example=ITEM)
    (tmp_path / "net.py").write_text("class Net(:")
    with pytest.raises(ValueError, match=r"net\.py is no Python: invalid syntax at line 1"):
        wrapper(path, class_path="net:Net", example=ITEM)


def test_what_the_module_refuses_is_the_callers_error() -> None:
    model = PytorchWrapper.from_module(torch.nn.Embedding(4, 2), 1)
    assert model.tensors.batched
    assert len(model.predict([0, 3])) == 2
    with pytest.raises(InvalidInput, match="The model cannot take this data: index out of range in self"):
        model.predict([0, 4])


def test_a_module_that_sums_over_its_rows_reads_no_batches() -> None:
    class Total(torch.nn.Module):
        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return values.sum()

    model = PytorchWrapper.from_module(Total(), [1.5, 2.0])
    assert not model.tensors.batched
    assert model.predict([1, 2]) == 3
    assert model.predict([[1, 2], [3, 4]]) == [3, 7]


def test_half_precision_is_read_and_answered() -> None:
    for dtype in (torch.bfloat16, torch.float16):
        module = torch.nn.Linear(3, 2).to(dtype)
        shapes = {"input": {"dtype": str(dtype).removeprefix("torch."), "shape": [None, 3]}}
        model = PytorchWrapper.from_module(module, inputs=shapes)
        with torch.inference_mode():
            answer = module(torch.tensor([ROW], dtype=dtype))[0].tolist()
        assert model.predict(ROW) == answer


@pytest.mark.slow
def test_a_graph_takes_over_where_it_answers_alike(tmp_path: Path, program: Path) -> None:
    path, _ = checkpoint(tmp_path)
    own = wrapper(path, class_path="net:make", example=ITEM)
    for model, example in ((own, ITEM), (wrapper(program, trusted=True), ROW)):
        lane = fast_lane.build(model, "auto", "auto", [example])
        assert lane.record.name == "onnxruntime", lane.note
        for count in (1, 2, 7):
            answers = lane.wrapper.predict([example] * count)
            assert np.allclose(_numbers(answers), _numbers(model.predict([example] * count)), rtol=1e-2, atol=1e-2)


def _numbers(answer: Any) -> list[float]:
    if isinstance(answer, dict):
        answer = [answer[name] for name in sorted(answer)]
    return [number for one in answer for number in _numbers(one)] if isinstance(answer, list) else [answer]


@pytest.mark.slow
def test_a_module_without_a_graph_runs_in_torch() -> None:
    class Undecided(torch.nn.Module):
        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return values * 2 if values.sum() > 1 else values

    model = PytorchWrapper.from_module(Undecided(), [1.0, 1.0], batched=False)
    lane = fast_lane.build(model, "auto", "auto", [[1.0, 1.0]])
    assert lane.record.name == "torch"
    assert lane.note.startswith("no fast lane: ")


def test_the_same_model_gives_the_same_revision(tmp_path: Path, repository: Repository, key: SigningKey) -> None:
    path, _ = checkpoint(tmp_path)
    revisions = set()
    for _ in range(2):
        model = wrapper(path, class_path="net:make", example=ITEM)
        published = publish(model, name="m", examples=[ITEM], repository=repository, key=key, engine="torch")
        revisions.add(published.manifest.revision)
    assert len(revisions) == 1


def test_a_manifest_names_the_release_that_reads_an_archive(
    program: Path, repository: Repository, key: SigningKey
) -> None:
    model = wrapper(program, trusted=True)
    published = publish(model, name="m", examples=[ROW], repository=repository, key=key, engine="torch")
    assert published.manifest.packages["torch"] == torch.__version__.partition("+")[0]
    assert published.manifest.memory.load > 3 * program.stat().st_size > published.manifest.memory.model


@pytest.fixture(scope="module")
def function(
    tmp_path_factory: pytest.TempPathFactory, key: SigningKey, trust: Trust, trust_file: Path, program: Path
) -> FamilyFunction:
    """Serves ``own``, from source, ``program``, and ``table``, all in torch."""
    folder = tmp_path_factory.mktemp("pytorch")
    repository = Repository(FolderStore(folder / "store"), trust)
    path, _ = checkpoint(folder)
    labels = {"scores": ["softmax", {"labels": ["a", "b", "c", "d"]}]}
    models: list[tuple[str, PytorchWrapper, Any]] = [
        ("own", wrapper(path, class_path="net:make", example=ITEM, postprocess=labels), ITEM),
        ("program", wrapper(program, trusted=True, max_items=8), ROW),
        ("table", PytorchWrapper.from_module(torch.nn.Embedding(4, 2), 1), 1),
    ]
    for name, model, example in models:
        publish(model, name=name, examples=[example], repository=repository, key=key, engine="torch")
    settings = {"MODEL_STORE": str(folder / "store"), "MODEL_TRUST": str(trust_file)}
    return FamilyFunction(PytorchWrapper, Settings.from_environment(settings))


def test_predicts_over_http(function: FamilyFunction) -> None:
    asked = {"model_name": "own", "data": [ITEM, ITEM], "parameters": {"top_k": 2, "outputs": "scores, rest_0"}}
    response = function.handle(post(asked))
    assert response.status == 200, body(response)
    [answer, other] = body(response)["body"]
    assert answer == other
    assert [set(one) for one in answer["scores"]] == [{"label", "score"}] * 2
    assert set(answer) == {"scores", "rest_0"}


SHAPE = '"input" has the shape (3,)'
FLOAT32 = "Send a number (float32, up to 3.40282e+38)."
INT64 = "Send an integer from -9223372036854775808 to 9223372036854775807."


@pytest.mark.parametrize(
    ("model", "data", "parameters", "message"),
    [
        ("program", [], {}, "data is an empty list. Send at least one item."),
        ("program", {}, {}, 'data lacks "input". The inputs are: "input".'),
        ("program", True, {}, f"data is a boolean; {SHAPE}. Send a list 1 deep."),
        ("program", [1, 2, 3, 4], {}, f"data has 4 values; {SHAPE}. Send 3 here."),
        ("program", [ROW] * 9, {}, "data has 9 items; the limit is 8. Send fewer per request."),
        ("program", [[ROW]], {}, f"data[0] has 1 values; {SHAPE}. Send 3 here."),
        ("program", [ROW, ROW, [1, "x", 3]], {}, f'data[2][1] is "x"; "input" is float32. {FLOAT32}'),
        ("program", [1, 2, -1e39], {}, f'data[2] is -1e+39; "input" is float32. {FLOAT32}'),
        ("program", [1, 2, False], {}, f'data[2] is false; "input" is float32. {FLOAT32}'),
        ("program", ROW, {"top_k": 1}, '"top_k" is no parameter of this model. Its parameters: none.'),
        ("own", ROW, {}, 'data[0] is a number. Send an object with the inputs "features", "scale".'),
        ("own", {"features": ROW}, {}, 'data lacks "scale". The inputs are: "features", "scale".'),
        ("own", ITEM | {"bias": 1}, {}, 'data has no input "bias". The inputs are: "features", "scale".'),
        (
            "own",
            [ITEM, ITEM | {"scale": [1]}],
            {},
            'data[1].scale is a list; "scale" has the shape (). Send a number (float32, up to 3.40282e+38) here.',
        ),
        ("own", ITEM, {"top_k": 1.5}, '"top_k": 1.5 is no integer. Give an integer.'),
        (
            "own",
            ITEM,
            {"outputs": "rest"},
            '"outputs": the model has no output "rest". Its outputs: scores, rest_0, rest_1.',
        ),
        ("table", 1.0, {}, f'data is 1.0; "input" is int64. {INT64}'),
        ("table", [1, 4], {}, "The model cannot take this data: index out of range in self"),
    ],
)
def test_wrong_input_is_refused_in_words(
    function: FamilyFunction, model: str, data: Any, parameters: Any, message: str
) -> None:
    response = function.handle(post({"model_name": model, "data": data, "parameters": parameters}))
    assert (response.status, body(response)["error"]["message"]) == (422, message)
