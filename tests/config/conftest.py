"""What the tests of configuration share."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_folder import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A good ``gateway.yaml`` with a backend, and no partner."""
    return Folder(tmp_path).gateway()
