"""What is served of prices: four lists, cut from what is known at one moment, and kept until they were read.

A consumer of prices reads lists page by page, in one of two shapes, and wants them to fit together: each price that a
connector names is there. What they are made of changes all the time: tariffs and locations of our own backends, runs of
feeds, statuses. So a list isn't read from that, but *cut* from it: written down as it is at one moment, and served from
there.

    views.py     for whom: consumers who see the same share what is cut
    rows.py      a list while it is cut
    cutting.py   what is in the lists: our own, and what feeds have told
    shelves.py   when they are cut anew, and how they are read

What came from a feed may have a licence that forbids showing it. So it is in the lists of those who may see it and in
no others, not even as an id.
"""

from gateway.catalogue.shelves import Catalogue, Section
from gateway.catalogue.views import Listing, View

__all__ = ["Catalogue", "Listing", "Section", "View"]
