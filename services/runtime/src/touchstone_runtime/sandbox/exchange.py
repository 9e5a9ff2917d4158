"""How two processes that do not trust one another call functions of one another. Standard library only.

Plain values go by value, everything else by reference: whoever gets a reference can call it, and the owner may allow
more. Messages are JSON behind a length of four bytes; nothing that is received is run.
"""

import builtins
import collections
import decimal
import fractions
import json
import math
import operator
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from typing import Any

MAX_MESSAGE_BYTES = 64 << 20
_LENGTH = struct.Struct(">I")
_SEQUENCES = (list, tuple, set, frozenset, collections.deque)
_TEXTUAL: dict[str, Callable[[str], Any]] = {
    "Decimal": decimal.Decimal,
    "Fraction": fractions.Fraction,
    "complex": complex,
    "bytes": bytes.fromhex,
}
_PLAIN: dict[type, Callable[[Any], Any]] = {
    int: lambda value: int(value) if abs(value) < 1 << 53 else ["int", hex(value)],
    float: lambda value: float(value) if math.isfinite(value) else ["float", str(float(value))],
    complex: lambda value: ["complex", str(complex(value))],
    decimal.Decimal: lambda value: ["Decimal", str(value)],
    fractions.Fraction: lambda value: ["Fraction", str(value)],
    bytes: lambda value: ["bytes", value.hex()],
    bytearray: lambda value: ["bytes", value.hex()],
}
_CHANGEABLE = (list, dict, set, collections.deque)


def _next(iterator: Iterator[Any]) -> tuple[bool, Any]:
    try:
        return (True, next(iterator))
    except StopIteration:
        return (False, None)


_VERBS: dict[str, Callable[..., Any]] = {
    "attribute": getattr,
    "set_attribute": setattr,
    "item": operator.getitem,
    "set_item": operator.setitem,
    "length": len,
    "iterator": iter,
    "next": _next,
}


class Gone(Exception):
    """The other process has ended, or speaks otherwise than it should."""


class Raised(Exception):
    """What the other process raised where it is no exception of Python's own."""


class Reference:
    """An object of the other process. It equals nothing but itself: what it equals is not for its owner to say."""

    def __init__(self, peer: "Peer", number: int) -> None:
        self.__dict__["_peer"] = peer
        self.__dict__["_number"] = number

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it over there."""
        return self._peer.ask("call", self._number, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return self._peer.ask("attribute", self._number, (name,), {})

    def __setattr__(self, name: str, value: Any) -> None:
        self._peer.ask("set_attribute", self._number, (name, value), {})

    def __getitem__(self, key: Any) -> Any:
        return self._peer.ask("item", self._number, (key,), {})

    def __setitem__(self, key: Any, value: Any) -> None:
        self._peer.ask("set_item", self._number, (key, value), {})

    def __len__(self) -> int:
        return int(self._peer.ask("length", self._number, (), {}))

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Any]:
        iterator = self._peer.ask("iterator", self._number, (), {})
        while True:
            more, value = self._peer.ask("next", iterator._number, (), {})
            if not more:
                return
            yield value


class Peer:
    """One end of the line."""

    def __init__(self, line: socket.socket, *, only_calls: bool) -> None:
        """Hold the line.

        Args:
            line: The stream.
            only_calls: Whether the other end may do no more with references than call them.
        """
        self._line = line
        self._only_calls = only_calls
        self._objects: dict[int, Any] = {}
        self._numbers: dict[int, int] = {}
        self._readers: dict[str, Callable[[Any], Any]] = {
            **_TEXTUAL,
            "list": self._all,
            "tuple": lambda content: tuple(self._all(content)),
            "set": lambda content: set(self._all(content)),
            "frozenset": lambda content: frozenset(self._all(content)),
            "deque": lambda content: collections.deque(self._all(content)),
            "dict": self._dict,
            "int": lambda content: int(content, 16),
            "float": float,
            "yours": self._objects.__getitem__,
            "mine": lambda content: Reference(self, int(content)),
        }

    def ask(self, verb: str, number: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Have the other end do something, and do what it asks for meanwhile; changes to arguments are taken over.

        Raises:
            Gone: It has ended.
            Raised: It raised what is no exception of Python's own; others are raised as they are.
        """
        self._send(
            {
                "verb": verb,
                "number": number,
                "args": [self._out(one) for one in args],
                "kwargs": {name: self._out(one) for name, one in kwargs.items()},
            }
        )
        while True:
            message = self._receive()
            if "verb" in message:
                self._serve(message)
                continue
            for place, changed in message.get("changed", {}).items():
                _take_over(args[int(place)], self._in(changed))
            if "raised" in message:
                raise _exception(message["raised"], [self._in(one) for one in message["args"]])
            return self._in(message["value"])

    def serve(self) -> None:
        """Do what the other end asks for until it ends."""
        while True:
            self._serve(self._receive())

    def offer(self, value: Any) -> int:
        """Let the other end use an object."""
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self._objects)
            self._objects[number] = value
        return number

    def _serve(self, message: dict[str, Any]) -> None:
        args: list[Any] = []
        try:
            verb, target = message["verb"], self._objects[message["number"]]
            args = [self._in(one) for one in message["args"]]
            before = {place: self._out(one) for place, one in enumerate(args) if isinstance(one, _CHANGEABLE)}
            value = self._done(verb, target, args, {name: self._in(one) for name, one in message["kwargs"].items()})
            answer: dict[str, Any] = {"value": self._out(value)}
            after = {place: self._out(args[place]) for place in before}
            answer["changed"] = {place: one for place, one in after.items() if one != before[place]}
        except Gone:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever the program raises, the tests get
            told = [self._out(one) for one in error.args if isinstance(one, str | int | float)]
            answer = {"raised": type(error).__name__, "args": told}
        self._send(answer)

    def _done(self, verb: str, target: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        if verb == "call":
            return target(*args, **kwargs)
        if self._only_calls:
            raise PermissionError("only calls are allowed")
        return _VERBS[verb](target, *args)

    def _out(self, value: Any) -> Any:
        """As JSON: plain values as they are or as [kind, content], with those of a subclass as of its kind."""
        if isinstance(value, bool | str | None):
            return value
        for kind, write in _PLAIN.items():
            if isinstance(value, kind):
                return write(value)
        if isinstance(value, dict):
            return ["dict", [[self._out(key), self._out(one)] for key, one in value.items()]]
        for kind in _SEQUENCES:
            if isinstance(value, kind):
                return [kind.__name__, [self._out(one) for one in value]]
        if isinstance(value, Reference) and value._peer is self:
            return ["yours", value._number]
        return ["mine", self.offer(value)]

    def _in(self, document: Any) -> Any:
        if not isinstance(document, list):
            return document
        kind, content = document
        if kind not in self._readers:
            raise Gone(f"no kind {kind!r}")
        return self._readers[kind](content)

    def _all(self, documents: list[Any]) -> list[Any]:
        return [self._in(one) for one in documents]

    def _dict(self, pairs: list[Any]) -> dict[Any, Any]:
        return {self._in(key): self._in(one) for key, one in pairs}

    def _send(self, message: dict[str, Any]) -> None:
        content = json.dumps(message).encode()
        try:
            self._line.sendall(_LENGTH.pack(len(content)) + content)
        except OSError as error:
            raise Gone("the other process has ended") from error

    def _receive(self) -> dict[str, Any]:
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size))
        if length > MAX_MESSAGE_BYTES:
            raise Gone("a value is too large")
        try:
            message = json.loads(self._read(length))
        except ValueError as error:
            raise Gone("the other process does not speak as it should") from error
        if not isinstance(message, dict):
            raise Gone("the other process does not speak as it should")
        return message

    def _read(self, length: int) -> bytes:
        parts = []
        while length:
            try:
                part = self._line.recv(min(length, 1 << 20))
            except OSError as error:
                raise Gone("the other process has ended") from error
            if not part:
                raise Gone("the other process has ended")
            parts.append(part)
            length -= len(part)
        return b"".join(parts)


def module(name: str) -> Any:
    """A module of the standard library by its name; None: there is none of that name."""
    return __import__(name) if name in sys.stdlib_module_names else None


def _take_over(target: Any, changed: Any) -> None:
    """Make an argument what the other end made of it."""
    if isinstance(target, list) and isinstance(changed, list):
        target[:] = changed
    elif isinstance(target, dict | set | collections.deque) and type(changed) is type(target):
        target.clear()
        getattr(target, "extend" if isinstance(target, collections.deque) else "update")(changed)


def _exception(name: str, args: list[Any]) -> Exception:
    kind = getattr(builtins, str(name), None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        try:
            return kind(*args)
        except TypeError:
            return Raised(name, *args)
    return Raised(name, *args)
