"""The Cloud Function of the pytorch family."""

from model_functions.families.pytorch import PytorchWrapper
from model_functions.http import http_function

predict = http_function(PytorchWrapper)
