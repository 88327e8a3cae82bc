"""Every key on one page.

The kind comes before the tag, so that access lists and client tracking can go by prefix. What stands in braces is the
hash tag: keys with the same tag share a slot in Redis Cluster, and only those are touched together by one script.

=========================== ====== ====================================================================================
key                         type   what
=========================== ====== ====================================================================================
*said, one tag per owner*
og:obj:{OWNER}:module:id    string the object as said last, with a head: the sequence that it shares with its variants,
                                   the write that came last, and how many variants there are (``packing.py``)
og:obj:{OWNER}:module:id:L  string the variant of link L: the same without head
og:all:{OWNER}:module       zset   names of the objects that aren't deleted, by rank: in the order in which they came
og:all:{OWNER}              string the rank given last; none is given twice
og:note:{OWNER}:module:id   hash   fan-out note: one field for each link that is owed the object, and # its sequence
og:notes:{OWNER}            zset   names with a note, by the time it was written
og:profiled:{OWNER}:name    hash   link -> what it said when it set a charging profile on this session; for a time
og:attached:{OWNER}         hash   spot of a connector -> the tariffs of price feeds that hold there, by feed and
                                   audience
*owed, one tag per link*
og:due:{link}               zset   names to look at, by the time in ms
og:ticket:{link}            hash   name -> ticket of the due entry; # is the counter
og:later:{link}             set    names of due entries that failed and wait for their next attempt
og:sent:{link}              hash   name -> what was delivered last: version (empty: only perhaps), newline, the rest
og:held:{link}              hash   name -> why it can't be delivered
og:cdr:{link}               zset   names of CDRs not done: -inf in flight, the time in ms pending, +inf parked
og:cdrdone:{link}           zset   names of CDRs delivered or dropped, by the time in ms
og:cdr:{link}:name          hash   the entry: state, attempts, owed, moved, by; and if given reason, location, digest,
                                   since, who, of which a long one goes on in reason1, reason2 and so on
og:cdrcount:{link}          hash   state -> how many CDRs are in it
og:changes:{link}           stream CDRs that changed their state, for 30 days: name (without cdrs:), from and to (four
                                   letters of each), attempts, reason, and who if given
og:lease:{link}             string who brings the link what it is owed; ends by itself
og:fence:{link}             hash   last, the number of the last tenure of the lease, and who had it
og:reg:{link}               hash   the registration: value, version, drop (digests still to be taken away), by
og:lane:{link}:name         string who is talking to this link about this object
og:seen:{link}:module       zset   names that this link may list, by rank: in the order in which it learned of them
og:seen:{link}:module:OWNER zset   the same of one owner alone, for links that may ask for that
og:seenat:{link}:module     zset   the same names by last_updated in ms
og:seenat:{link}:module:OWNER
                            zset   the same of one owner alone
og:seen:{link}              hash   module, or module:OWNER, of each list that there is; # is the rank given last
og:client:{link}            hash   what is known of the parties behind the link, each under a field of its own
og:fact:{link}              hash   small facts about the link, such as a pause, each under a field of its own
og:reservation:{link}       hash   OWNER:id -> number that stands for it; number -> OWNER:id as spelled; # the last one
*many small things together, one tag for each of 65,536 parts*
og:uid:{part}               hash   uid -> name of the first token that has it, whatever its type and owner
og:uid:{part}:uid           set    names of further tokens with a uid
og:contract:{part}          hash   contract id -> name of its first token
og:contract:{part}:id       set    names of further tokens of a contract
og:cb:{part}                hash   id -> what the URL of a CDR stands for, or whatever else is remembered for good
og:cb:{part}:id             string what a callback stands for; for a time, or too long to lie with others
*read, one tag per list of a link that we read: link:module:OWNER*
og:pull:{list}              string how far it was read, and when it is read next
og:pulled:{list}:crawl      set    digests of the names that were seen in a crawl of it; for days
og:lease:{list}, og:fence:{list}   as of links: who is reading it just now
*told by price feeds, one tag per feed: prices:FEED*
og:feed:{feed}              string the state of the feed: which run counts, and whatever else its reader keeps
og:feedruns:{feed}          set    runs that stay; others expire (``priced.py``)
og:feed:{feed}:run:list:part
                            hash   a sixteenth of one list of a run, by the row's id
og:feedtold:{feed}          hash   location:EVSE -> what the feed has told of an EVSE since it was read
og:lease:{feed}, og:fence:{feed}   as of links: who is reading it just now
og:imported:{feed}          hash   name of a tariff that was said because of the feed -> its id as spelled, and when it
                                   is to be deleted
*served of prices, one tag per view*
og:view:{view}              string what the view shows now; until an hour after its last use
og:shelf:{view}:id          zset   a list as it was at one moment, row by row (``shelves.py``)
og:shelved:{view}           zset   shelves of which somebody was told how to read on, by the time in ms
*single keys, no tag*
og:feeds                    set    feeds that have a state
og:owners                   set    owners of whom an object was ever said
og:links                    set    links that may be owed something
og:cred:digest              hash   a credentials token that opens a link: value, and version of the registration
og:credkey                  string the key of the digests
og:charged:id               set    names of the sessions of a contract, for 90 days after the last of them
og:priced:owner:tariff      set    names of the locations that have named a tariff
og:once:id                  string who came first, and what he said; for a time
og:deadlines                zset   ids of what ends by itself, by the time in ms
og:epoch                    string which Redis this is: an epoch, when it began, how far it has come (``epoch.py``);
                                   in a cluster og:epoch:{number}, one for every 256 slots
og:cache                    string with ``redis.cache_url``: the mark of the cache, in it and here (``split.py``)
og:retold                   channel folded uids of tokens that were said anew, or for the first time
og:wake                     channel links that are owed something as of now
og:news                     channel topic and text of what another replica should know
=========================== ====== ====================================================================================

``og`` is the prefix (``redis.prefix``). Ids come from strangers: each is one segment, percent-encoded so that no two
ids meet in a key and none holds a brace or a colon (``gateway.model.names.encode``). Ids compare without case (2.2.1
``types``, CiString), so keys have them folded; the value keeps the owner's spelling.
"""

from __future__ import annotations

import zlib
from typing import Final

from attrs import frozen

from gateway.model.modules import Module
from gateway.model.names import Name, decode, encode, fold
from gateway.model.party import Party

# Two million ids are thirty to a drawer, which Redis packs into some 50 bytes each.
_DRAWERS: Final = 65_536

# In hashes whose fields are names or links: the field that is neither. ``encode`` never yields it.
COUNTER = "#"


@frozen(kw_only=True)
class Drawer:
    """Where something small is kept under an id: a key of its own takes Redis a hundred bytes more than the thing.

    Attributes:
        shared: a hash of many ids, among them this one.
        own: the key of this id alone, for what doesn't fit in there.
        id: the field in ``shared``.
    """

    shared: str
    own: str
    id: str


@frozen
class Keys:
    """The keys of one installation."""

    prefix: str = "og"

    def object(self, name: Name, variant: str | None = None) -> str:
        general = f"{self.prefix}:obj:{_tail(name)}"
        return general if variant is None else f"{general}:{encode(variant)}"

    def note(self, name: Name) -> str:
        return f"{self.prefix}:note:{_tail(name)}"

    def notes(self, owner: str) -> str:
        return f"{self.prefix}:notes:{{{owner}}}"

    def all(self, owner: str, module: Module) -> str:
        return f"{self.all_rank(owner)}:{module}"

    def all_rank(self, owner: str) -> str:
        return f"{self.prefix}:all:{{{owner}}}"

    def profiled(self, session: Name) -> str:
        return f"{self.prefix}:profiled:{_tail(session)}"

    def owners(self) -> str:
        return f"{self.prefix}:owners"

    def due(self, link: str) -> str:
        return self._of_link("due", link)

    def ticket(self, link: str) -> str:
        return self._of_link("ticket", link)

    def sent(self, link: str) -> str:
        return self._of_link("sent", link)

    def held(self, link: str) -> str:
        return self._of_link("held", link)

    def later(self, link: str) -> str:
        return self._of_link("later", link)

    def cdrs(self, link: str) -> str:
        return self._of_link("cdr", link)

    def cdrs_done(self, link: str) -> str:
        return self._of_link("cdrdone", link)

    def cdr(self, link: str, name: Name) -> str:
        return f"{self.cdrs(link)}:{name.text}"

    def cdr_counts(self, link: str) -> str:
        return self._of_link("cdrcount", link)

    def changes(self, link: str) -> str:
        return self._of_link("changes", link)

    def lease(self, link: str) -> str:
        return self._of_link("lease", link)

    def fence(self, link: str) -> str:
        return self._of_link("fence", link)

    def registration(self, link: str) -> str:
        return self._of_link("reg", link)

    def lane(self, link: str, name: Name) -> str:
        return f"{self._of_link('lane', link)}:{name.text}"

    def seen(self, link: str, part: str) -> str:
        return f"{self.seen_parts(link)}:{part}"

    def seen_at(self, link: str, part: str) -> str:
        return f"{self._of_link('seenat', link)}:{part}"

    def seen_parts(self, link: str) -> str:
        return self._of_link("seen", link)

    def pull(self, list_: str) -> str:
        return self._of_link("pull", list_)

    def pulled(self, list_: str, crawl: str) -> str:
        return f"{self._of_link('pulled', list_)}:{encode(crawl)}"

    def clients(self, link: str) -> str:
        return self._of_link("client", link)

    def facts(self, link: str) -> str:
        return self._of_link("fact", link)

    def reservations(self, link: str) -> str:
        return self._of_link("reservation", link)

    def links(self) -> str:
        return f"{self.prefix}:links"

    def feeds(self) -> str:
        return f"{self.prefix}:feeds"

    def feed(self, feed: str) -> str:
        return self._of_feed("feed", feed)

    def feed_runs(self, feed: str) -> str:
        return self._of_feed("feedruns", feed)

    def feed_run(self, feed: str, run: str, list_: str, part: int) -> str:
        return f"{self.feed(feed)}:{encode(run)}:{list_}:{part}"

    def feed_told(self, feed: str) -> str:
        return self._of_feed("feedtold", feed)

    def imported(self, feed: str) -> str:
        return self._of_feed("imported", feed)

    def attached(self, owner: Party) -> str:
        return f"{self.prefix}:attached:{{{tag_of(owner)}}}"

    def view(self, view: str) -> str:
        return self._of_link("view", view)

    def shelf(self, view: str, shelf: str) -> str:
        return f"{self._of_link('shelf', view)}:{encode(shelf)}"

    def shelved(self, view: str) -> str:
        return self._of_link("shelved", view)

    def credential(self, digest: str) -> str:
        return f"{self.prefix}:cred:{encode(digest)}"

    def credential_key(self) -> str:
        return f"{self.prefix}:credkey"

    def contract(self, contract_id: str) -> Drawer:
        return self._drawer("contract", encode(fold(contract_id)))

    def sessions(self, contract_id: str) -> str:
        return f"{self.prefix}:charged:{encode(fold(contract_id))}"

    def priced(self, owner: Party, tariff_id: str) -> str:
        return f"{self.prefix}:priced:{tag_of(owner)}:{encode(fold(tariff_id))}"

    def uid(self, uid: str) -> Drawer:
        return self._drawer("uid", encode(fold(uid)))

    def callback(self, id: str) -> Drawer:
        return self._drawer("cb", encode(id))

    def once(self, id: str) -> str:
        return f"{self.prefix}:once:{encode(id)}"

    def epoch(self, tag: str = "") -> str:
        return f"{self.prefix}:epoch:{{{tag}}}" if tag else f"{self.prefix}:epoch"

    def cache(self) -> str:
        return f"{self.prefix}:cache"

    def deadlines(self) -> str:
        return f"{self.prefix}:deadlines"

    def retold(self) -> str:
        return f"{self.prefix}:retold"

    def wake(self) -> str:
        return f"{self.prefix}:wake"

    def news(self) -> str:
        return f"{self.prefix}:news"

    def _of_link(self, kind: str, link: str) -> str:
        return f"{self.prefix}:{kind}:{{{encode(link)}}}"

    def _of_feed(self, kind: str, feed: str) -> str:
        return self._of_link(kind, feed_lease(feed))

    def _drawer(self, kind: str, id: str) -> Drawer:
        shared = f"{self.prefix}:{kind}:{{{zlib.crc32(id.encode()) % _DRAWERS:04x}}}"
        return Drawer(shared=shared, own=f"{shared}:{id}", id=id)


def feed_lease(feed: str) -> str:
    """The id under which a price feed has its lease, and its tag; no link and no list has one like it."""
    return f"prices:{feed}"


def owner_of(name: Name) -> str:
    """The owner as it stands in the name's keys: the tag of everything said under it."""
    return name.text.split(":", 2)[1]


def tag_of(owner: Party) -> str:
    """The same from the party."""
    return encode(str(owner))


def party_of(tag: str) -> Party:
    """The party that ``tag_of`` made this tag of."""
    country, _, party_id = decode(tag).partition("-")
    return Party(country, party_id)


def _tail(name: Name) -> str:
    """``{NL-EXA}:sessions:42``: a name with its owner first, as the tag."""
    module, owner, rest = name.text.split(":", 2)
    return f"{{{owner}}}:{module}:{rest}"
