"""Price feeds, read: what charging costs whom at which connector, and what of that is said of our own connectors.

    states     where a feed stands: in the store
    schedule   when it is read                                    pure
    pages      its lists, page by page, tried again
    reading    one reading, staged under a run of its own
    checks     whether it is believed                             pure
    merged     locations that are gone, and what they became
    applying   the live run, laid on our own connectors
    feeds      all of that, for every feed, in one process at a time
    statuses   what a feed pushes between its readings

A run is read as a whole, checked, and then counts at once and as a whole. Whatever is wrong with it (a page that fails,
a list that is empty or has shrunken, prices that are named and missing) leaves the former run live. What belongs to
others never leaves the run: only our own connectors get anything of it.
"""

from gateway.prices.feeds import BeingRead, PriceFeeds, Status
from gateway.prices.states import Report

__all__ = ["BeingRead", "PriceFeeds", "Report", "Status"]
