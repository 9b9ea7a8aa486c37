"""Runs a module in a family's own environment, with the packages of another one behind: PACKAGES MODULE ARGUMENTS…"""

import runpy
import sys


def main() -> None:
    _, packages, module, *arguments = sys.argv
    # At the end: what the family's environment has, it has from there.
    sys.path.append(packages)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
