"""The verbs of the command line, one file each. They get what they need from the composition root."""
