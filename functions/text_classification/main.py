"""The Cloud Function of the text_classification family."""

from model_functions.families.text_classification import TextClassificationWrapper
from model_functions.http import http_function

predict = http_function(TextClassificationWrapper)
