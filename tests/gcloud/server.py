"""Runs by gcloud's own Python: ``server.py SDK SOCKET``. Imports gcloud, and forks for each command that is asked.

What a command has imported besides, is imported here behind it, so that the next one finds it.
"""

import atexit
import contextlib
import importlib
import json
import os
import select
import signal
import socket
import sys
import threading
import traceback

MOST = 1 << 20


def main(sdk: str, address: str) -> None:
    # As gcloud.py does.
    sys.path[:0] = [os.path.join(sdk, "lib", "third_party"), os.path.join(sdk, "lib")]  # noqa: PTH118
    from googlecloudsdk import gcloud_main

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    learning, telling = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen(64)
        print("ready", flush=True)
        while True:
            ready, _, _ = select.select([sys.stdin, server, learning], [], [])
            if sys.stdin in ready:
                return
            if server in ready:
                caller, _ = server.accept()
                if os.fork() == 0:
                    server.close()
                    learning.close()
                    _run(gcloud_main, sdk, caller, telling)
                caller.close()
            elif learning in ready:
                _learn(learning.recv(MOST).decode().split())


def _run(gcloud_main: object, sdk: str, caller: socket.socket, telling: socket.socket) -> None:
    """Ends the process as gcloud does."""
    known = set(sys.modules)
    data, files, _, _ = socket.recv_fds(caller, MOST, 3)
    asked = json.loads(data)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv[:] = [os.path.join(sdk, "lib", "gcloud.py"), *asked["arguments"]]  # noqa: PTH118
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(caller,), daemon=True).start()
    status: object = 1
    try:
        status = gcloud_main.main()  # type: ignore[attr-defined]
    except SystemExit as end:
        status = end.code
    except BaseException:  # noqa: BLE001 - told as Python tells it
        traceback.print_exc()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    with contextlib.suppress(OSError):  # too many for a datagram
        telling.send("\n".join(sys.modules.keys() - known).encode())
    caller.send(str(status if isinstance(status, int) else int(status is not None)).encode())
    os._exit(0)


def _end_with(caller: socket.socket) -> None:
    """The caller says nothing more: whoever reads the end of it, reads that it was ended."""
    if not caller.recv(1):
        os.kill(os.getpid(), signal.SIGTERM)


def _learn(modules: list[str]) -> None:
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception:  # noqa: BLE001 - the next command will import what it needs itself
            continue


if __name__ == "__main__":
    main(*sys.argv[1:])
