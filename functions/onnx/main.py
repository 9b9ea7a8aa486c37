"""The Cloud Function of the onnx family."""

from model_functions.families.onnx import OnnxWrapper
from model_functions.http import http_function

predict = http_function(OnnxWrapper)
