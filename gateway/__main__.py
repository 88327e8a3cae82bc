"""``ocpi-gateway`` and ``python -m gateway``."""

from __future__ import annotations

import click

from gateway import __version__
from gateway.app import ADAPTERS, PRICE_SHAPES, Gateway, price_feeds
from gateway.cli.check import check
from gateway.cli.demo import demo
from gateway.cli.doctor import doctor
from gateway.cli.explain import explain
from gateway.cli.ledger import ledger
from gateway.cli.options import Tools
from gateway.cli.partner import partner
from gateway.cli.prices import prices
from gateway.cli.route import route_
from gateway.cli.run import run
from gateway.cli.sync import sync
from gateway.cli.tokens import tokens
from gateway.cli.translate import translate


@click.group(epilog="Start with: ocpi-gateway demo")
@click.version_option(__version__)
@click.pass_context
def cli(context: click.Context) -> None:
    """The OCPI roaming gateway of a charge point operator: 2.1.1 and 2.2.1 at the same time."""
    context.obj = Tools(ADAPTERS, PRICE_SHAPES, Gateway.running, price_feeds)


for command in (run, demo, check, translate, explain, partner, ledger, prices, route_, sync, tokens, doctor):
    cli.add_command(command)


def main() -> None:
    """The console script."""
    cli(prog_name="ocpi-gateway")


if __name__ == "__main__":
    main()
