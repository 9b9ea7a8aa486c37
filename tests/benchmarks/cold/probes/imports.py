"""The bare import of a lane's packages in a fresh process; prints its wall and CPU seconds as JSON.

Its arguments are statements.
"""

import json
import sys
import time


def main() -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    for statement in sys.argv[1:]:
        exec(statement, {})
    print(json.dumps({"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}))


if __name__ == "__main__":
    main()
