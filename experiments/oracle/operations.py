"""The statements that a program is made of: each draws its operands, writes its code, and takes down the facts that it computes."""

from collections.abc import Sequence

from experiments.oracle.program import LARGEST, Operation, Scope


def add(scope: Scope) -> bool:
    """`c = a + b`, or plus a number."""
    left, right = _two_ints(scope)
    if left is None or right is None:
        return False
    one, other = _int(scope, left), _int(scope, right)
    if one + other > LARGEST:
        return False
    scope.assign(f"{left} + {right}", f"{one}+{other}", one + other, f"{one + other}-{other} = {one}", [left, right])
    return True


def subtract(scope: Scope) -> bool:
    """`c = a - b`, or minus a number."""
    left, right = _two_ints(scope)
    if left is None or right is None:
        return False
    one, other = _int(scope, left), _int(scope, right)
    if one <= other:
        return False
    scope.assign(f"{left} - {right}", f"{one}-{other}", one - other, f"{one - other}+{other} = {one}", [left, right])
    return True


def multiply(scope: Scope) -> bool:
    """`c = a * 2`, or by 3."""
    name, by = scope.draw(int), scope.chance.randint(2, 3)
    if name is None or _int(scope, name) * by > LARGEST:
        return False
    value = _int(scope, name)
    scope.assign(f"{name} * {by}", f"{value}*{by}", value * by, f"{value * by}/{by} = {value}", [name])
    return True


def last_digit(scope: Scope) -> bool:
    """`c = a % 10`."""
    name = scope.draw(int)
    if name is None or _int(scope, name) < 11:
        return False
    value = _int(scope, name)
    scope.assign(f"{name} % 10", f"{value}%10", value % 10, f"{value}-{value % 10} = {value - value % 10}", [name])
    return True


def call(scope: Scope) -> bool:
    """`c = f(a)`, where there is a function."""
    name = scope.draw(int)
    if name is None or not scope.lines[0].startswith("def"):
        return False
    value = _int(scope, name)
    _, _, sign, by, _, plus = scope.lines[1].split()
    inner = {"+": value + int(by), "-": value - int(by), "*": value * int(by)}[sign]
    if inner < 0 or inner + int(plus) > LARGEST:
        return False
    found = inner + int(plus)
    scope.assign(f"f({name})", f"{value}{sign}{by}+{plus}", found, f"{found}-{plus} = {inner}", [name])
    return True


def branch(scope: Scope) -> bool:
    """`if a > b:` the difference, else b plus a number."""
    left = scope.draw(int)
    right = scope.draw(int, unlike=left or "")
    if left is None or right is None:
        return False
    one, other, plus = _int(scope, left), _int(scope, right), scope.chance.randint(2, 9)
    if other + plus > LARGEST:
        return False
    name = scope.names.pop()
    scope.lines += [f"if {left} > {right}:", f"    {name} = {left} - {right}", "else:", f"    {name} = {right} + {plus}"]
    if one > other:
        found, filled, check, before = one - other, f"{one}-{other}", f"{one - other}+{other} = {one}", f"{one}>{other}, "
    else:
        found, filled, check, before = other + plus, f"{other}+{plus}", f"{other + plus}-{plus} = {other}", f"{one}<={other}, "
    scope.fact(name, filled, found, check, [left, right], before)
    return True


def loop(scope: Scope) -> bool:
    """`for i in [2, 5]: a = a + i`: a fact for each round."""
    name, items = scope.draw(int), scope.chance.sample(range(1, 10), scope.chance.randint(2, 3))
    if name is None or _int(scope, name) + sum(items) > LARGEST:
        return False
    scope.lines += [f"for i in {items}:", f"    {name} = {name} + i"]
    for item in items:
        value = _int(scope, name)
        scope.fact(name, f"{value}+{item}", value + item, f"{value + item}-{item} = {value}", [name])
    return True


def biggest(scope: Scope) -> bool:
    """`c = max(xs)`."""
    name = scope.draw(list)
    if name is None:
        return False
    items = _list(scope, name)
    scope.assign(f"max({name})", f"max({_shown(items)})", max(items), f"next is {sorted(items)[-2]}", [name])
    return True


def total(scope: Scope) -> bool:
    """`c = sum(xs)` of a short list."""
    name = scope.draw(list)
    if name is None or len(_list(scope, name)) > 3:
        return False
    items = _list(scope, name)
    filled, check = "+".join(map(str, items)), f"{'+'.join(map(str, reversed(items)))} = {sum(items)}"
    scope.assign(f"sum({name})", filled, sum(items), check, [name])
    return True


def item(scope: Scope) -> bool:
    """`c = xs[1]`."""
    name = scope.draw(list)
    if name is None:
        return False
    items, place = _list(scope, name), scope.chance.randint(1, 2)
    scope.assign(f"{name}[{place}]", f"{items}[{place}]", items[place], f"{items[place - 1]} is before it", [name])
    return True


def longer(scope: Scope) -> bool:
    """`ys = xs + [a]`."""
    name, last = scope.draw(list), scope.draw(int)
    if name is None or last is None or len(_list(scope, name)) > 3:
        return False
    items, value = _list(scope, name), _int(scope, last)
    scope.assign(f"{name} + [{last}]", f"{items}+[{value}]", [*items, value], f"it ends in {value}", [name, last])
    return True


def glue(scope: Scope) -> bool:
    """`u = s + t`, or plus a letter."""
    name = scope.draw(str)
    if name is None or len(_str(scope, name)) > 7:
        return False
    end, text = scope.chance.choice("qwzk"), _str(scope, name)
    scope.assign(f"{name} + {end!r}", f"{text!r}+{end!r}", text + end, f"it ends in {end!r}", [name])
    return True


def twice(scope: Scope) -> bool:
    """`u = s * 2` of a short text."""
    name = scope.draw(str)
    if name is None or len(_str(scope, name)) > 4:
        return False
    text = _str(scope, name)
    scope.assign(f"{name} * 2", f"{text!r}*2", text * 2, f"half is {text!r}", [name])
    return True


def length(scope: Scope) -> bool:
    """`n = len(s)`."""
    name = scope.draw(str)
    if name is None:
        return False
    text = _str(scope, name)
    scope.assign(f"len({name})", f"len({text!r})", len(text), f"it ends in {text[-1]!r}", [name])
    return True


OPERATIONS: tuple[Operation, ...] = (
    *(add, add, subtract, subtract, multiply, last_digit, call, branch, loop),
    *(biggest, total, item, longer, glue, twice, length),
)


def _two_ints(scope: Scope) -> tuple[str | None, str | None]:
    """Two operands: a variable, and another one or a number."""
    left = scope.draw(int)
    other = scope.draw(int, unlike=left or "") if scope.chance.random() < 0.6 else str(scope.chance.randint(2, 9))
    return left, other


def _int(scope: Scope, operand: str) -> int:
    value = int(operand) if operand.isdigit() else scope.values[operand]
    assert isinstance(value, int)
    return value


def _list(scope: Scope, name: str) -> list[int]:
    value = scope.values[name]
    assert isinstance(value, list)
    return value


def _str(scope: Scope, name: str) -> str:
    value = scope.values[name]
    assert isinstance(value, str)
    return value


def _shown(items: Sequence[int]) -> str:
    return ", ".join(map(str, items))
