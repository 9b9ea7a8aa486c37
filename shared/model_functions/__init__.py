"""Model Functions: trained models served as plain Cloud Functions."""

import sys

if "functions_framework" in sys.modules:
    # Here already: what fails next is the import of a family.
    from model_functions.process_logs import tell_of_the_end

    tell_of_the_end()
