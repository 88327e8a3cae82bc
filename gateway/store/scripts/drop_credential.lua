-- A credentials token stops opening its link, unless a later version of the registration has given it out again.
-- KEYS: 1 the credential.  ARGV: 1 version of the registration that takes it away
local version = tonumber(redis.call('HGET', KEYS[1], 'version'))
if not version or version >= tonumber(ARGV[1]) then return 0 end
return redis.call('DEL', KEYS[1])
