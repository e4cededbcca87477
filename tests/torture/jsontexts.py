"""JSON as people get it wrong, and as it is odd and right: texts of one value each, with what must come of them."""

from __future__ import annotations

import json

_NUMBERS = (
    b"0", b"-0", b"-0.0", b"0.0", b"0e0", b"0E+1", b"0e-1", b"1E22", b"1e22", b"1E+2", b"1e-2", b"1.0", b"-1.5e+3", b"123e65",
    b"1e-400", b"-1e-400", b"5e-324", b"2.4703282292062327e-324", b"2.4703282292062328e-324", b"2.2250738585072011e-308",
    b"2.2250738585072014e-308", b"1.7976931348623157e308", b"179769313486231570e291", b"9007199254740993.0", b"0.1",
    b"9007199254740992.9999999999999999999", b"0.1000000000000000055511151231257827", b"123456789012345678901234567890.0",
    b"1.00000000000000011102230246251565404236316680908203125", b"1.00000000000000011102230246251565404236316680908203124",
    b"1.00000000000000011102230246251565404236316680908203126", b"0." + b"0" * 400 + b"1", b"1" + b"0" * 300 + b".0e-300",
    b"0.000000000000000000000000000000000000000001e42", b"7.2057594037927933e16", b"100000000000000016777215.0e0",
    b"9007199254740991", b"9007199254740993", b"-9007199254740993", b"9223372036854775807", b"9223372036854775808",
    b"18446744073709551615", b"-9223372036854775808", b"1e308", b"-1e308", b"8.98846567431158e307", b"6.02214076e23",
)  # fmt: skip
_TEXTS = (
    rb'""', rb'" "', rb'"\""', rb'"\\"', rb'"\/"', rb'"\b\f\n\r\t"', rb'"\u0000"', rb'"\u001F\u007f\u0080"', rb'"\u0022"', rb'"\\u0000"',
    rb'"\\\""', rb'"\\\\"', rb'"\ud83d\uDE00"', rb'"\uDBFF\uDFFF"', rb'"\uFFFE\uFFFF\uFDD0"', rb'"\uD83F\uDFFE"', rb'"\u2028\u2029"',
    rb'"\u200b\u2060\ufeff"', rb'"\u0061\u30af\u30EA"', rb'"a\u030a\u00c5\u212b"', rb'"/**/ // #"', rb'"[{,:}]"', rb'"\":\""', rb'"\\\":"', rb'"null"',
    b'"\x7f"', '"\u0080\u009f"'.encode(), '"\u2028\u2029"'.encode(), '"\ufeff\ufffe\uffff"'.encode(), '"\U0010ffff\U0001fffe"'.encode(),
    '"\ue000\uf8ff\U000f0000"'.encode(), '"日本語 é e\u0301 ß 🎉"'.encode(), '"👩\u200d👩\u200d👧"'.encode(), '"\u202egnp.exe"'.encode(), b'"' + b"x" * 3000 + b'"',
    b'"' + b"\\u0041" * 500 + b'"', b'"' + rb"\\" * 301 + b'"', b'"' + rb"\"" * 301 + b'"',
)  # fmt: skip
_BUILT = (
    b"null", b"true", b"false", b"[]", b"{}", b"[[]]", b"[{}]", b'{"":0}', b'{"":{"":{}}}', b'[null,true,false,0,"",[],{}]', b"[ ]", b"{ }",
    b"\t[\t1\t,\r2 ]\r", b' {"a" :\t[ ] , "b": { } } ', b'{"a":{"a":{"a":1}}}', b'[{"a":1},{"a":1}]', '{"é":1,"e\u0301":2}'.encode(),
    rb'{"\u0000":1,"\\u0000":2,"u0000":3}', rb'{"\"":1,"\\":2,"\\\"":3,":":4}', b'{"__proto__":1,"constructor":2}', b'{"a.b":1,"a":{"b":2}}',
    b'{"k\\":":"\\":","v":"{\\"k\\":1}"}', b"[" * 50 + b"]" * 50, b'{"a":[' * 20 + b"]}" * 20, b"[" + b"1," * 300 + b"1]", b'{"A":1,"a":2}',
)  # fmt: skip
VALID = tuple((text, json.loads(text)) for text in (*_NUMBERS, *_TEXTS, *_BUILT))
"""Texts that hold one JSON value, and the value; Python's reader stands for the truth."""

BROKEN = (
    # numbers
    b"++1", b"+1", b"+Inf", b"-01", b"-1.0.", b"-2.", b"-NaN", b"-", b"--1", b"-x", b"- 1", b".-1", b".2e-3", b"0.1.2", b"0.3e+", b"0.3e", b"0.e1",
    b"0E+", b"0e", b"00", b"01", b"012", b"-012", b"1.", b"1.0e", b"1.0e+", b"1.0e-", b"1 000.0", b"1eE2", b"1e1.5", b"1_0", b"2.e3", b"9.e+", b"Inf", b"NaN",
    b"nan", b"Infinity", b"-Infinity", b"INF", b"0x1", b"0x42", b"1+2", b"1.2a-", b"1.8011670033376514H-308", b"1e400", b"-1e400", b"1e99999", b"1E+309",
    b"-123123123123123e9999999999999", b"1n", b"1f", b"0b1", b"0o7", b"1e0x1", "１".encode(), "-１".encode(), "٣".encode(), b"1\xc2\xa0",
    # literals
    b"nul", b"nulll", b"tru", b"fals", b"falsee", b"True", b"TRUE", b"None", b"Null", b"undefined", b"nil", b"~", b"truefalse", b"true false",
    # texts
    b"'a'", b'"a', b'a"', b'"a\tb"', b'"\x00"', b'"a\x1fb"', b'"\x0c"', rb'"\a"', rb'"\x00"', rb'"\U0041"', rb'"\u00A"', rb'"\u"', rb'"\uqqqq"', rb'"\u 041"',
    rb'"\u+041"', rb'"\uD834\Dd"', rb'"\uD800\u"', rb'"\uD800\u1x"', rb'"\"', rb'"\\\"', rb'"\0"', rb'"\'"', '"\\é"'.encode(), '"\\🌀"'.encode(), rb'\u0020"a"', b'""x',
    b'"a" "b"', b'"a""b"', "“a”".encode(), "«a»".encode(), b"`a`", b'"""a"""', b'b"a"', b'"\x0b"', b'"\x08"', b'"\\\t"',
    # lists
    b"[1 true]", b'["": 1]', b'[""],', b"[,1]", b"[1,,2]", b"[1,]", b"[1,,]", b"[,]", b"[,", b"[", b"]", b"[[", b"[1", b'["x"', b'["x", truth]', b"[x", b"[3[4]]", b"[1:2]",
    b"[-]", b"[*]", b"[   ", b"1]", b"[]]", b"[][]", b"[1;2]", b"(1)", b"[1,2)", b"[1\x0c]", b"[1\xc2\xa0]", "[1\u2060]".encode(), "[\u3000]".encode(), b"[<null>]", b"[...]",
    # objects
    b"{", b"}", b"{}}", b'{"a"', b'{"a":', b'{"a":1', b'{"a":1,', b'{"a":1,}', b'{"a":1,,}', b'{,"a":1}', b'{"a"::1}', b'{"a" 1}', b'{"a":1 "b":2}', b'{"a","b"}', b'{"a"}', b'{:"b"}',
    b"{1:1}", b"{null:null}", b"{true:1}", b"{[]:1}", b"{a:1}", b"{'a':0}", b'{"a":\'b\'}', b'{"a"=1}', b'{"a"=>1}', b'{"a":"a" 123}', b'{"a":1;"b":2}', b"{9E9:1}", b'{"a":b}', b'{"a":}',
    "{🇨🇭}".encode(), b'{"x":1,"y"}', b'{"a":1}{"b":2}', b'{"a":1},{"b":2}', b'{"a":1}\x00', b"{\x0c}",
    # what is no part of JSON
    b"/* a */ 1", b"1 // a", b"1 # a", b'{"a":/* a */1}', b'{"a":1/* a */}', b"<a/>", b"<.>", b"*", b"?", b"@", b"2@", b"$", b"a: 1", b"- a", b"---", b"a,b", b"()", b"function(){}",
    b"\x00", b"\x1b[2J", b"\x7f", b"\\n", b"\\", "\ufeff1".encode(), "\ufeff".encode(), "\u2028".encode() + b"1", "å".encode(), "\u00a01".encode(), b"1\x1a", b"1\x04",
)  # fmt: skip
"""Texts that are no JSON value, but UTF-8."""

NOT_UTF8 = (
    b"\xff", b'"\xff"', b'"\xe5"', b'"\xc3"', b'"\xc3\x28"', b'"\xc0\xaf"', b'"\xc1\xbf"', b'"\xe0\x80\xaf"', b'"\xe0\x9f\xbf"', b'"\xf0\x80\x80\xaf"', b'"\xf0\x8f\xbf\xbf"',
    b'"\xed\xa0\x80"', b'"\xed\xbf\xbf"', b'"\xed\xa0\xbd\xed\xb8\x80"', b'"\xf4\x90\x80\x80"', b'"\xf5\x80\x80\x80"', b'"\xf8\x88\x80\x80\x80"', b'"\xfc\x83\xbf\xbf\xbf\xbf"', b'"\x80"',
    b'"\xbf"', b'"\xe2\x82"', b'"\xf0\x9f\x98"', b'"\\u\xe5"', b'"\\\xe5"', b"1\xe5", b"[a\xe5]", b'{"\xff":1}', b"\xe5", b'"\xfe"', b"\xff\xfe1\x00", b"\xfe\xff\x001", b'"caf\xe9"', b'"\x93a\x94"',
)  # fmt: skip
HALVES = (
    rb'"\ud800"', rb'"\uDFFF"', rb'"\udc00\ud800"', rb'"\ud800\ud800"', rb'"a\ud83d"', rb'"\ud83dx"', rb'"\ud83d\n"', rb'"\uD800\\uDC00"', rb'["\udbff"]', rb'{"\ud800":1}',
    rb'{"a":{"b":["\udc00"]}}', rb'"\ud83d\u0064"', rb'"\uD888\u1234"', rb'"\uDd1e\uD834"', rb'"\uDADA"', rb'"\uDBFF\uDBFF\uDFFF"',
)  # fmt: skip
TWICE = (
    b'{"a":1,"a":2}', b'{"a":1,"a":1}', rb'{"a":1,"\u0061":1}', rb'{"\u0061":1,"a":1}', b'{"":1,"":2}', b'{"a":1,"b":2,"a" : 3}', b'{"x":{"a":1,"a":1}}', b'[{"a":[{"b":1,"b":1}]}]',
    rb'{"\"":1,"\u0022":1}', rb'{"\\":1,"\u005c":1}', rb'{"\/":1,"/":1}', '{"é":1,"\\u00e9":1}'.encode(), '{"🎉":1,"\\ud83c\\udf89":1}'.encode(), rb'{"a\\":1,"b":1,"b":1}', b'{"a":"\\":","a":1}',
    b'{"a":1,"a":18446744073709551616}', b'{"a":18446744073709551616,"a":1}', b'{"a":1,"a":' + b"9" * 50 + b"}", b'{"a":null,"a":null}', b'{"a":{},"a":[]}', rb'{"\n":1,"\u000a":2}',
)  # fmt: skip
FAR = (
    b"18446744073709551616", b"-9223372036854775809", b"99999999999999999999", b"-99999999999999999999", b"100000000000000000000", b"1" + b"0" * 400, b"-" + b"7" * 4299, b"7" * 4301,
    b"9" * 20_000, b"[18446744073709551616]", b'{"a":[{"b":-9223372036854775809}]}', b"[0,1" + b"0" * 30 + b"]", b"[1e5,36893488147419103232]",
)  # fmt: skip
DEEP = (
    b"[" * 65 + b"]" * 65, b"[" * 100_000, b"[" * 2000 + b"]" * 2000, b'{"a":' * 65 + b"1" + b"}" * 65, b'[{"a":' * 50 + b"1" + b"}]" * 50, b'["[",' + b"[" * 64 + b"]" * 65,
    b'{"\\"":' + b"[" * 65 + b"]" * 65 + b"}", b"[" * 70 + b"x", b'[{"a":1}' * 70,
)  # fmt: skip
TROUBLE: tuple[tuple[str, bytes], ...] = tuple(
    (code, text)
    for code, texts in (
        ("bad_json", BROKEN), ("bad_utf8", NOT_UTF8), ("bad_utf8", HALVES), ("duplicate_key", TWICE), ("number_range", FAR), ("too_deep", DEEP),
    )
    for text in texts
)  # fmt: skip
"""Texts that must be refused wherever they stand, and the reason."""
