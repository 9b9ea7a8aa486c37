"""The program: hands over to the server at ``SOCKET``, which is defined above it, and ends as its command does."""

import json
import os
import signal
import socket
import sys

# Whoever is ended ends the command too, which sees that nobody is there any more.
signal.signal(signal.SIGINT, signal.SIG_DFL)
asked = {"arguments": sys.argv[1:], "environment": dict(os.environ), "folder": os.getcwd()}  # noqa: PTH109 - pathlib takes longer to import than all else
with socket.socket(socket.AF_UNIX) as server:
    server.connect(SOCKET)  # type: ignore[name-defined]  # noqa: F821
    socket.send_fds(server, [json.dumps(asked).encode()], [0, 1, 2])
    status = server.recv(4)
sys.exit(int(status) if status else 1)
