"""In which order listeners take addresses from one another: Envoy refuses an address that another of its listeners still has."""

from __future__ import annotations

from collections.abc import Mapping

from services.xds_server.resources import Resource


def next_step(wanted: Mapping[str, Resource], known: Mapping[str, Resource]) -> tuple[dict[str, Resource], tuple[str, ...]]:
    """Of what is to be set: what can be now, or else what has to go first.

    A resource waits for the one that moves out of its place. Where they wait for each other in a circle, one of them has to be
    removed to open it: it comes back when the circle is through.
    """
    holders = {r.place: name for name, r in known.items() if r.place}
    waiting = {name for name, r in wanted.items() if holders.get(r.place, name) != name and holders[r.place] in wanted}
    free = {name: r for name, r in wanted.items() if name not in waiting}
    return (free, ()) if free or not waiting else ({}, (min(holders[wanted[name].place] for name in waiting),))
