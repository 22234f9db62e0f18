"""A pickle's content without anything being run: its opcodes are listed, and those of plain data are followed.

Python's own unpickler calls whatever a file names. This one calls nothing: a name from a file stays a name.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_HARMLESS = (  # what training programs put beside the weights; it is passed over
    "torch.",
    "collections.",
    "pytorch_lightning.",
    "lightning.",
    "lightning_fabric.",
    "omegaconf.",
    "argparse.Namespace",
    "pathlib.",
    "typing.",
    "numpy.",
)
_HARMLESS_BUILTINS = {f"{module}.{name}" for module in ("builtins", "__builtin__") for name in ("dict", "list", "set")}
_MARK = object()


class PickleFault(ValueError):
    """A pickle that is damaged, or names something that none of weights has."""


@dataclass(frozen=True)
class Name:
    """What a pickle would import: ``torch.FloatStorage``."""

    name: str


@dataclass
class Made:
    """What a pickle would make by calling ``by`` with ``arguments``; what it is given later is left out."""

    by: Any
    arguments: tuple[Any, ...]
    items: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Kept:
    """What a pickle keeps outside of itself, by its description."""

    description: Any


def content_of(pickled: bytes) -> Any:
    """What is in a pickle: dicts, lists, tuples, numbers and text, and ``Name``, ``Made`` and ``Kept`` for all else.

    Raises ``PickleFault`` if it is damaged or names what no file of weights needs, as one does that wants to run code.
    """
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(pickled):
            if opcode.name == "STOP":
                return machine.stack.pop()
            machine.take(opcode.name, argument)
    except PickleFault:
        raise
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise PickleFault("damaged") from error
    raise PickleFault("damaged")


class _Machine:
    """A stack and a memory, as pickles use them."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self._memory: dict[int, Any] = {}

    def take(self, opcode: str, argument: Any) -> None:
        """Follow one opcode."""
        if opcode in _VALUES:
            self.stack.append(_VALUES[opcode](argument))
        elif opcode in ("PUT", "BINPUT", "LONG_BINPUT"):
            self._memory[argument] = self.stack[-1]
        elif opcode == "MEMOIZE":
            self._memory[len(self._memory)] = self.stack[-1]
        elif opcode in ("GET", "BINGET", "LONG_BINGET"):
            self.stack.append(self._memory[argument])
        elif opcode in _STEPS:
            _STEPS[opcode](self)
        elif opcode == "GLOBAL":
            self.stack.append(_named(argument.replace(" ", ".", 1)))
        elif opcode not in ("PROTO", "FRAME"):
            raise PickleFault(f"holds {opcode}, which no file of weights needs")

    def pop(self, count: int) -> list[Any]:
        """The uppermost values, in their order, taken away."""
        if count > len(self.stack):
            raise PickleFault("damaged")
        taken = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return taken

    def drop(self) -> None:
        """Take the uppermost value away."""
        self.pop(1)

    def marked(self) -> list[Any]:
        """The values above the last mark, taken away with it."""
        at = next(place for place in reversed(range(len(self.stack))) if self.stack[place] is _MARK)
        taken = self.stack[at + 1 :]
        del self.stack[at:]
        return taken

    def set_items(self, pairs: list[Any]) -> None:
        """Put keys and values by turns into the uppermost value."""
        target = self.stack[-1]
        items = target if isinstance(target, dict) else target.items
        items.update(zip(pairs[::2], pairs[1::2], strict=True))

    def append(self, values: list[Any]) -> None:
        """Append to the uppermost value."""
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(values)

    def call(self, opcode: str) -> None:
        """What the uppermost two would make."""
        by, arguments = self.pop(2)
        self.stack.append(_made(by, tuple(arguments) if opcode == "REDUCE" else ()))


def _named(name: str) -> Name:
    if not (name.startswith(_HARMLESS) or name in _HARMLESS_BUILTINS):
        raise PickleFault(f"wants to run {name!r}; it isn't read")
    return Name(name)


def _made(by: Any, arguments: tuple[Any, ...]) -> Any:
    if by == Name("collections.OrderedDict"):
        return dict(*arguments)
    return Made(by, arguments)


def _itself(argument: Any) -> Any:
    return argument


_VALUES: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"), _itself),
    **dict.fromkeys(("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"), _itself),
    **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BINSTRING", "SHORT_BINSTRING", "STRING"), _itself),
    "NONE": lambda _: None,
    "NEWTRUE": lambda _: True,
    "NEWFALSE": lambda _: False,
    "EMPTY_DICT": lambda _: {},
    "EMPTY_LIST": lambda _: [],
    "EMPTY_TUPLE": lambda _: (),
    "EMPTY_SET": lambda _: [],
    "MARK": lambda _: _MARK,
}
_STEPS: dict[str, Callable[[_Machine], None]] = {
    "TUPLE1": lambda to: to.stack.append(tuple(to.pop(1))),
    "TUPLE2": lambda to: to.stack.append(tuple(to.pop(2))),
    "TUPLE3": lambda to: to.stack.append(tuple(to.pop(3))),
    "TUPLE": lambda to: to.stack.append(tuple(to.marked())),
    "LIST": lambda to: to.stack.append(to.marked()),
    "DICT": lambda to: to.stack.append(dict(zip(*[iter(to.marked())] * 2, strict=True))),
    "STACK_GLOBAL": lambda to: to.stack.append(_named(".".join(to.pop(2)))),
    "BINPERSID": lambda to: to.stack.append(Kept(to.pop(1)[0])),
    "REDUCE": lambda to: to.call("REDUCE"),
    "NEWOBJ": lambda to: to.call("NEWOBJ"),
    "BUILD": lambda to: to.drop(),
    "SETITEM": lambda to: to.set_items(to.pop(2)),
    "SETITEMS": lambda to: to.set_items(to.marked()),
    "APPEND": lambda to: to.append(to.pop(1)),
    "APPENDS": lambda to: to.append(to.marked()),
    "ADDITEMS": lambda to: to.append(to.marked()),
    "POP": lambda to: to.drop(),
}
