"""Files made to harm: each ends within seconds and megabytes, in a SpecError or a UserError, and nothing of it is run."""

from __future__ import annotations

import contextlib
import resource
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archprof.build import build
from archprof.errors import SpecError, UserError
from archprof.expand import expand
from archprof.expand.export import export
from archprof.language import read
from archprof.language.bundled import folder
from archprof.language.limits import DEFAULT, Limits
from archprof.language.reader import read_text
from archprof.language.source import Source
from archprof.pipeline import profile
from archprof.renderers.diagram import diagram

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "archprof: 1\nname: net\ninputs:\n  x: float32[3, 8, 8]\n"
SECONDS, MEBIBYTES, CHARACTERS = 15, 150, 100_000


def steps(text: str) -> str:
    return f"{HEAD}steps:\n  {text}\n"


def blocks(text: str, last: str) -> str:
    return f"{HEAD}blocks:\n{text}steps: {last}\n"


def levels(count: int, body: str) -> str:
    return "".join(f"  B{i}: {body.replace('NEXT', f'B{i + 1}')}\n" for i in range(count))


HOSTILE = {
    "block bomb": blocks(levels(30, "in -> NEXT -> NEXT") + "  B30: ReLU\n", "B0"),
    "block bomb without layers": blocks(levels(30, "in -> NEXT -> NEXT") + "  B30: in\n", "B0"),
    "block bomb of repeats": blocks(levels(12, "in -> NEXT * 20000") + "  B12: ReLU\n", "B0"),
    "blocks in deep expressions": blocks(
        levels(30, "in" + " + (in" * 20 + " -> NEXT" + ")" * 20) + "  B30: ReLU\n", "B0"
    ),
    "blocks through params": blocks("  A(F, G): in -> F(G, F)\n", "A(A, A)"),
    "deep sequences": steps("a: " + "[" * 100_000),
    "deep mappings": HEAD + "steps:\n" + "".join(" " * i + f"a{i}:\n" for i in range(2, 800)),
    "deep braces": steps("a: " + "{a: " * 50_000),
    "deep parentheses": steps("a: " + "(" * 1900 + "1" + ")" * 1900),
    "deep signs": steps("a: " + "- " * 1900 + "1"),
    "deep nots in a key": steps("if " + "not " * 900 + "x:\n    a: ReLU"),
    "deep default of a block": blocks("  A(n=" + "-(" * 900 + "1" + ")" * 900 + "): ReLU\n", "A"),
    "deep powers": steps("a: Conv2d(" + "1 ** " * 700 + "1, 3)"),
    "alias bomb": HEAD + "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nsteps: ReLU\n",
    "python tag": steps("a: !!python/object/apply:os.system [id]"),
    "duplicate keys": steps("a: ReLU\n  " * 3000 + "b: ReLU"),
    "duplicate blocks": blocks("  A: ReLU\n  A(n): ReLU\n", "A"),
    "too large": steps("a: ReLU # " + "x" * (1 << 20)),
    "many events": HEAD + "steps:\n" + "".join(f"  a{i}: ReLU\n" for i in range(40_000)),
    "many mistakes": HEAD + "steps:\n" + "".join(f"  a{i}: RELU\n" for i in range(8_000)),
    "many checks for variants that are none": HEAD
    + "variants:\n"
    + "".join(f"  variant{i}: {{}}\n" for i in range(1900))
    + "checks:\n"
    + "".join(f"  varient{i}x: []\n" for i in range(1900))
    + "steps: ReLU\n",
    "many sections": HEAD + "".join(f"blockss{i}: {{}}\n" for i in range(8000)) + "steps: ReLU\n",
    "many broken params": HEAD + "params:\n" + "".join(f"  p{i}: 1 +\n" for i in range(2000)) + "steps: ReLU\n",
    "many aliases": HEAD + "steps:\n" + "".join(f"  a{i}: *b\n" for i in range(8000)),
    "many comments": HEAD + "# x\n" * 60_000 + "steps: [\n",
    "huge number": steps("a: Conv2d(" + "9" * 3900 + ", 3)"),
    "huge percentage": steps("a: Dropout(1" + "0" * 400 + "%)"),
    "no character": HEAD + 'about: "\\UFFFFFFFF"\nsteps: ReLU\n',
    "no character by one": HEAD + 'about: "\\U00110000"\nsteps: ReLU\n',
    "half a character": HEAD + 'source: "x \\ud800"\nsteps: ReLU\n',
    "half a character in a key": HEAD + 'params: {"\\udfff": 1}\nsteps: ReLU\n',
    "tower": steps("a: Conv2d(2**64**64, 3)"),
    "tower of floats": steps("a: Conv2d(9.9**64**64**64, 3)"),
    "rounding to a huge power": steps("a: Conv2d(round(5, 0 - 10**18), 3)"),
    "huge suffix": steps("a: Conv2d(1e99999999K, 3)"),
    "huge layers": steps("a: Conv2d(10**9, 3) * 3"),
    "many recurrent layers": HEAD.replace("[3, 8, 8]", "[5, 4]") + "steps:\n  a, _: LSTM(4, num_layers=10**9)\n",
    "foreign with many layers": steps("a: nn.Transformer(8, 1, 10**9)"),
    "many repeats": steps("a: ReLU * 10**18"),
    "many steps": steps("for i in 1..10000:\n    a{i}: ReLU\n    b{i}: ReLU\n    c{i}: ReLU"),
    "many different layers": steps("for i in 1..10000:\n    a{i}: in -> Conv2d(i, 3)"),
    "nested loops": steps("for i in 1..10000:\n    for j in 1..10000:\n      if i < 0:\n        a: ReLU"),
    "empty nested loops": steps("for i in 1..10000:\n    for j in 1..10000: {}"),
    "huge range": steps("for i in 1..10**18:\n    a{i}: ReLU"),
    "huge list": steps("a: Conv2d(len([0] * 10**7), 3)"),
    "lists of lists": HEAD + "params:\n  a: ([0] * 9000)\n  b: ([a] * 9000)\n  c: ([b] * 9000)\nsteps: Conv2d(c, b)\n",
    "deep lists": HEAD
    + "params:\n  a0: [1]\n"
    + "".join(f"  a{i}: [a{i - 1}]\n" for i in range(1, 2000))
    + "steps: Conv2d(a1999, 1)\n",
    "doubling bundles": steps(
        "a0: (in, in)\n  " + "\n  ".join(f"a{i}: (a{i - 1}, a{i - 1})" for i in range(1, 40)) + "\n  b: a39 -> Concat"
    ),
    "doubling chains": steps("a: " + "(" * 40 + "ReLU" + " * 2)" * 40),
    "huge name": steps("enc{10**18}: ReLU\n  b: enc1 -> ReLU"),
    "long name": steps("a" + "{9223372036854775807}" * 190 + ": ReLU\n  b: c -> ReLU"),
    "long lines": steps("a: " + "ReLU -> " * 100_000 + "ReLU"),
    "huge input": HEAD.replace("[3, 8, 8]", "[10**12, 10**12]") + "steps: Linear(4)\n",
    "long regular expression": steps("a" + "{" * 1900 + ": ReLU"),
    "long number": steps("a: " + "1_" * 1900 + "x"),
    "variants like each other": HEAD
    + "variants:\n"
    + "".join(f"  v{i}: {{like: v{(i + 1) % 900}}}\n" for i in range(900))
    + "steps: ReLU\n",
    "code as a name": steps("__import__('os').system('id'): ReLU"),
    "code as a layer": steps("a: nn.Module.__subclasses__()"),
    "code as a foreign layer": steps("a: nn.os()"),
    "function as a foreign layer": steps("a: nn.functional.relu()"),
    "code as an attribute": steps("a: in -> Conv2d(in.__class__, 3)"),
    "code as a text": HEAD + "params: {t: \"'); __import__('os').system('id')\"}\nsteps:\n  a{t}: ReLU\n",
    "code as an input": 'archprof: 1\nname: net\ninputs:\n  "x=print(1)": float32[3]\nsteps: ReLU\n',
    "extends a device": "archprof: 1\nname: net\nextends: /dev/zero.yaml\n",
    "extends outside": "archprof: 1\nname: net\nextends: ../../../etc/passwd.yaml\n",
    "extends with a zero byte": 'archprof: 1\nname: net\nextends: "a\\0.yaml"\n',
    "merge key": HEAD + "params: {<<: {a: 1}}\nsteps: ReLU\n",
    "second document": HEAD + "steps: ReLU\n---\n" * 100,
    "directive": "%YAML 9.9\n---\n" + HEAD + "steps: ReLU\n",
}
ABSURD = {
    "huge layer": steps("a: Conv2d(10**15, 3)"),
    "huge patterns": HEAD.replace("[3, 8, 8]", "[64]") + "steps: RBF(10**11)\n",
    "long input of a recurrent net": HEAD.replace("[3, 8, 8]", "[10**12, 4]") + "steps:\n  a, _: GRU(4)\n",
}
BYTES = {
    "binary": bytes(range(256)) * 100,
    "nothing": b"",
    "zeros": b"\0" * 1000,
    "UTF-16": (HEAD + "steps: ReLU\n").encode("utf-16"),
    "Latin-1": "archprof: 1\nname: n\xe9t\n".encode("latin-1"),
    "a zero in the text": (HEAD + "steps: Re\0LU\n").encode(),
    "lone carriage returns": (HEAD + "steps: ReLU\n").replace("\n", "\r").encode() + b"\r\t\r:",
    "1 MiB and one byte": b"#" * ((1 << 20) + 1),
    "right-to-left": (HEAD + "steps: Re\u202eLU\n").encode(),
}


@pytest.mark.parametrize("title", HOSTILE)
def test_a_hostile_spec_is_refused_in_time(title: str, tmp_path: Path) -> None:
    path = tmp_path / "hostile.yaml"
    path.write_text(HOSTILE[title], "utf-8")
    refuse(path)


@pytest.mark.parametrize("title", ABSURD)
def test_a_network_of_absurd_size_costs_nothing(title: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.monotonic()
    assert len(expand(read_text(Source("net.yaml", ABSURD[title]), DEFAULT)).calls) == 1
    assert time.monotonic() - begin < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEBIBYTES << 10


def test_concats_of_one_another_are_drawn_at_once(tmp_path: Path) -> None:
    steps = "".join(f"  c{i}: (c{i - 1}, c{i - 1}) -> Concat\n" for i in range(1, 41))
    path = tmp_path / "doubling.yaml"
    path.write_text(
        f"archprof: 1\nname: net\ninputs:\n  c0: float32[1, 8]\nsteps:\n{steps}"
        "  group:\n    a: c40 -> Linear(8)\n    b: Linear(8)\n",
        "utf-8",
    )
    begin = time.monotonic()
    assert diagram(profile(path).network, title="net").count("Concat") == 40
    assert time.monotonic() - begin < SECONDS


@pytest.mark.parametrize("title", BYTES)
def test_a_file_that_is_no_text_is_refused(title: str, tmp_path: Path) -> None:
    path = tmp_path / "hostile.yaml"
    path.write_bytes(BYTES[title])
    refuse(path)


def refuse(path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.monotonic()
    with pytest.raises(UserError) as caught:
        expand(read(path), limits=Limits(seconds=4))
    assert 0 < len(str(caught.value)) < CHARACTERS
    assert time.monotonic() - begin < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEBIBYTES << 10


@pytest.mark.parametrize("name", ["class", "forward", "code", "self", "in", "train", "parameters", "T_destination", "_modules",
                                  "__init__", "graph", "torch", "training", "add_module", "lambda", "import"])  # fmt: skip
def test_names_that_python_or_torch_need_are_refused(name: str) -> None:
    for text in (steps(f"{name}: ReLU"), HEAD.replace("x:", f"{name}:") + "steps: ReLU\n"):
        with pytest.raises(SpecError) as caught:
            expand(read_text(Source("net.yaml", text), DEFAULT))
        assert {problem.code for problem in caught.value.problems} <= {"E107", "E103"}


def test_a_legal_name_stays_a_name_in_the_generated_code() -> None:
    text = steps("_x: in -> Conv2d(8, 3)\n  print: _x -> ReLU\n  id: print -> Conv2d(8, 1)\n  match: id -> ReLU")
    module = build(expand(read_text(Source("net.yaml", text), DEFAULT)), "cpu")
    assert [line.split("=")[0].strip() for line in module.code.splitlines() if "self." in line]
    assert list(module.state_dict()) == ["_x.weight", "_x.bias", "id.weight", "id.bias"]


@pytest.mark.parametrize("text", ["\ufeff{}", "{}"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_byte_order_mark_and_windows_line_ends_are_no_harm(text: str, newline: str, tmp_path: Path) -> None:
    path = tmp_path / "fine.yaml"
    path.write_bytes(text.format(steps("a: Conv2d(8, 3)\n  b: ReLU")).replace("\n", newline).encode())
    assert [call.path for call in expand(read(path)).calls] == ["a", "b"]


def test_a_user_may_lower_the_limits() -> None:
    text = steps("a: ReLU * 5")
    with pytest.raises(SpecError, match=r"more than 3 layers|repeated 0 to 3"):
        expand(read_text(Source("net.yaml", text), DEFAULT), limits=Limits(calls=3))


# ---- fuzzing: any text is a spec or is refused ----

BUNDLED = [path.read_text("utf-8") for path in sorted(folder().glob("*.yaml"))]
SMALL = Limits(calls=400, evaluation_steps=20_000, seconds=2.0)
PIECES = st.sampled_from(
    ["in", "x", "a", "Conv2d", "ReLU", "Concat", "Block", "(", ")", "[", "]", "{", "}", ",", "->", "+", "-", "*", "**", "//", "/",
     "%", "..", ".", "=", "==", "<", "if", "else", "for", "not", "and", "or", "1", "3", "0", "64K", "2%", "1e9", '"t"', "true",
     "null", "stride=2", "share", "len", "channels", "_", ":", "#", "'", "é", "\t", "nn.", "Parameter", "reversed"],
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=14).map(" ".join) | st.lists(PIECES, max_size=14).map("".join)


def survive(text: str) -> None:
    with contextlib.suppress(UserError):
        document = read_text(Source("fuzz.yaml", text), SMALL)
        export(expand(document, limits=SMALL))


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(TEXTS, TEXTS, TEXTS)
def test_any_expression_is_a_spec_or_refused(key: str, value: str, item: str) -> None:
    survive(f"{HEAD}blocks:\n  Block(n=2): {item}\nsteps:\n  a: ReLU\n  {key}: {value}\n  c:\n    - {item}\n")


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_damage_to_a_bundled_spec_is_a_spec_or_refused(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(BUNDLED))
    for _ in range(data.draw(st.integers(1, 4))):
        lines = text.split("\n")
        i, j = (data.draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        at = data.draw(st.integers(0, max(0, len(text) - 2)))
        match data.draw(st.sampled_from(["delete", "double", "swap", "cut", "repeat", "insert", "exchange"])):
            case "delete":
                del lines[i]
            case "double":
                lines.insert(i, lines[j])
            case "swap":
                lines[i], lines[j] = lines[j], lines[i]
            case "cut":
                lines = (text[:at] + text[at + 1 :]).split("\n")
            case "repeat":
                lines = (text[:at] + text[at : at + 1] * 2 + text[at + 1 :]).split("\n")
            case "insert":
                lines = (text[:at] + data.draw(PIECES) + text[at:]).split("\n")
            case "exchange":
                lines = (text[:at] + text[at + 1 : at + 2] + text[at : at + 1] + text[at + 2 :]).split("\n")
        text = "\n".join(lines)
    survive(text)
