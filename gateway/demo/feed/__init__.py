"""A price feed on loopback that plays Eco-Movement: locations, prices in two shapes, connector prices, and bad days.

    async with Feed("key", connectors=25_000, own=[Own("NL*EXA*E0001*1")]) as eco:
        eco.prices_url, eco.connector_prices_url, eco.locations_url()      # what somebody reads, with the key
        await eco.wait_for("prices", count=2)
        eco.update()                                                       # everything dearer, all ids new
        eco.fail("prices", "cut", page=2)
        eco.spoil(eco.price_id("NL*EXA*E0001*1", "adhoc"), "parking_per_minute")
        eco.mend()

Its data follow from numbers and are made when they are asked for. As all strangers here it imports nothing of the
gateway.

* ``layout``: where locations, EVSEs and connectors are; ``rates``: what charging costs, and what may be wrong with it.
* ``stock``: what there is right now, and what has happened to it; ``rows``: how that is written.
* ``pages``: how lists are cut; ``counter``: what is answered; ``feed``: all of it in one hand.
"""

from gateway.demo.feed.feed import Feed
from gateway.demo.feed.layout import Own
from gateway.demo.feed.rates import FLAWS, PRODUCTS
from gateway.demo.feed.rows import Habits

__all__ = ["FLAWS", "PRODUCTS", "Feed", "Habits", "Own"]
