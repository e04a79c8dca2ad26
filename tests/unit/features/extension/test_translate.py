"""What EnvoyExtensionPolicies' features make of what is written, and what they refuse to make."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from shared.features.extension.ext_proc.spec import ExtProcSpec
from shared.features.extension.ext_proc.translate import translate
from shared.features.parts.policy_lookup import Fault
from tests.unit.features.security.around import POLICY, Around


def processor(**more: Any) -> ExtProcSpec:
    return msgspec.convert({"backendRefs": [{"name": "proc", "port": 9000}], **more}, ExtProcSpec)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [({"backendRefs": []}, "no backendRefs"), ({"messageTimeout": "-1s"}, "messageTimeout"), ({"messageTimeout": "61m"}, "more than 1h")],
)
def test_a_processor_that_envoy_could_not_use_is_refused(more: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Fault, match=sentence):
        translate(processor(**more), 0, POLICY, Around())


def test_a_processor_is_named_after_its_place_in_its_policy() -> None:
    made = translate(processor(messageTimeout="60m"), 2, POLICY, Around())
    assert (made.name, made.destination.name) == ("securitypolicy/default/p/extproc/2", "securitypolicy/default/p/extproc/2")
    assert (made.authority, made.message_timeout) == ("proc.default:9000", "1h0m0s")
