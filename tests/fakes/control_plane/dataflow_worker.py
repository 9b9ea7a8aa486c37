"""Runs a pipeline as it was staged for Dataflow, with what is installed where this process finds it.

``python -P dataflow_worker.py PIPELINE``; prints what was counted, as JSON.
"""

import json
import sys
from pathlib import Path

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner


def main() -> None:
    pipeline = beam_runner_api_pb2.Pipeline.FromString(Path(sys.argv[1]).read_bytes())
    for environment in pipeline.components.environments.values():
        # A container of Beam's has the same Beam as this process.
        environment.urn, environment.payload = python_urns.EMBEDDED_PYTHON, b""
        del environment.dependencies[:]
    result = FnApiRunner().run_via_runner_api(pipeline, PipelineOptions(flags=[]))
    result.wait_until_finish()
    counters = result.metrics().query()["counters"]
    told = [
        {"namespace": one.key.metric.namespace, "name": one.key.metric.name, "step": one.key.step, "value": one.result}
        for one in counters
    ]
    print(json.dumps(told))


if __name__ == "__main__":
    main()
