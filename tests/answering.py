"""The world around a translator in tests: wanted objects that are not there, and issuers that say what they always say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.translator.translator import Outputs, Translator
from shared.core.digest import digest
from shared.core.facts import Answer, Question
from shared.core.refs import ObjectRef

ISSUERS: Mapping[str, Mapping[str, str]] = {
    "https://accounts.google.com": {
        "authorizationEndpoint": "https://accounts.google.com/o/oauth2/v2/auth",
        "tokenEndpoint": "https://oauth2.googleapis.com/token",
    }
}


def answer(question: Question) -> Answer:
    asked: dict[str, Any] = question.asked
    if question.kind == "wasm":
        return _module(asked)
    known = ISSUERS.get(asked.get("issuer", ""))
    return Answer(asked, value=dict(known)) if known is not None else Answer(asked, problem="nobody is there")


def _module(asked: dict[str, Any]) -> Answer:
    """A module's name and content follow from its URL."""
    url = asked.get("url") or asked["image"]
    name = digest(url.encode())
    sha256 = digest(b"salt" + name.encode())
    if asked.get("sha256", sha256) != sha256:
        problem = f"module downloaded from {url} has checksum {sha256}, which does not match: {asked['sha256']}"
        return Answer(asked, problem=problem)
    return Answer(asked, value={"sha256": sha256, "module": name})


def answered(translator: Translator, outputs: Outputs) -> Outputs:
    """`outputs` and what comes of answering all that is waited for."""
    while missing := frozenset().union(*outputs.pending.values()):
        translator.answer_absent(*(each for each in missing if isinstance(each, ObjectRef)))
        translator.answer({each: answer(each) for each in missing if isinstance(each, Question)})
        later = translator.apply({})
        for fleet, shards in later.shards.items():
            outputs.shards.setdefault(fleet, {}).update(shards)
        outputs.infra.update(later.infra)
        outputs.statuses.update(later.statuses)
        outputs.removed |= later.removed
        outputs.pending = later.pending
    return outputs
