"""The Cloud Function of the image_classification family."""

from model_functions.families.image_classification import ImageClassificationWrapper
from model_functions.http import http_function

predict = http_function(ImageClassificationWrapper)
