"""The table of who is measured: what is executed, and what it is asked."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from deploy.project import ROOT
from tests.benchmarks import words
from tests.benchmarks.cold.places import PEERS, TUTORIAL_FILE
from tests.benchmarks.environments import environment
from tests.benchmarks.functions import framework, programs, stage_once
from tests.benchmarks.launch import Launch
from tests.benchmarks.places import FUNCTIONS, MODELS, TRUST

BARE, TORCH, FAST, TUTORIAL = "bare", "torch lane", "fast lane", "tutorial"
#: What a publisher takes for whom the start counts more than what follows.
SOONER = "fast lane, onnxruntime"
QUARTER_TORCH, QUARTER_FAST = "torch lane, 1/4", "fast lane, 1/4"
PEER_NAMES = ("LitServe", "BentoML", "MLServer")


@dataclass(frozen=True)
class Contender:
    """One row of the table.

    Args:
        what: the model that it serves, for people.
        published: its model's name in the bucket; None for those that read the local disk.
        family: whose function serves it, when it is ours.
    """

    name: str
    what: str
    published: str | None = None
    family: str | None = None


TABLE = (
    Contender(BARE, "nothing"),
    Contender(FAST, "classifier", "bert_fast", "token_classification"),
    Contender(SOONER, "classifier", "bert_onnxruntime", "token_classification"),
    Contender(TORCH, "classifier", "bert_torch", "token_classification"),
    Contender(TUTORIAL, "classifier"),
    *(Contender(peer, "classifier") for peer in PEER_NAMES),
    Contender(QUARTER_FAST, "small classifier", "quarter_fast", "token_classification"),
    Contender(QUARTER_TORCH, "small classifier", "quarter_torch", "token_classification"),
    Contender("generator", "generator", "generator", "summarization"),
    Contender("tabular", "tabular", "wine", "tabular"),
)


def launch(contender: Contender, bucket: dict[str, str], examples: dict[str, Any]) -> Launch:
    """How the contender is started. Raises RuntimeError with the reason why it cannot be.

    Args:
        bucket: the environment that leads to the bucket.
        examples: by the published names.
    """
    if contender.published is not None and contender.family is not None:
        example = examples[contender.published]
        return _ours(contender.family, contender.published, example, bucket)
    return _OTHERS[contender.name]()


def _ours(family: str, name: str, example: Any, bucket: dict[str, str]) -> Launch:
    settings = bucket | {"MODEL_TRUST": str(TRUST), "MODEL_NAME": name}
    command = framework(stage_once(family) / "main.py", programs(family))
    return Launch(command, FUNCTIONS, "/predict", _json(data=example), settings)


def _bare() -> Launch:
    command = framework(PEERS / "bare" / "main.py", programs("token_classification"))
    return Launch(command, FUNCTIONS, "/", b"{}")


def _tutorial() -> Launch:
    # The wrapper's class is found by its place in the project.
    settings = _OFFLINE | {"MODEL_FILE": str(TUTORIAL_FILE), "PYTHONPATH": str(ROOT)}
    command = framework(PEERS / "tutorial" / "main.py", environment(PEERS / "tutorial"))
    return Launch(command, FUNCTIONS, "/", _text(), settings)


def _litserve() -> Launch:
    server = str(PEERS / "litserve" / "server.py")
    command = [str(environment(PEERS / "litserve") / "python"), server, "{port}"]
    return Launch(command, FUNCTIONS, "/predict", _text(), _FROM_FOLDER)


def _bentoml() -> Launch:
    command = [
        *(str(environment(PEERS / "bentoml") / "bentoml"), "serve", "service:Classifier"),
        *("--working-dir", str(PEERS / "bentoml"), "--host", "127.0.0.1", "--port", "{port}"),
    ]
    quiet = {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(MODELS / "bentoml")}
    return Launch(command, FUNCTIONS, "/predict", _text(), _FROM_FOLDER | quiet)


def _mlserver() -> Launch:
    command = [str(environment(PEERS / "mlserver") / "mlserver"), "start", str(PEERS / "mlserver")]
    ports = {
        "MLSERVER_HTTP_PORT": "{port}",
        "MLSERVER_GRPC_PORT": "{port+1}",
        "MLSERVER_METRICS_PORT": "{port+2}",
    }
    text = {"name": "text", "shape": [1], "datatype": "BYTES", "data": [words.text()]}
    return Launch(command, FUNCTIONS, "/v2/models/classifier/infer", _json(inputs=[text]), _FROM_FOLDER | ports)


_OTHERS: dict[str, Callable[[], Launch]] = {
    BARE: _bare,
    TUTORIAL: _tutorial,
    "LitServe": _litserve,
    "BentoML": _bentoml,
    "MLServer": _mlserver,
}
# None of them may look for its model elsewhere.
_OFFLINE = {"HF_HUB_OFFLINE": "1"}
_FROM_FOLDER = _OFFLINE | {"MODEL_FOLDER": str(MODELS / "bert")}


def _text() -> bytes:
    return _json(text=words.text())


def _json(**body: Any) -> bytes:
    return json.dumps(body).encode()
