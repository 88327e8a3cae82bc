-- The digests of this version of a registration have been taken away.
-- KEYS: 1 the registration.  ARGV: 1 version
if redis.call('HGET', KEYS[1], 'version') ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], 'drop')
return 1
