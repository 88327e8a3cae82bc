-- What is over by now, oldest first. Each is put off for the time of a lease: nobody else gets it meanwhile, and it comes
-- again if whoever got it dies.
-- KEYS: 1 deadlines.  ARGV: 1 now, ms; 2 limit; 3 until when the lease lasts, ms
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
for _, id in ipairs(ids) do redis.call('ZADD', KEYS[1], ARGV[3], id) end
return ids
