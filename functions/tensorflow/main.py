"""The Cloud Function of the tensorflow family."""

from model_functions.families.tensorflow import TensorflowWrapper
from model_functions.http import http_function

predict = http_function(TensorflowWrapper)
