-- A CDR is owed to a link, once and for all: an entry that exists is left alone, done or not.
-- KEYS: 1 the entry; 2 CDRs not done; 3 counts; 4 changes.  ARGV: 1 name; 2 at, ms; 3 now, ms; 4 changes are kept, ms
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'state', 'pending', 'attempts', 0, 'owed', ARGV[3], 'moved', ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
redis.call('HINCRBY', KEYS[3], 'pending', 1)
local name = string.sub(ARGV[1], #'cdrs:' + 1)
-- All changes have the same fields in the same order: a stream keeps the words of the first one only.
local id = redis.call('XADD', KEYS[4], '*', 'name', name, 'from', '', 'to', 'pend', 'attempts', 0, 'reason', '')
redis.call('XTRIM', KEYS[4], 'MINID', '~', string.match(id, '%d+') - ARGV[4])
return 1
