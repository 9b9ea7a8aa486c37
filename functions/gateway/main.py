"""The Cloud Function without a model: the front page, and /predict for every family."""

from model_functions.http import gateway_function

predict = gateway_function()
