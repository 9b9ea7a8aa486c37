"""MLServer over one of the models, through a custom runtime."""

import json

from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse
from models import model


class Served(MLModel):
    async def load(self) -> bool:
        self.model = model()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        first = payload.inputs[0]
        data = StringCodec.decode_input(first) if first.datatype == "BYTES" else NumpyCodec.decode_input(first)
        answers = [one if isinstance(one, str) else json.dumps(one) for one in self.model(data)]
        return InferenceResponse(model_name=self.name, outputs=[StringCodec.encode_output("answers", answers)])
