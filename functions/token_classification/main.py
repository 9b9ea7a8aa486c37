"""The Cloud Function of the token_classification family."""

from model_functions.families.token_classification import TokenClassificationWrapper
from model_functions.http import http_function

predict = http_function(TokenClassificationWrapper)
