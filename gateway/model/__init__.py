"""The canonical model: the vocabulary of every other room. Pure values; imports nothing of the gateway but itself."""
