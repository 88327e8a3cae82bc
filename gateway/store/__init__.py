"""Redis: what is said, what is owed, who is registered; and the redis-server that the gateway brings along."""
