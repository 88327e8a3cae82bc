-- A CDR is owed to a link, once and for all: an entry that exists is left alone, delivered or not.
-- KEYS: 1 the entry; 2 CDRs not delivered.  ARGV: 1 name; 2 at, ms; 3 now, ms
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'state', 'pending', 'attempts', 0, 'owed', ARGV[3], 'moved', ARGV[3], 'at', ARGV[2])
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
return 1
