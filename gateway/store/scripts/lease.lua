-- The lease of a link: taken, or kept for longer by the one who has it. A tenure begins, with a new number, when it goes
-- to somebody else than the last one who had it.
-- KEYS: 1 fence; 2 lease.  ARGV: 1 who; 2 for how long, ms.  Returns the number; nothing if somebody else has it.
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[1] then return false end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
if redis.call('HGET', KEYS[1], 'who') ~= ARGV[1] then
  redis.call('HINCRBY', KEYS[1], 'last', 1)
  redis.call('HSET', KEYS[1], 'who', ARGV[1])
end
return tonumber(redis.call('HGET', KEYS[1], 'last'))
