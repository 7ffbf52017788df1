"""Rewrite an answer so that it does the same: other names, another order of statements."""

import ast
import builtins
import keyword
from random import Random

# Arguments that the probes pass by name: the contract has them.
_BY_NAME = {"batch_size", "n_bins", "in_channels", "out_channels"} | {
    f"lambda_{term}" for term in ("gan", "pixel", "cycle")
}
# What a call does to the state of networks and optimizers: (reads, writes).
_EFFECTS = {
    "backward": ({"weights"}, {"gradients"}),
    "step": ({"gradients"}, {"weights"}),
    "zero_grad": (set(), {"gradients"}),
}
_ALL = "everything"


def rewritten(source: str, random: Random) -> str:
    """Return other code for the last function or class of `source`; the rest stays."""
    module = ast.parse(source)
    answer = module.body[-1]
    _reorder(answer, random)
    _Renamed(answer, random).visit(answer)
    return ast.unparse(ast.fix_missing_locations(module))


def _reorder(node: ast.AST, random: Random) -> None:
    body = getattr(node, "body", None)
    if isinstance(body, list):
        for child in body:
            _reorder(child, random)
        if not isinstance(node, ast.ClassDef):
            node.body = _shuffled(body, random)


def _shuffled(statements: list[ast.stmt], random: Random) -> list[ast.stmt]:
    """Draw an order in which every statement stays behind those that it depends on."""
    waiting = [(statement, *_uses(statement)) for statement in statements]
    order = []
    while waiting:
        free = [
            entry
            for k, entry in enumerate(waiting)
            if not any(_conflict(entry, earlier) for earlier in waiting[:k])
        ]
        chosen = random.choice(free)
        order.append(chosen[0])
        waiting.remove(chosen)
    return order


def _conflict(one: tuple, other: tuple) -> bool:
    _, reads, writes = one
    _, other_reads, other_writes = other
    if _ALL in writes | other_writes:
        return True
    return bool(writes & (other_reads | other_writes) or reads & other_writes)


def _uses(statement: ast.stmt) -> tuple[set[str], set[str]]:
    """Return the names and the state that a statement reads and writes."""
    reads, writes = set(), set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name):
            (writes if isinstance(node.ctx, ast.Store) else reads).add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            writes.add(f"{ast.unparse(node.value)}.{node.attr}")
        elif isinstance(node, ast.Attribute):
            reads.add(ast.unparse(node))
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            writes.add(ast.unparse(node.value))
        elif isinstance(node, ast.Call):
            effect = _EFFECTS.get(getattr(node.func, "attr", ""), ({"weights"}, set()))
            reads |= effect[0]
            writes |= effect[1]
    is_call = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
    known = is_call and getattr(statement.value.func, "attr", "") in _EFFECTS
    if isinstance(statement, (ast.Expr, ast.Return)) and not known:
        writes.add(_ALL)  # a docstring, super().__init__(), a switch of PyTorch, the end
    return reads, writes


class _Renamed(ast.NodeTransformer):
    """Gives new names to local variables, arguments and attributes of `self`."""

    def __init__(self, answer: ast.AST, random: Random) -> None:
        nodes = list(ast.walk(answer))
        local = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        local |= {n.arg for n in nodes if isinstance(n, ast.arg)}
        local -= _BY_NAME
        attributes = {
            n.attr for n in nodes if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)
        }
        taken = {n.id for n in nodes if isinstance(n, ast.Name)} | _BY_NAME
        taken |= {*keyword.kwlist, *dir(builtins), *attributes}
        self.names = {name: _new_name(taken, random) for name in sorted(local)}
        self.attributes = {name: _new_name(taken, random) for name in sorted(attributes)}

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node.id = self.names.get(node.id, node.id)
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.arg = self.names.get(node.arg, node.arg)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.Attribute:
        if isinstance(node.value, ast.Name) and node.value.id == "self":
            node.attr = self.attributes.get(node.attr, node.attr)
        return self.generic_visit(node)


def _new_name(taken: set[str], random: Random) -> str:
    while True:
        name = "".join(random.choices("abcdefghijklmnopqrstuvwxyz_", k=random.randint(1, 9)))
        if name.isidentifier() and name not in taken and not name.startswith("__"):
            taken.add(name)
            return name
