"""The control plane by hand: prints the exports by which a shell's gcloud reaches it, until Ctrl-C."""

import argparse
import shlex
import threading

from tests.fakes.control_plane import ControlPlane
from tests.fakes.control_plane.build_steps import Here


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.control_plane", description=__doc__)
    parser.add_argument("--project", default="demo-project")
    parser.add_argument(
        "--run-builds", action="store_true", help="run the steps of submitted builds here, with what is installed here"
    )
    arguments = parser.parse_args()
    with ControlPlane(arguments.project) as plane:
        plane.builds.here = Here() if arguments.run_builds else None
        for name, value in plane.environment.items():
            print(f"export {name}={shlex.quote(value)}")
        print("# Paste these into a shell; then: python -m deploy bootstrap", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print(f"# {len(plane.requests)} requests answered.")


if __name__ == "__main__":
    main()
