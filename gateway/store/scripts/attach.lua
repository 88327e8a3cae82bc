-- What one feed says of connectors from now on, beside what others say there.
-- KEYS: 1 what is said of an owner's connectors.
-- ARGV: 1 feed; then for each connector its spot and what the feed says there, as MessagePack ('': nothing)
for i = 2, #ARGV, 2 do
  local there = redis.call('HGET', KEYS[1], ARGV[i])
  local by_feed = there and cmsgpack.unpack(there) or {}
  by_feed[ARGV[1]] = ARGV[i + 1] ~= '' and cmsgpack.unpack(ARGV[i + 1]) or nil
  if next(by_feed) then
    redis.call('HSET', KEYS[1], ARGV[i], cmsgpack.pack(by_feed))
  else
    redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
return 1
