"""Commands of ``python -m deploy`` in one process, which imports Beam once: each a line of JSON, each answered by one.

``python -m tests.deploy.batch.dataflow.commands KEY``, the file with a laptop's own key.
"""

import contextlib
import io
import json
import sys
import traceback
from pathlib import Path

from deploy import publisher
from deploy.__main__ import main
from deploy.batch import beam

#: Seconds between two looks at a job, which here ends sooner than on Google's machines.
LOOK_S = 0.2


def answer(arguments: list[str]) -> dict[str, object]:
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        try:
            status = main(arguments)
        except BaseException:  # noqa: BLE001 - the test tells of it
            traceback.print_exc()
            status = -1
    return {"status": status, "out": out.getvalue(), "err": errors.getvalue()}


if __name__ == "__main__":
    publisher.LOCAL_KEY = Path(sys.argv[1])
    beam.enter()
    from deploy.batch.dataflow import following

    following.LOOK_S = LOOK_S
    if len(sys.argv) > 2:
        sys.exit(main(sys.argv[2:]))
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)
