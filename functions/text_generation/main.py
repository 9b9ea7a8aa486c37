"""The Cloud Function of the text_generation family."""

from model_functions.families.text_generation import TextGenerationWrapper
from model_functions.http import http_function

predict = http_function(TextGenerationWrapper)
