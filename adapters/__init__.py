"""The versions of OCPI: each translates between its wire and the canonical model, and knows nothing else.

This is the visible list. A version that isn't here isn't spoken; adding one is adding its folder and its line.
"""

from __future__ import annotations

from typing import Final

from adapters.ocpi_2_1_1 import ADAPTER as OCPI_2_1_1
from adapters.ocpi_2_2_1 import ADAPTER as OCPI_2_2_1

VERSIONS: Final = (OCPI_2_1_1, OCPI_2_2_1)
"""The adapters, oldest first."""
