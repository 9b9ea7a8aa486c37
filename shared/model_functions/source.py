"""What a publisher points at, told by its bytes and its documents: nothing of it has been run or unpickled."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Source:
    """A model where it stands.

    Args:
        location: as a family's ``from_source`` takes it: a path, or a Hub id.
        format: ``huggingface``, ``sentence_transformers``, ``pickle``, ``skops``, ``onnx``, ``torch_export``,
            ``torchscript``, ``torch_pickle``, ``keras``, ``hdf5``, ``saved_model``, ``mar``, ``wrapper`` (a folder
            with a wrapper.py), or ``unknown``.
        evidence: what says so, as ``its first bytes are an HDF5 file's``.
        path: of the file or folder; None for a Hub id.
        config: what a Hugging Face model's config.json holds.
        task: what its model card calls it (``pipeline_tag``), where it has one.
        names: what a pickle names without being loaded, as ``sklearn.svm._classes:SVC``.
    """

    location: str
    format: str
    evidence: str
    path: Path | None = None
    config: dict[str, Any] = field(default_factory=dict)
    task: str | None = None
    names: tuple[str, ...] = ()

    @property
    def architecture(self) -> str:
        """The class that config.json names, as ``BertForTokenClassification``."""
        return next(iter(self.config.get("architectures") or ()), "")

    @property
    def model_type(self) -> str:
        return str(self.config.get("model_type", ""))
