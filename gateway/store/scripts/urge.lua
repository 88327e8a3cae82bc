-- What waits for its next attempt after a failure is due now: a slice of the objects, and of the CDRs.
-- KEYS: 1 due; 2 later; 3 CDRs not done.  ARGV: 1 now, ms; 2 how many at most of each.  Returns how many it was.
local names = redis.call('SPOP', KEYS[2], ARGV[2])
for _, name in ipairs(names) do redis.call('ZADD', KEYS[1], 'XX', 'LT', ARGV[1], name) end
local cdrs = redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. ARGV[1], '(+inf', 'LIMIT', 0, ARGV[2])
for _, name in ipairs(cdrs) do redis.call('ZADD', KEYS[3], ARGV[1], name) end
return #names + #cdrs
