"""The second server: it tells the rate limit service what to count. One snapshot over all Gateways."""
