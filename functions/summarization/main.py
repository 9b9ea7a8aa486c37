"""The Cloud Function of the summarization family."""

from model_functions.families.summarization import SummarizationWrapper
from model_functions.http import http_function

predict = http_function(SummarizationWrapper)
