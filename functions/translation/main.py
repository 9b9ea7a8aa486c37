"""The Cloud Function of the translation family."""

from model_functions.families.translation import TranslationWrapper
from model_functions.http import http_function

predict = http_function(TranslationWrapper)
