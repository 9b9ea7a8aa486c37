"""``python -m deploy VERB``: one module a verb."""

import argparse
import importlib
import sys
from types import ModuleType

from model_functions.errors import Conflict, ServingError

#: In the order of use. Each is a module here with ``add_arguments``, ``run`` and an ``EXAMPLE``.
VERBS = (
    "train",
    "publish",
    "models",
    "verify",
    "evaluate",
    "promote",
    "rollback",
    "keys",
    "lock",
    "audit",
    "stage",
    "bootstrap",
    "doctor",
    "release",
    "warmup",
    "status",
    "emulate",
    "batch",
)


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    args = _parser(arguments).parse_args(arguments, argparse.Namespace(arguments=arguments))
    try:
        status: int | None = args.run(args)
    except Conflict as error:
        print(f"conflict: {error}", file=sys.stderr)
        return 1
    except (ServingError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return status or 0


def _parser(arguments: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy", description="Publish models and run their functions.")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    # What a verb imports takes up to a second: all are asked only for the list.
    for verb in [verb for verb in VERBS if verb in arguments[:1]] or VERBS:
        module: ModuleType = importlib.import_module(f"deploy.{verb}")
        text = (module.__doc__ or "").strip()
        verb_parser = verbs.add_parser(
            verb,
            help=text.splitlines()[0],
            description=text,
            epilog=f"example:\n  {module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(verb_parser)
        verb_parser.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
