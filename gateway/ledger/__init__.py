"""What is owed, and how it is brought.

How does an object get here?
    The pipeline says it (object and note of receivers in one write), acknowledges the sender, and calls ``owed``. The
    note becomes a due entry under each receiver: a name, a time and a ticket. No message is kept.

Who brings it?
    One replica at a time for each link, the one that has the link's lease (``tenure.py``), in a loop of the link's own
    (``rounds.py``). What calls are good for just now, the link's breakers say (``gateway.breaker``); when to come
    again, ``pace.py``.

What is sent?
    The difference between what the receiver has and what is, worked out at the moment of sending (``objects.py``): the
    object is read, translated, and compared with what was last confirmed. That is a PATCH, a PUT, a withdrawal, or
    nothing. OCPI says that failed pushes are not to be queued and replayed (2.2.1 ``transport_and_format``, Offline
    behaviour); nothing is. Ten changes during an outage are one PUT of the newest state after it.

In which order?
    In that in which it became due, four at a time or as many as the link's file says. But a location lets the tariffs
    go first that it names, and a tariff that leaves lets those locations go first that have named it (``order.py``).

What if an attempt ends in doubt?
    Taking an entry marks what is known of the receiver as doubtful, and only a confirmed delivery takes the mark away.
    So after doubt the next request is a whole PUT: a repeated PATCH that appends charging periods would bill them
    twice. That the receiver may have something is known all the same: what it may no longer see is withdrawn even so.

And CDRs?
    Each is owed once per receiver and never again, so it has an entry with a state, and rules of its own
    (``cdrs.py``). After an ambiguous answer nothing is posted a second time unless the link's file says how.
"""
