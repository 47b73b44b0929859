"""Values survive the way out of the sandbox, and nothing that is sent on it can do the host harm."""

import contextlib
import json
import math
import socket
import struct
import threading
from collections import namedtuple
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asap.sandbox.jail.codec import MAX_NODES, BadValue, Channel, Closed, Opaque, TooLarge, decode, encode
from asap.sandbox.jail.server import plain_form
from asap.sandbox.verdict import ascii_line, short_value

KEYS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary(), st.tuples(st.integers(), st.text())
)
LEAVES = st.one_of(
    KEYS, st.floats(), st.complex_numbers(), st.builds(bytearray, st.binary()), st.builds(range, st.integers(0, 9), st.integers())
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner), st.tuples(inner, inner), st.dictionaries(KEYS, inner), st.sets(KEYS), st.frozensets(KEYS)),
    max_leaves=30,
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(
        st.lists(inner), st.dictionaries(st.sampled_from(["t", "s", "z", "d", "b", "y", "i", "c", "r", "o", "x"]), inner)
    ),
)
PRIME = 2**61 - 1


def same(one, other) -> bool:
    """Equal values of equal types, nan and signed zero included."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return struct.pack("d", one) == struct.pack("d", other) or (math.isnan(one) and math.isnan(other))
    if isinstance(one, complex):
        return same(one.real, other.real) and same(one.imag, other.imag)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return same(list(one), list(other)) and same(list(one.values()), list(other.values()))
    return one == other


@given(VALUES)
def test_a_value_comes_back_as_it_was(value):
    assert same(decode(json.loads(json.dumps(encode(value)))), value)


@given(JSON)
def test_any_json_is_a_value_or_refused(data):
    try:
        value = decode(data)
    except BadValue:
        return
    short_value(value)
    if not any(word in repr(data) for word in ("'o'",)):
        assert same(decode(encode(value)), value)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(body):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(struct.pack(">I", len(body)) + body)
        theirs.shutdown(socket.SHUT_WR)
        with contextlib.suppress(BadValue):
            assert type(Channel(ours, 1000, 1000).receive()) is dict


@given(VALUES, st.integers(1, 100))
def test_what_is_shown_of_a_value_is_one_short_line(value, room):
    assert len(ascii_line(short_value(value))) < 400
    assert ascii_line(short_value(value)).isascii()


Point = namedtuple("Point", "x y")


class Sly(int):
    def __eq__(self, other):
        return True

    __hash__ = int.__hash__


def test_subclasses_become_what_they_are_made_of():
    assert same(decode(plain_form([Sly(3)])), [3])
    assert same(decode(plain_form(type("D", (dict,), {})({1: 2}))), {1: 2})
    assert same(decode(plain_form((Path("x"), [Decimal("1.0")], Point(1, 2)))), (Path("x"), [Decimal("1.0")], (1, 2)))
    assert isinstance(decode(encode(object())), Opaque)
    assert decode(encode(object())) != object()


@pytest.mark.parametrize(
    "data",
    [
        {"d": [[{"i": hex(i * PRIME + 1)[2:]}, 0] for i in range(1, 2000)]},
        {"s": [{"i": f"{i * PRIME + 1:x}"} for i in range(1, 2000)]},
        {"s": [{"t": [-1 - (i >> k & 1) for k in range(12)]} for i in range(4096)]},
        [{"i": f"{i * PRIME + 1:x}"} for i in range(1, 5000)],
        [{"t": [-1 - (i >> k & 1) for k in range(13)]} for i in range(8192)],
        {"i": "f" * 2_000_000},
        {"i": "12", "s": []},
        {"unknown": 1},
        {"s": [[1]]},
        {"d": [[[], 1]]},
        {"c": [1, 2]},
        {"t": 5},
    ],
    ids=["dict", "set", "tuples", "list", "list of tuples", "integer", "two tags", "tag", "list in set", "list as key", "ints", "no list"],
)
def test_what_no_honest_encoder_sends_is_refused(data):
    with pytest.raises(BadValue):
        decode(data)


def test_honest_collisions_are_let_through():
    assert decode(encode([10**30] * 5000)) == [10**30] * 5000
    assert decode(encode({PRIME * i for i in range(20)})) == {PRIME * i for i in range(20)}
    assert decode(encode([(-1, -2), (-2, -1)] * 3000)) == [(-1, -2), (-2, -1)] * 3000


def test_depth_nodes_and_digits_are_bounded():
    nested: list = []
    for _ in range(200):
        nested = [nested]
    with pytest.raises(RecursionError):
        encode(nested)
    doubled: list = [0, 0]
    for _ in range(40):
        doubled = [doubled, doubled]
    with pytest.raises(TooLarge):
        encode(doubled)
    with pytest.raises(TooLarge):
        encode([0] * (MAX_NODES + 1))
    with pytest.raises(TooLarge):
        encode(1 << 80_000_000)
    with pytest.raises(BadValue):
        decode(json.loads("[" * 900 + "]" * 900))


def test_a_message_above_the_limit_is_not_read():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(struct.pack(">I", 1 << 31))
        with pytest.raises(BadValue):
            Channel(ours, 100, 100).receive()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sender = threading.Thread(target=theirs.sendall, args=(struct.pack(">I", 7_000_002) + b"[" + b"," * 7_000_000 + b"]",))
        sender.start()
        with pytest.raises(BadValue, match="values"):
            Channel(ours, 100, 1 << 24).receive()
        sender.join()
    with pytest.raises(TooLarge):
        Channel(theirs, 10, 10).send({"long": "x" * 20})


def test_a_closed_channel_is_told():
    ours, theirs = socket.socketpair()
    with ours:
        theirs.close()
        with pytest.raises(Closed):
            Channel(ours, 100, 100).receive()
        with pytest.raises(Closed):
            Channel(ours, 100, 100).send({})
