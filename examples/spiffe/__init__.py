"""An extension server: backends are reached with SPIFFE identities that the proxy gets from a SPIRE agent beside it."""
