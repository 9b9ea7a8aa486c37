"""Whether a revision answers its own sample as it did when it was published: asked before it takes another's place."""

import ctypes
import threading
from typing import Any

from model_functions.artifact.manifest import Manifest
from model_functions.errors import SelfTestFailed, SelfTestHangs
from model_functions.predictions import as_json, same_answer
from model_functions.wrapper import ModelWrapper

#: Seconds after which a sample counts as never answered.
PATIENCE_S = 60
#: Seconds in which a thread that was told to end must do so.
_ENDING_S = 1.0


class SelfTest:
    """Asks a wrapper its sample, in a thread that may be given up."""

    def __init__(self, wrapper: ModelWrapper, manifest: Manifest) -> None:
        self._wrapper: ModelWrapper | None = wrapper
        self._manifest = manifest
        self._answer: dict[str, Any] = {}
        self._raised: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="self-test", daemon=True)

    def check(self, expected: dict[str, Any], patience_s: float = PATIENCE_S) -> None:
        """Waits for the answer. Raises SelfTestFailed.

        Args:
            expected: what was recorded, as model_functions.predictions has it; {} where nothing was.
        """
        self._thread.start()
        # In steps: an instance without requests may be frozen for hours, which count as one of them.
        for _ in range(10):
            self._thread.join(patience_s / 10)
        name, revision = self._manifest.name, self._manifest.revision
        if self._thread.is_alive():
            raise self._given_up(f"Revision {revision} of {name} does not answer its sample within {patience_s:g} s.")
        if self._raised is not None:
            kind = type(self._raised).__name__
            failure = f"Revision {revision} of {name} fails on its sample ({kind}). The function's log has the reason."
            raise SelfTestFailed(failure) from self._raised
        if same_answer(expected, self._answer, self._manifest.here.engine.tolerance) is False:
            raise SelfTestFailed(f"Revision {revision} of {name} answers its sample otherwise than when published.")

    def _run(self) -> None:
        assert self._wrapper is not None  # noqa: S101 - a thread runs once
        try:
            self._answer = {"prediction": as_json(self._wrapper.predict(self._manifest.examples[0]))}
        except BaseException as exc:  # noqa: BLE001 - a model may raise anything, SystemExit included
            self._raised = exc
        self._wrapper = None

    def _given_up(self, why: str) -> SelfTestHangs:
        """Ends the thread where it runs Python; what hangs in native code holds the model for ever."""
        thread = ctypes.c_ulong(self._thread.ident or 0)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(SystemExit))
        self._thread.join(_ENDING_S)
        self._raised = None
        return SelfTestHangs(why, ended=not self._thread.is_alive())
