-- An attempt failed: the entry waits until later, unless there is a new reason meanwhile.
-- KEYS: 1 fence; 2 due; 3 tickets; 4 sent; 5 later
-- ARGV: 1 expected fence ('': any); 2 name; 3 ticket; 4 at, ms; 5 what the receiver may have by now ('': as before)
-- Returns 1 if it waits, else 0; -1 to a former tenure.
if ARGV[1] ~= '' and redis.call('HGET', KEYS[1], 'last') ~= ARGV[1] then return -1 end
if ARGV[5] ~= '' then redis.call('HSET', KEYS[4], ARGV[2], ARGV[5]) end
if redis.call('HGET', KEYS[3], ARGV[2]) ~= ARGV[3] then return 0 end
redis.call('ZADD', KEYS[2], 'XX', ARGV[4], ARGV[2])
redis.call('SADD', KEYS[5], ARGV[2])
return 1
