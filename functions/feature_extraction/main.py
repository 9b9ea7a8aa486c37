"""The Cloud Function of the feature_extraction family."""

from model_functions.families.feature_extraction import FeatureExtractionWrapper
from model_functions.http import http_function

predict = http_function(FeatureExtractionWrapper)
