-- A link may list an object: of the module, and of its owner alone where the link may ask for that.
-- An object keeps the rank at which the link learned of it; its time follows its last change.
-- KEYS: 1 the link's lists, with the rank given last; then for each list its names by rank, and its names by time
-- ARGV: 1 name; 2 last_updated, ms; then for each list what it is called
local rank = redis.call('ZSCORE', KEYS[2], ARGV[1]) or redis.call('HINCRBY', KEYS[1], '#', 1)
for i = 2, #KEYS, 2 do
  redis.call('HSET', KEYS[1], ARGV[2 + i / 2], '1')
  redis.call('ZADD', KEYS[i], rank, ARGV[1])
  redis.call('ZADD', KEYS[i + 1], ARGV[2], ARGV[1])
end
