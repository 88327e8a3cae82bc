"""Pulling: what others own is read from their lists, besides what they push.

A push may get lost, a platform may have been silent while we were away, some never push at all. So the specification
lets the receiver read the owner's list, as a whole at first, then what has changed since (2.2.1
``transport_and_format``, Pagination and Offline behaviour). ``modules: {locations: {pull_every: 1h}}`` in the file of a
link does that, for partners and for backends alike.

    agenda     which lists there are
    schedule   when a list is read, and how much of it                        pure
    pages      from one page to the next                                      pure
    states     how far it was read: in the store after each page
    intake     what was read becomes what is said, and is owed like a push
    gone       what isn't listed any more
    puller     the loop over all of that, in one replica at a time

What must never happen: that an older copy replaces a newer one, that a list which broke off counts as complete, that
our token goes to another host, and that anybody is billed because we have read a list.
"""

from gateway.sync.agenda import Agenda
from gateway.sync.puller import Report, Sync
from gateway.sync.states import Counts, Source, State, decode

__all__ = ["Agenda", "Counts", "Report", "Source", "State", "Sync", "decode"]
