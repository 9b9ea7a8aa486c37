"""gcloud without its start, which takes ten times as long as most of its commands.

A process has imported it, and whatever the commands so far have imported; each command is a fork of that. Everything
else is as it would be: the caller runs a program ``gcloud`` with arguments, an environment, a folder, files and an exit
status, and may end it.
"""

import atexit
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


@functools.cache
def folder() -> Path:
    """Holds the program; to be put before the others of ``PATH``. Where there is no gcloud, it is empty.

    The server ends with this process, which holds the other end of its input.
    """
    made = Path(tempfile.mkdtemp(prefix="gcloud-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    if shutil.which("gcloud") is None:
        return made
    told = subprocess.run(["gcloud", "info", "--format=json"], capture_output=True, text=True, check=True)
    basic, root = json.loads(told.stdout)["basic"], json.loads(told.stdout)["installation"]["sdk_root"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CLOUDSDK"))}
    server = subprocess.Popen(
        [basic["python_location"], "-S", str(HERE / "server.py"), root, str(made / "socket")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
    _ENDS.append(server)
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n", "gcloud's own Python has not imported it"
    program = made / "gcloud"
    program.write_text(f"#!{sys.executable} -SI\nSOCKET = {str(made / 'socket')!r}\n{(HERE / 'client.py').read_text()}")
    program.chmod(0o755)
    return made


#: Kept, or their ends of the pipes would be closed.
_ENDS: list["subprocess.Popen[bytes]"] = []
