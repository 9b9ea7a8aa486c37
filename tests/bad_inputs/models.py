"""What a model may do that is no prediction; tests/torture/models/raising.py does as it is told here."""

from tests.bad_inputs.entries import Asked

STEPS = ("preprocess", "forward", "postprocess")
RAISED = (
    *("exit", "KeyboardInterrupt", "GeneratorExit", "StopIteration", "CancelledError", "TimeoutError"),
    *("ConnectionResetError", "RecursionError", "MemoryError", "BaseExceptionGroup", "Unspeakable"),
)
ANSWERS = ("NaN", "bytes", "set", "surrogate", "itself")

#: Milliseconds of the deadline, and seconds that the model takes.
DEADLINE_MS, ASLEEP_S = 150, 0.4

FAILURES = [
    *(Asked(f"C089 {step}: {what}", f"{step} {what}", "model_error") for step in STEPS for what in RAISED),
    *(Asked(f"D600 an answer that is {what}", f"answer {what}", "model_error") for what in ANSWERS),
    Asked(
        "C090 it sleeps too long",
        f"forward {ASLEEP_S}",
        "deadline_exceeded",
        headers={"x-request-timeout-ms": str(DEADLINE_MS)},
    ),
]
