"""Lua scripts: what is one, and what one may use."""

from __future__ import annotations

import time

import pytest

from shared.features.extension.lua.check import script_fault
from shared.features.extension.lua.script import NoScript, read


@pytest.mark.parametrize(
    "text",
    [
        "",
        "goto a ::a::",
        "for i = 1, 2 do break end for k, v in pairs(t) do f(k) end",
        "local function f(...) return ... end",
        "a.b['c']:d 'x' {1} (2)",
        "x = [==[ ]] ]==] --[[ more\n]] y = 0x1p4 + 1e5 + .5 + 5LL -- end",
        "if a then elseif b then else end",
        "repeat local x = 1 until x",
        "x = {1, 2; 3, [1] = 2, a = function(self) end,}",
        "function a.b:c() return end; while not x do y = -#z .. 'a\\\nb' end",
        "x = '\\65\\x41\\u{41}\\z  '",
        "do return end y()",
    ],
)
def test_a_script_is_read(text: str) -> None:
    read(text)


@pytest.mark.parametrize(
    "text",
    [
        "x = 1 2",
        "goto nowhere",
        "break",
        "function f() return ... end",
        "a = b\n(c)()",
        "x = '\\q'",
        "x = '\\300'",
        "return 1 2",
        "f{",
        "--[[ x",
        "a.b = 1,",
        "a() = 1",
        "(a) = 1",
        "a",
        "local a <const> = 1",
        "x = a // b",
        "f(1,)",
        "function(a, ..., b) end",
        "for a, b = 1, 2 do end",
        "x = 1..2",
        "x = 3x",
        "x = a:b",
        "; x = 1",
        "if a then else elseif b then end",
        "x = " + "(" * 300 + "a" + ")" * 300,
        "do " * 300 + "end " * 300,
    ],
)
def test_what_is_no_script_is_told_apart(text: str) -> None:
    with pytest.raises(NoScript):
        read(text)


ENTRY = "function envoy_on_request(h) {} end"


@pytest.mark.parametrize(
    "body",
    [
        "h:headers():replace('x', tostring(os.time()))",
        "local name = h:headers():get('a') if name and name:find('b') then h:respond({[':status'] = '403'}, 'no') end",
        "shared = (shared or 0) + 1",
        "local t = {} function t:own() return 1 end t:own()",
        "local t = {own = function(self) end} t:own()",
        "for chunk in h:bodyChunks() do h:logInfo(chunk:length()) end",
        "local debug = true if debug then h:logInfo('x') end",
    ],
)
def test_a_script_may_use_itself_lua_and_envoy(body: str) -> None:
    assert script_fault(ENTRY.format("") + " " + ENTRY.replace("{}", body), "Strict") is None


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("h:unknownApi()", "no method|method unknownApi"),
        ("x = json.decode('')", "json"),
        ("os.execute('x')", "of os"),
        ("local o = os o['execute']('x')", "of os"),
        ("io.open('/etc/passwd')", "io"),
        ("x = _G['os']", "_G"),
        ("_G = _G", "_G"),
        ("x = getfenv(0)", "getfenv"),
        ("x = string.rep('a', 1):rep(2) require('ffi')", "require"),
    ],
)
def test_a_script_may_not_reach_out(body: str, sentence: str) -> None:
    text = ENTRY.replace("{}", body)
    fault = script_fault(text, "Strict")
    assert fault is not None
    assert any(part in fault for part in sentence.split("|"))
    assert script_fault(text, "NoSuchValidation") == fault
    assert script_fault(text, "InsecureSyntax") is None


def test_only_what_nobody_wants_checked_may_be_nonsense() -> None:
    text = "function envoy_on_request(h)"
    assert script_fault(text, "Disabled") is None
    assert script_fault(text, "InsecureSyntax") is not None
    assert script_fault("-- envoy_on_request", "Strict") is not None
    assert script_fault("function other() end", "Disabled") is not None


@pytest.mark.parametrize(
    "text", ["x='" + "\\z    " * 20_000, "x=" + "1" * 200_000 + "z", "--[[" * 50_000, "x=[=[" * 50_000, "x=0x" + "a" * 200_000 + "z"]
)
def test_no_text_takes_long_to_refuse(text: str) -> None:
    begun = time.process_time()
    with pytest.raises(NoScript):
        read(text)
    assert time.process_time() - begun < 2
