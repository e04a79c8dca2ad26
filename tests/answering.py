"""The world around a translator in tests: wanted objects that are not there, and issuers that say what they always say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.translator.translator import Outputs, Translator
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
    known = ISSUERS.get(asked.get("issuer", ""))
    return Answer(asked, value=dict(known)) if known is not None else Answer(asked, problem="nobody is there")


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
