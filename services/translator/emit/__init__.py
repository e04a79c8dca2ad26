"""The outputs: collections that turn queries into shards, infrastructure and statuses."""
