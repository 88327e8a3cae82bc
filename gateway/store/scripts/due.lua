-- What is due by now, oldest first: name, ticket, time, three to an entry.
-- KEYS: 1 due; 2 tickets.  ARGV: 1 now, ms; 2 limit
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'WITHSCORES', 'LIMIT', 0, ARGV[2])
local entries = {}
for i = 1, #found, 2 do
  entries[#entries + 1] = found[i]
  entries[#entries + 1] = redis.call('HGET', KEYS[2], found[i])
  entries[#entries + 1] = found[i + 1]
end
return entries
