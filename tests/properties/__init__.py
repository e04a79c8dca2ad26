"""Whatever an API server would take, and a good deal that it would not: no object may cost more than itself."""
