"""The pipeline's queries in the order in which a request meets them: classes, proxies, gateways, listeners, routes, backends."""
