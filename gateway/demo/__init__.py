"""Strangers to talk to: simulated peers that behave as OCPI 2.1.1 or 2.2.1 says a decent peer behaves.

They are the partners and the backend of ``ocpi-gateway demo`` and of the journeys in ``tests/``. To be independent
evidence they import nothing of the gateway: they read JSON with the standard library, lay out their URLs in their own
way, and have their own copy of what the specification's tables say.

* ``peers``: ``Peer``, a platform on loopback with everything below in its hands; the only thing users hold.
* ``identity``: who a peer is, the credentials tokens it accepts, and what it knows of the platform it talks to.
* ``objects``: the specification's object tables, and ``examine()``, which lays a document beside them.
* ``handshake``: versions and credentials, from either side.
* ``shelf``: objects as they stand after PUT, PATCH and DELETE; ``lists``: how they are listed.
* ``desk``: what a peer answers: ``checks`` looks at what is the same for all modules, ``modules`` deals with each of
  them, ``answers`` are what comes of it.
* ``verbs``: what a peer does, as calls of Python; ``calls``: how that becomes requests; ``line``: sends them and reads
  the answers.
* ``commands``: what is asked now and done later, from both ends; ``hubs``: the parties behind a hub.
* ``door``: the port at which a peer or a feed is met, or refused.
* ``feed``: a price feed, in both shapes, and its bad days.
* ``journal``: what arrived, what looked wrong (``complaints``), and waiting for it without polling.
"""
