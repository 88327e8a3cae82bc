-- An entry is set aside with its reason, unless there is a new reason to look meanwhile.
-- KEYS: 1 due; 2 tickets; 3 held.  ARGV: 1 name; 2 ticket; 3 reason, packed
if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
return 1
