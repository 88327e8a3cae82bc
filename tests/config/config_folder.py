"""A configuration folder that is fine, to be spoiled one piece at a time, and what reading it says."""

from __future__ import annotations

import textwrap
from pathlib import Path

from attrs import define, field

from gateway.settings import Mistakes, Settings, load

VERSIONS = {"2.1.1": False, "2.2.1": True}

GATEWAY = """\
public_url: https://roaming.example.com
hub: {country_code: NL, party_id: GWY}
parties:
  - {country_code: NL, party_id: EXA, role: CPO, name: Example Charging}
"""

BACKEND = """\
backend:
  version: "2.2.1"
  roles: [{role: CPO, country_code: NL, party_id: EXA}]
  registration: {start: none, versions_url: "https://core.example/versions", token_out: {env: OUT}, token_in: {env: IN}}
"""

PARTNER = """\
version: "2.1.1"
roles: [{role: EMSP, country_code: DE, party_id: ACM}]
registration: {start: us, versions_url: "https://acme.example/versions", token_out: {env: TOKEN_A}}
"""


@define
class Folder:
    """A folder of files, and what reading it says."""

    path: Path
    environ: dict[str, str] = field(factory=lambda: {"OUT": "core-out", "IN": "core-in", "TOKEN_A": "token-a"})

    def write(self, name: str, text: str | bytes) -> Folder:
        path = self.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else textwrap.dedent(text).encode())
        return self

    def gateway(self, more: str = "", *, text: str = GATEWAY, backend: str = BACKEND) -> Folder:
        """``gateway.yaml``: the good one with something added, or with a part replaced."""
        return self.write("gateway.yaml", text + backend + textwrap.dedent(more))

    def partner(self, more: str = "", *, name: str = "acme", text: str = PARTNER) -> Folder:
        """One partner: the good one with something added, or replaced."""
        return self.write(f"partners/{name}.yaml", text + textwrap.dedent(more))

    def load(self, *, strict: bool = False) -> Settings:
        return load(self.path, VERSIONS, self.environ, strict=strict)

    def mistakes(self, *, strict: bool = False) -> list[str]:
        """Every mistake as ``file:line:column: text``, files relative to the folder; empty when all is fine."""
        try:
            self.load(strict=strict)
        except Mistakes as found:
            return [str(mistake).removeprefix(f"{self.path}/") for mistake in found.mistakes]
        return []

    def mistake(self, *, strict: bool = False) -> str:
        """The only mistake."""
        (found,) = self.mistakes(strict=strict)
        return found
