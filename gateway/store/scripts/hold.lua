-- An entry is set aside with its reason, unless there is a new reason to look meanwhile.
-- KEYS: 1 fence; 2 due; 3 tickets; 4 sent; 5 later; 6 held
-- ARGV: 1 expected fence ('': any); 2 name; 3 ticket; 4 what the receiver may have by now ('': as before);
--       5 reason, packed
-- Returns 1 if it is set aside, else 0; -1 to a former tenure.
if ARGV[1] ~= '' and redis.call('HGET', KEYS[1], 'last') ~= ARGV[1] then return -1 end
if ARGV[4] ~= '' then redis.call('HSET', KEYS[4], ARGV[2], ARGV[4]) end
local ticket = redis.call('HGET', KEYS[3], ARGV[2])
if not ticket then return redis.call('HEXISTS', KEYS[6], ARGV[2]) end
if ticket ~= ARGV[3] then return 0 end
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('HDEL', KEYS[3], ARGV[2])
redis.call('SREM', KEYS[5], ARGV[2])
redis.call('HSET', KEYS[6], ARGV[2], ARGV[5])
return 1
