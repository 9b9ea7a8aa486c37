"""The table of who is measured with which model: what is executed, and how it is asked."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.emulator.function import flags_environment
from deploy.project import ROOT
from tests.benchmarks.environments import environment_with
from tests.benchmarks.functions import framework, programs, stage_once
from tests.benchmarks.launch import Launch
from tests.benchmarks.places import FUNCTIONS, MODELS, TRUST
from tests.benchmarks.warm import protocols, texts
from tests.benchmarks.warm.items import Item
from tests.benchmarks.warm.places import CLASSIFIER, PEERS, TUTORIAL_FILE, WINE_FILE
from tests.benchmarks.warm.protocols import Protocol
from tests.benchmarks.warm.settings import ALONE, Settings, best

CLASSIFIER_MODEL, WINE, NOTHING = "classifier", "wine", "nothing"
MODELS_SERVED = (CLASSIFIER_MODEL, NOTHING, WINE)
#: Which items each model is asked.
KINDS = {CLASSIFIER_MODEL: (texts.FIXED, texts.MIXED), WINE: ("wine",), NOTHING: ("nothing",)}

OURS_FP32, OURS_AUTO, OURS = "ours fp32", "ours auto", "ours"
TUTORIAL, ECHO_FLASK, ECHO_ASGI = "tutorial", "echo, Flask", "echo, ASGI"
ECHO = {"Flask": ECHO_FLASK, "ASGI": ECHO_ASGI}
#: What a function's name has after it that is served by the edge that it is not deployed with.
OTHER_EDGE = ", other edge"
LITSERVE, BENTOML, MLSERVER = "LitServe", "BentoML", "MLServer"
PEERS_NAMED = (LITSERVE, BENTOML, MLSERVER)
#: Says to functions-framework, and to our functions, that they are served by ASGI.
_EDGE = "FUNCTION_USE_ASGI"
FUNCTION = {CLASSIFIER_MODEL: "text_classification", NOTHING: "text_classification", WINE: "tabular"}

_ESTIMATORS = {
    "scikit-learn": "1.9.1",
    "joblib": "1.6.0",
    "scipy": "1.17.1",
    "threadpoolctl": "3.8.0",
    "narwhals": "2.28.0",
}
_PROTOCOLS = {LITSERVE: protocols.LITSERVE, BENTOML: protocols.BENTOML, MLSERVER: protocols.MLSERVER}


@dataclass(frozen=True)
class Contender:
    """One row of the table.

    Args:
        model: which of MODELS_SERVED.
        precision: which of judging.TOLERANCE.
        published: its model's name in the bucket; None for those that read the local disk.
    """

    name: str
    model: str
    protocol: Protocol
    precision: str = "fp32"
    published: str | None = None

    @property
    def is_extra(self) -> bool:
        """Whether it is measured only where it is named."""
        return self.name.endswith(OTHER_EDGE)


def _peers(model: str) -> list[Contender]:
    return [Contender(peer, model, _PROTOCOLS[peer]) for peer in PEERS_NAMED]


_OURS = (
    Contender(OURS_FP32, CLASSIFIER_MODEL, protocols.OURS, "fp32", "classifier_fp32"),
    Contender(OURS_AUTO, CLASSIFIER_MODEL, protocols.OURS, "auto", "classifier_auto"),
    Contender(OURS, NOTHING, protocols.OURS, published="nothing"),
    Contender(OURS, WINE, protocols.OURS, published="wine"),
)

TABLE = (
    *_OURS,
    *(replace(one, name=one.name + OTHER_EDGE) for one in _OURS),
    *_peers(CLASSIFIER_MODEL),
    # The one that adds least to its model: what a user gets who loads the same weights in bf16.
    Contender(f"{MLSERVER} bf16", CLASSIFIER_MODEL, protocols.MLSERVER, "bf16"),
    Contender(TUTORIAL, CLASSIFIER_MODEL, protocols.TUTORIAL),
    Contender(ECHO_FLASK, NOTHING, protocols.ECHO),
    Contender(ECHO_ASGI, NOTHING, protocols.ECHO),
    *_peers(NOTHING),
    *_peers(WINE),
)


def launch(contender: Contender, bucket: Mapping[str, str], first: Item, given: Settings | None = None) -> Launch:
    """How the contender is started. Raises RuntimeError with the reason why it cannot be.

    Args:
        bucket: the environment that leads to the bucket.
        first: what it is asked until it answers.
        given: another server's settings, instead of the best ones.
    """
    command, variables = _how(contender, bucket, given)
    return Launch(command, FUNCTIONS, contender.protocol.path, contender.protocol.body(first), variables)


def _how(contender: Contender, bucket: Mapping[str, str], given: Settings | None) -> tuple[list[str], dict[str, str]]:
    if contender.published is not None:
        return _ours(contender, contender.published, bucket)
    if contender.name == TUTORIAL:
        return _tutorial()
    if contender.name in (ECHO_FLASK, ECHO_ASGI):
        return _echo("ASGI" if contender.name == ECHO_ASGI else "Flask")
    peer = contender.name.partition(" ")[0]
    chosen = best(peer, contender.model) if given is None else {**ALONE, **given}
    return _PEERS[peer](_variables(contender, chosen))


def _ours(contender: Contender, published: str, bucket: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """As it is deployed: the family's own edge, and the variables of its flags.yaml."""
    family = FUNCTION[contender.model]
    folder = stage_once(family)
    given = {**bucket, "MODEL_TRUST": str(TRUST), "MODEL_NAME": published}
    edge = deployed_edge(contender.model)
    if contender.name.endswith(OTHER_EDGE):
        edge = "Flask" if edge == "ASGI" else "ASGI"
    return framework(folder / "main.py", programs(family)), _variables_of(family, edge) | given


def deployed_edge(model: str) -> str:
    """``Flask`` or ``ASGI``, as the flags of the function that serves the model say."""
    return "ASGI" if flags_environment(FUNCTION[model]).get(_EDGE) else "Flask"


def _variables_of(family: str, edge: str) -> dict[str, str]:
    """Those of its flags.yaml, for either edge; who asks, nobody asks here, as no other contender does."""
    flags = {name: value for name, value in flags_environment(family).items() if name not in (_EDGE, "ACCESS")}
    return flags | ({_EDGE: "true"} if edge == "ASGI" else {})


def _tutorial() -> tuple[list[str], dict[str, str]]:
    # The wrapper's class is found by its place in the project.
    given = _OFFLINE | {"MODEL_FILE": str(TUTORIAL_FILE), "PYTHONPATH": str(ROOT)}
    return framework(PEERS / "tutorial" / "main.py", _programs("tutorial")), given


def _echo(edge: str) -> tuple[list[str], dict[str, str]]:
    command = framework(PEERS / "bare" / "main.py", programs(FUNCTION[NOTHING]), f"{edge.lower()}_echo")
    return command, _variables_of(FUNCTION[NOTHING], edge)


def _litserve(given: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    return [str(_programs("litserve") / "python"), str(PEERS / "litserve" / "server.py"), "{port}"], given


def _bentoml(given: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    command = [
        *(str(_programs("bentoml") / "bentoml"), "serve", "service:Served"),
        *("--working-dir", str(PEERS / "bentoml"), "--host", "127.0.0.1", "--port", "{port}"),
    ]
    return command, given | {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(MODELS / "bentoml")}


def _mlserver(given: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    more = {
        "MLSERVER_HTTP_PORT": "{port}",
        "MLSERVER_GRPC_PORT": "{port+1}",
        "MLSERVER_METRICS_PORT": "{port+2}",
        "MLSERVER_PARALLEL_WORKERS": given["WORKERS"],
        "MLSERVER_MODEL_MAX_BATCH_SIZE": "0" if given["BATCH"] == "1" else given["BATCH"],
        "MLSERVER_MODEL_MAX_BATCH_TIME": str(int(given["BATCH_MS"]) / 1000),
    }
    return [str(_programs("mlserver") / "mlserver"), "start", str(PEERS / "mlserver")], given | more


_PEERS = {LITSERVE: _litserve, BENTOML: _bentoml, MLSERVER: _mlserver}
# None of them may look for its model elsewhere.
_OFFLINE = {"HF_HUB_OFFLINE": "1"}


def _variables(contender: Contender, chosen: Settings) -> dict[str, str]:
    return {
        **_OFFLINE,
        **chosen,
        "OMP_NUM_THREADS": chosen["MODEL_THREADS"],
        "PRECISION": contender.precision,
        "MODEL_KIND": contender.model,
        "MODEL_FOLDER": str(CLASSIFIER),
        "WINE_FILE": str(WINE_FILE),
        "PYTHONPATH": str(PEERS),
    }


def _programs(peer: str) -> Path:
    """Those of the cold benchmark, and scikit-learn."""
    return environment_with(PEERS.parents[1] / "cold" / "peers" / peer, _ESTIMATORS)
