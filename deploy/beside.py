"""Runs a module in a family's own environment, with the packages of another one behind: PACKAGES MODULE ARGUMENTS…"""

import os
import runpy
import sys

#: The variable that names those packages, for processes that this one starts.
PACKAGES = "PACKAGES_BEHIND"


def main() -> None:
    _, packages, module, *arguments = sys.argv
    # At the end: what the family's environment has, it has from there.
    sys.path.append(packages)
    os.environ[PACKAGES] = packages
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
