-- A new reason to look at an object: a new ticket, and no later than it was due already.
-- KEYS: 1 due; 2 tickets; 3 held; 4 later.  ARGV: 1 name; 2 at, ms.  Returns the ticket.
local ticket = redis.call('HINCRBY', KEYS[2], '#', 1)
redis.call('HSET', KEYS[2], ARGV[1], ticket)
redis.call('ZADD', KEYS[1], 'LT', ARGV[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('SREM', KEYS[4], ARGV[1])
return ticket
