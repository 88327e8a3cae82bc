-- A link may no longer list an object: it goes from all lists of the link at once.
-- KEYS: the lists that it can stand in, by rank and by time.  ARGV: 1 name
for i = 1, #KEYS do redis.call('ZREM', KEYS[i], ARGV[1]) end
