"""ID tokens: whose they are, verified by Google's certificates, or by Google itself before they come here."""

import base64
import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any

from model_functions.access.identity import LEEWAY_S, Known, unauthenticated
from model_functions.errors import AuthUnavailable
from model_functions.store.connection import Connections

CERTIFICATES_HOST = "https://www.googleapis.com"
CERTIFICATES_PATH = "/oauth2/v1/certs"
ISSUERS = ("https://accounts.google.com", "accounts.google.com")

#: Seconds for which certificates count. Google announces a new one days before it signs by it.
CERTIFICATES_S = 3600.0
#: Seconds for which they count on where they cannot be read again.
LAST_GOOD_S = 86400.0
#: Seconds between two readings, whatever comes.
INTERVAL_S = 60.0
PATIENCE_S = 5.0

#: What Cloud Run puts in the place of the signature of a token that it has checked.
REMOVED = "SIGNATURE_REMOVED_BY_GOOGLE"

#: Tokens whose verification is remembered.
MOST = 1000
MAX_CHARACTERS = 8192

log = logging.getLogger(__name__)
