"""What TorchServe gives a handler: its base class, its context, its label mapping; without TorchServe."""

import importlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


class Context:
    """What ``initialize`` and ``handle`` are told.

    Args:
        manifest: of the archive.
        model_dir: where its files are while the handler is initialized.
    """

    def __init__(self, manifest: dict[str, Any], model_dir: str) -> None:
        self.manifest = manifest
        self.system_properties = {"model_dir": model_dir, "gpu_id": None, "batch_size": 1, "server_name": "MMS"}
        self.model_name = manifest.get("model", {}).get("modelName", "")
        self.model_yaml_config: dict[str, Any] = {}
        self.metrics = Metrics()
        self._status = (200, "")

    def get_request_header(self, index: int, key: str) -> str | None:
        return None

    def get_all_request_header(self, index: int) -> dict[str, str]:
        return {}

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:
        self._status = (int(code), phrase)

    def set_response_content_type(self, index: int, value: str) -> None:
        """Answers are JSON."""

    def take_status(self) -> tuple[int, str]:
        """What the handler has set for this request, once."""
        status, self._status = self._status, (200, "")
        return status


class Metrics:
    """Takes a handler's metrics and keeps none: the function has its own."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("add_"):
            return lambda *_, **__: None
        raise AttributeError(name)


class BaseHandler:
    """TorchServe's ``ts.torch_handler.base_handler.BaseHandler``, on the CPU."""

    def __init__(self) -> None:
        self.model: Any = None
        self.mapping: dict[str, Any] | None = None
        self.device: Any = None
        self.initialized = False
        self.context: Any = None
        self.manifest: dict[str, Any] = {}
        self.map_location = "cpu"

    def initialize(self, context: Any) -> None:
        folder = Path(context.system_properties["model_dir"])
        self.context, self.manifest = context, context.manifest
        self.device = torch.device("cpu")
        model = self.manifest["model"]
        path = folder / model["serializedFile"]
        if model.get("modelFile"):
            self.model = self._load_pickled_model(str(folder), model["modelFile"], str(path))
        else:
            self.model = self._load_torchscript_model(str(path))
        self.model.to(self.device).eval()
        self.mapping = load_label_mapping(str(folder / "index_to_name.json"))
        self.initialized = True

    def _load_torchscript_model(self, model_pt_path: str) -> Any:
        return torch.jit.load(model_pt_path, map_location="cpu")  # type: ignore[no-untyped-call]

    def _load_pickled_model(self, model_dir: str, model_file: str, model_pt_path: str) -> Any:
        package = type(self).__module__.rpartition(".")[0]
        module = importlib.import_module(f"{package}.{Path(model_file).stem}")
        classes = [
            value
            for value in vars(module).values()
            if isinstance(value, type) and issubclass(value, torch.nn.Module) and value.__module__ == module.__name__
        ]
        if len(classes) != 1:
            raise ValueError(f"{model_file} has {len(classes)} modules. TorchServe wants one.")
        model = classes[0]()
        model.load_state_dict(torch.load(model_pt_path, map_location="cpu", weights_only=True))
        return model

    def preprocess(self, data: Any) -> Any:
        return torch.as_tensor([row.get("data") or row.get("body") for row in data], device=self.device)

    def inference(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        with torch.inference_mode():
            return self.model(data.to(self.device), *args, **kwargs)

    def postprocess(self, data: Any) -> Any:
        return data.tolist()

    def handle(self, data: Any, context: Any) -> Any:
        return self.postprocess(self.inference(self.preprocess(data)))


def load_label_mapping(mapping_file_path: str) -> dict[str, Any] | None:
    """The archive's index_to_name.json; None where it has none."""
    path = Path(mapping_file_path)
    if not path.is_file():
        return None
    mapping: dict[str, Any] = json.loads(path.read_text())
    return mapping


def map_class_to_label(probs: Any, mapping: dict[str, Any] | None = None, lbl_classes: Any = None) -> list[Any]:
    """A list of rows of probabilities as ``{label: probability}``."""
    classes = lbl_classes if lbl_classes is not None else [range(len(row)) for row in probs]
    return [
        {_label(mapping, index): value for index, value in zip(indexes, row, strict=True)}
        for indexes, row in zip(classes, probs, strict=True)
    ]


def _label(mapping: dict[str, Any] | None, index: int) -> str:
    label = (mapping or {}).get(str(index), str(index))
    return str(label[-1] if isinstance(label, list) else label)


class Stored:
    """A handler as it is pickled: TorchScript modules, which cannot be, as their archives' bytes."""

    def __init__(self, handler: Any, scripts: dict[str, NDArray[np.uint8]]) -> None:
        self.handler = handler
        self.scripts = scripts

    def restored(self) -> Any:
        for name, data in self.scripts.items():
            module = torch.jit.load(io.BytesIO(data.tobytes()), map_location="cpu")  # type: ignore[no-untyped-call]
            setattr(self.handler, name, module.eval())
        return self.handler


def stored(handler: Any) -> Stored:
    """The handler without its TorchScript modules, and those."""
    state = dict(getattr(handler, "__dict__", {}))
    scripts = {name: value for name, value in state.items() if isinstance(value, torch.jit.ScriptModule)}
    if not scripts:
        return Stored(handler, {})
    bare = object.__new__(type(handler))
    vars(bare).update({name: value for name, value in state.items() if name not in scripts})
    return Stored(bare, {name: _bytes(module) for name, module in scripts.items()})


def _bytes(module: Any) -> NDArray[np.uint8]:
    buffer = io.BytesIO()
    torch.jit.save(module, buffer)
    return np.frombuffer(buffer.getvalue(), dtype=np.uint8)
