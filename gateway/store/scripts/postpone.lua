-- An entry waits until later, unless there is a new reason meanwhile.
-- KEYS: 1 due; 2 tickets.  ARGV: 1 name; 2 ticket; 3 at, ms
if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('ZADD', KEYS[1], 'XX', ARGV[3], ARGV[1])
return 1
