"""The Cloud Function of the tabular family."""

from model_functions.families.tabular import TabularWrapper
from model_functions.http import http_function

predict = http_function(TabularWrapper)
