"""Slips that any exercise knows: a result of the wrong kind, a missing name, a global variable."""

from __future__ import annotations

import ast
import builtins
import difflib
import functools
import inspect
import linecache
import numbers
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Dataset

from labhelpers.checks import sandbox
from labhelpers.checks.cases import Setting
from labhelpers.checks.exercises import EXERCISES, Exercise
from labhelpers.checks.explanations.functions import (
    bound,
    code_of,
    definition,
    facts_of,
    listed,
    namespace_of,
    never_reads,
    returns_of,
    unused_arguments,
)
from labhelpers.checks.records import Explanation
from labhelpers.codes import instructions_of

__all__ = ["explain", "with_facts"]

_NEVER_A_RESULT = (type(None), Iterator, str, bytes, type)  # nor what can be called, but networks
_NO_TENSOR = (tuple, list, set, Mapping, np.ndarray, pd.DataFrame, pd.Series, nn.Module, Dataset)
# Kinds of data. One variable can stand in the place of another of the same kind.
_KINDS = (Dataset, DataLoader, nn.Module, Optimizer, Tensor, (str, Path), numbers.Real)
_DATA = (Dataset, DataLoader, pd.DataFrame, pd.Series)  # what belongs into an argument
_LIKE = 0.75  # how alike two names are, see `difflib`, if one may be a typing error of the other
_GAIN = 0.1  # share of the points that an argument brings where it was not read, at least
_MOST_TRIES = 6  # of one variable in the place of another
_LONGEST = 60  # characters of a text that is quoted
_STUB = "not written yet"  # what the error says that stands in place of a solution
_IMPORTS = {
    "np": "import numpy as np",
    "pd": "import pandas as pd",
    "plt": "import matplotlib.pyplot as plt",
    "nn": "from torch import nn",
    "F": "from torch.nn import functional as F",
    "Tensor": "from torch import Tensor",
    "optim": "from torch import optim",
    "DataLoader": "from torch.utils.data import DataLoader",
    "Path": "from pathlib import Path",
} | {name: f"import {name}" for name in ("torch", "math", "copy", "random", "time", "itertools")}


@dataclass
class _Call:
    """A call of an answer, of `forward` where the answer is a class.

    Attributes:
        case: The case in which it was called.
        function: What was called.
        arguments: What it was called with, by name; None if it does not take these arguments.
        returned: What it returned.
        error: What it raised.
        line: The line of its own that was the last, 0 if that is not known.
    """

    case: str
    function: Callable[..., Any]
    arguments: dict[str, Any] | None
    returned: Any = None
    error: Exception | None = None
    line: int = 0


def explain(
    exercise: Exercise,
    answer: Any,
    worth: float,
    share: Callable[[object], float],
    rest: Callable[[object], Explanation | None],
) -> Explanation | None:
    """Return the one thing that is the whole trouble with a wrong answer, None if there is none.

    Where that is the kind of its result, it comes with what else is wrong with the values.

    Args:
        exercise: What was to be written.
        answer: What the student handed in.
        worth: The share of the points that it is worth on the visible cases.
        share: Returns the share of the points that another answer would be worth.
        rest: Returns what is wrong with another answer.
    """
    if mended := _in_order(exercise, answer):
        names = [*inspect.signature(answer).parameters]
        told = (
            f"Your function takes its arguments in another order, {listed(names)}, than asked for: "
            f"{listed(exercise.arguments.split())}."
        )
        if (mended_worth := share(mended)) >= worth:
            other = explain(exercise, mended, mended_worth, share, rest) or rest(mended)
            notes = [["wrong", told], *(other["notes"] if other else [])]
            return Explanation(notes=notes, items=[], alone=True, table=None)
    found = _not_the_answer(exercise, answer) or _without_forward(answer)
    also: list[list[str]] = []
    if not found:
        calls = _calls(exercise, answer)
        found = (
            _stub_left(answer, calls)
            or _other_arguments(calls)
            or _device_read(answer, calls, worth, share)
        )
        mended = None
        if not found:
            found, mended = _global_read(answer, calls, worth, share)
        found = found or _failed_name(answer, calls)
        if mended and (other := rest(mended)):
            also = [note for note in other["notes"] if note[0] == "wrong"]
        if not found and (found := _wrong_kind(exercise, calls)):
            kinds = {type(call.returned) for call in calls}
            if _can_be_tensors(exercise, answer):
                other = rest(_with_tensors(answer))
            elif type(None) in kinds and {set, list} & kinds:
                other = rest(_with_sets(answer))
            else:
                other = None
            also = [note for note in other["notes"] if note[0] == "wrong"] if other else []
    if not found:
        return None
    notes = [["wrong", found[0]], *also, *(["next", text] for text in found[1:])]
    return Explanation(notes=notes, items=[], alone=True, table=None)


def with_facts(explanation: Explanation | None, answer: Any) -> Explanation | None:
    """Return an explanation with what the code tells: data of the notebook, arguments not read."""
    told = " ".join(text for _, text in explanation["notes"]) if explanation else ""
    facts = [x for x in facts_of(answer, _called(answer), told, _who(answer)) if x not in told]
    data = _data_read(answer)
    if not (facts or data) or (explanation and explanation["alone"]):
        return explanation
    explanation = explanation or Explanation(notes=[], items=[], alone=False, table=None)
    wrong = [note for note in explanation["notes"] if note[0] == "wrong"]
    rest = [note for note in explanation["notes"] if note[0] != "wrong"]
    first, last = ([["wrong", text] for text in texts] for texts in (data, facts))
    return {**explanation, "notes": [*first, *wrong, *last, *rest]}


class _SeenEnoughError(Exception):
    """Ends a case in which a large network has been called once."""


def _calls(exercise: Exercise, answer: Any) -> list[_Call]:
    """Run an answer on the visible cases and return its calls, of a network the first one alone."""
    calls: list[_Call] = []
    label = ""
    seen_enough = False

    def watch(function: Callable[..., Any], is_forward: bool = False) -> Callable[..., Any]:
        @functools.wraps(function)
        def watched(*args: Any, **kwargs: Any) -> Any:
            nonlocal seen_enough
            call = _Call(label, function, bound(function, args, kwargs))
            code = code_of(function)

            def note(frame: Any, event: str, _: Any) -> None:
                if event == "return" and frame.f_code is code:
                    call.line = frame.f_lineno

            before = sys.getprofile()
            sys.setprofile(note)
            try:
                call.returned = function(*args, **kwargs)
            except Exception as error:
                call.error = error
                raise
            finally:
                sys.setprofile(before)
                if not isinstance(call.returned, nn.Module) or not inspect.isclass(function):
                    calls.append(call)
            if inspect.isclass(function) and isinstance(call.returned, nn.Module):
                forward = watch(call.returned.forward, is_forward=True)
                object.__setattr__(call.returned, "forward", forward)
            if is_forward:
                seen_enough = True
                raise _SeenEnoughError
            return call.returned

        return watched

    for case in exercise.cases(watch(answer), Setting()):
        if seen_enough:
            break
        label = case.label
        with suppress(Exception):
            case.act(lambda *_: None)
    return calls


# --- Something else than the answer ---------------------------------------------------------------


def _not_the_answer(exercise: Exercise, answer: Any) -> list[str]:
    """Return what is wrong if a check was handed something else than the answer."""
    is_network = isinstance(answer, nn.Module)
    if not callable(answer) or (is_network and exercise.name[0].isupper()):
        kind = "class" if exercise.name[0].isupper() else "function"
        return [
            f"The check was handed {_described(answer)}, not your {kind} `{exercise.name}`.",
            f"Hand over the {kind} itself: its name, without brackets behind it.",
        ]
    name = getattr(answer, "__name__", "")
    others = {other.name: other.id for other in EXERCISES.values()}
    if name in others and name != exercise.name:
        return [
            f"This check looks at `{exercise.name}` and was handed `{name}`, the answer to "
            f"another exercise, {others[name]}."
        ]
    return []


def _without_forward(answer: Any) -> list[str]:
    """Return what is wrong with a network that has no `forward` of its own."""
    if not inspect.isclass(answer) or not issubclass(answer, nn.Module):
        return []
    if answer.forward is not nn.Module.forward:
        return []
    methods = [node for node in ast.walk(definition(answer) or ast.Module([], []))
               if isinstance(node, ast.FunctionDef)]  # fmt: skip
    inner = [node for node in methods if node.name == "forward"]
    found = f"The class `{answer.__name__}` has no method `forward`"
    if inner:
        return [
            f"{found}: the one in line {inner[0].lineno} stands inside of another function.",
            "Move its lines to the left, so that its `def` stands under the `def` of `__init__`.",
        ]
    near = difflib.get_close_matches("forward", [node.name for node in methods], 1, _LIKE)
    return [f"{found}." if not near else f"{found}. It has one of the name `{near[0]}`."]


# --- The unwritten part ---------------------------------------------------------------------------


def _stub_left(answer: Any, calls: list[_Call]) -> list[str]:
    """Return where the error of the unwritten exercise is still raised in one that was begun."""
    for call in calls:
        if isinstance(call.error, NotImplementedError) and str(call.error) == _STUB:
            tree = definition(answer)
            frames = sandbox.own_frames(call.error)
            if tree is None or not frames or not _is_begun(tree):
                return []
            if not _is_in(answer, tree, frames[-1]):  # another exercise that the answer calls
                return []
            return [
                f"Line {frames[-1].lineno} still raises the error that stood in the place of your "
                "code.",
                "Write the part that is missing there, or delete the line if yours is written.",
            ]
    return []


def _is_in(answer: Any, tree: ast.AST, frame: traceback.FrameSummary) -> bool:
    """Return True if a line that was run belongs to an answer."""
    code = code_of(answer)
    file = code.co_filename if code else frame.filename
    lines = {node.lineno for node in ast.walk(tree) if isinstance(node, (ast.stmt, ast.expr))}
    return frame.filename == file and frame.lineno in lines


def _is_begun(tree: ast.AST) -> bool:
    """Return True if a definition holds more than was given: a text, a constructor, the error."""
    given = (ast.Raise, ast.ClassDef, ast.FunctionDef, ast.Pass)
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    return any(
        not isinstance(statement, given)
        and not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        and ast.unparse(statement) != "super().__init__()"
        for statement in statements
    )


# --- Other arguments ------------------------------------------------------------------------------


def _other_arguments(calls: list[_Call]) -> list[str]:
    """Return what is wrong if an answer cannot be called as its statement says."""
    for call in calls:
        own = call.error and sandbox.own_frames(call.error)
        if call.arguments is None and isinstance(call.error, TypeError) and not own:
            return [
                f"The answer cannot be called with the arguments of the statement: {call.error}.",
                "Leave the line with its name and its arguments as it was given.",
            ]
    return []


def _in_order(exercise: Exercise, answer: Any) -> Callable[..., Any] | None:
    """Return an answer that takes its arguments in the order asked for, None if it does so."""
    asked = exercise.arguments.split()
    try:
        own = inspect.signature(answer)
    except (TypeError, ValueError):
        return None
    if [*own.parameters] == asked or sorted(own.parameters) != sorted(asked):
        return None

    @functools.wraps(answer)
    def in_order(*args: Any, **kwargs: Any) -> Any:
        return answer(**dict(zip(asked, args, strict=False)), **kwargs)

    parameters = [own.parameters[name] for name in asked]
    with suppress(ValueError):  # one without a default may not follow one that has a default
        in_order.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        return in_order
    return None


# --- A result of the wrong kind -------------------------------------------------------------------


def _wrong_kind(exercise: Exercise, calls: list[_Call]) -> list[str]:
    """Return what is wrong with the first result that is of another kind than what is asked for."""
    wanted = exercise.returns
    wrong = [
        call for call in calls if not call.error and wanted and not _fits(call.returned, wanted)
    ]
    if not wrong:
        return []
    call = wrong[0]
    number = "" if len(wanted) == 1 else f"{len(wanted)} values, "
    who = "The network's `forward`" if exercise.name[0].isupper() else "Your function"
    where = "" if len(wrong) == len(calls) else f", tried with {call.case}"
    asked = f"Asked for: {number}{', '.join(wanted)}."
    values = call.returned if isinstance(call.returned, (tuple, list)) else ()
    odd = [
        f"{name} is {_described(value)}"
        for value, (name, kind) in zip(values, wanted.items(), strict=False)
        if not _fits_one(value, kind)
    ]
    if len(values) == len(wanted) > 1 and odd:
        returned = f"{len(values)} values, but {' and '.join(odd)}"
    else:
        returned = _described(call.returned)
    if call.returned is None:
        returned = "nothing, so that the caller gets None"
    sentence = f"{who} returned {returned}{where}{_place(call)}. {asked}"
    return [sentence, *_advice(call, wanted)]


def _can_be_tensors(exercise: Exercise, answer: Any) -> bool:
    """Return True if a list of numbers, or an array, may hold the tensor that is asked for."""
    kinds = [*exercise.returns.items()]
    is_one = len(kinds) == 1 and kinds[0][1] is Tensor
    return is_one and "without dimensions" not in kinds[0][0] and not inspect.isclass(answer)


def _with_tensors(answer: Any) -> Callable[..., Any]:
    """Return an answer that returns a tensor where the given one returns a list or an array."""

    @functools.wraps(answer)
    def with_tensors(*args: Any, **kwargs: Any) -> Any:
        value = answer(*args, **kwargs)
        if isinstance(value, Mapping):
            value = list(value.values())
        if isinstance(value, (tuple, list)) and any(isinstance(x, Tensor) for x in value):
            parts = [torch.as_tensor(x) for x in value]
            if all(x.numel() == 1 for x in parts):
                return torch.stack([x.reshape(()) for x in parts])
            return parts[0] if len(parts) == 1 else torch.stack(parts)
        return value if isinstance(value, Tensor) else torch.as_tensor(np.asarray(value))

    return with_tensors


def _with_sets(answer: Any) -> Callable[..., Any]:
    """Return an answer that returns an empty set where the given one returns nothing."""

    @functools.wraps(answer)
    def with_sets(*args: Any, **kwargs: Any) -> Any:
        value = answer(*args, **kwargs)
        return set() if value is None else value

    return with_sets


def _fits(value: Any, wanted: Mapping[str, type]) -> bool:
    if len(wanted) == 1:
        return _fits_one(value, *wanted.values())
    is_series = isinstance(value, (tuple, list)) and len(value) == len(wanted)
    return is_series and all(map(_fits_one, value, wanted.values()))


def _fits_one(value: Any, kind: type) -> bool:
    if isinstance(value, _NEVER_A_RESULT):
        return False
    if kind is Tensor and isinstance(value, _NO_TENSOR):
        return False
    return not callable(value) or isinstance(value, nn.Module)


def _advice(call: _Call, wanted: Mapping[str, type]) -> list[str]:
    """Return what to do about a result of the wrong kind, where its kind tells it."""
    value, line = call.returned, _source_line(call)
    tree = definition(call.function)
    if value is None:
        if re.match(r"print\b", line):
            return ["`print` only shows a value. `return` hands it to the caller."]
        reached = [node.lineno for node in returns_of(tree)]
        if reached and call.line not in reached:
            return [
                f"There is a `return` in line {reached[-1]}, and the function came to its end "
                "without it: look at the condition or the loop that it stands in."
            ]
        if not reached:
            return ["Without a `return`, a function gives back None: end with one."]
        return []
    if isinstance(value, Iterator):
        if inspect.isgeneratorfunction(call.function):
            return ["`yield` makes a generator of the whole function. `return` the value."]
        return ["An iterator can be read only once. Return what it was made from."]
    has_loaders = any("loader" in name for name in wanted) and isinstance(value, (tuple, list))
    if has_loaders and any(isinstance(one, Iterator) for one in value):
        text = "An iterator can be read only once, and every epoch needs a new pass: return"
        return [f"{text} DataLoaders."]
    if callable(value) and not isinstance(value, nn.Module):
        return ["Call it: a pair of brackets is missing behind the name, or the name is another's."]
    if len(wanted) > 1 and isinstance(value, (tuple, list)) and len(value) != len(wanted):
        return ["Return all of them and nothing else, separated by commas, in this order."]
    if isinstance(value, list) and any(isinstance(x, list) for x in value):
        return ["Lists are no tensor: return the tensor that they were made of."]
    if len(wanted) == 1 and isinstance(value, (tuple, list)):
        if isinstance(value, tuple) and len(value) == 1 and line.rstrip().endswith(","):
            return ["A comma at the end of a line makes a tuple of what stands before it."]
        is_number = "without dimensions" in next(iter(wanted))
        if isinstance(value, list) or not is_number:
            if len(value) > 1:
                kind = "list" if isinstance(value, list) else "tuple"
                return [f"A {kind} is no tensor: put what it holds into one, and return that."]
        elif all(isinstance(x, Tensor) and x.ndim == 0 for x in value) and len(value) > 1:
            return ["One number is asked for: put these together as the formula does."]
        return ["Return that one value, without the rest and without brackets around it."]
    if isinstance(value, Tensor) and len(wanted) > 1:
        return ["Return them one by one, separated by commas, not in one tensor."]
    if isinstance(value, np.ndarray):
        return ["Return a tensor: stay with PyTorch's functions, or turn the array into one."]
    return []


def _described(value: Any) -> str:
    """Return in a few words what kind of object a value is."""
    if value is None:
        return "None"
    if isinstance(value, str):
        return f"a text, {value[:_LONGEST]!r}"
    if isinstance(value, type):
        return f"the class `{value.__name__}`"
    if isinstance(value, (tuple, list)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return f"a {kind} of {len(value)} value{'' if len(value) == 1 else 's'}"
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, np.ndarray):
        return "a NumPy array"
    if inspect.isgenerator(value):
        return "a generator"
    if isinstance(value, Iterator):
        return "an iterator"
    if isinstance(value, nn.Module):
        return f"a network, an object of the class `{type(value).__name__}`"
    if callable(value):
        return f"the function `{getattr(value, '__name__', type(value).__name__)}` itself"
    return f"an object of the type {type(value).__name__}"


def _place(call: _Call) -> str:
    """Return the line with which a call ended, in brackets."""
    if inspect.isgeneratorfunction(call.function) or not call.line:
        return ""
    line = _source_line(call)
    last = "the last line that it ran: " if call.returned is None else ""
    return f" ({last}line {call.line}{f': `{line[:_LONGEST]}`' if line else ''})"


def _source_line(call: _Call) -> str:
    code = code_of(call.function)
    return linecache.getline(code.co_filename, call.line).strip() if code and call.line else ""


# --- A name that has no value ---------------------------------------------------------------------


def _failed_name(answer: Any, calls: list[_Call]) -> list[str]:
    """Return which name has no value, or which object lacks an attribute, and what is like it."""
    for call in calls:
        error = call.error
        own = sandbox.own_frames(error) if error else []
        name = (re.findall(r"'([^']+)'", str(error)) or [""])[-1]
        if not own or not name or not re.search(rf"\b{re.escape(name)}\b", own[-1].line or ""):
            continue
        where = f"line {own[-1].lineno}: `{(own[-1].line or '').strip()[:_LONGEST]}`"
        if isinstance(error, UnboundLocalError):
            return [
                f"`{name}` is read before it has a value ({where}).",
                f"Somewhere in the function `{name}` is given a value, so Python looks for it "
                "nowhere else. That line was not reached, or it stands below.",
            ]
        if isinstance(error, NameError):
            (frame, _) = [*traceback.walk_tb(error.__traceback__)][-1]
            known = {*frame.f_locals, *frame.f_globals, *dir(builtins)}
            ignored = unused_arguments(_called(answer))
            if ignored and name in {exercise.name for exercise in EXERCISES.values()}:
                never = never_reads(_called(answer), ignored)
                return [f"{_who(answer)} makes a `{name}` of its own ({where}) and {never}."]
            about = _about(name, {*frame.f_locals}, known, call.arguments or {})
            return [f"There is nothing of the name `{name}` ({where}).", about]
        if isinstance(error, AttributeError) and getattr(error, "obj", None) is not None:
            near = difflib.get_close_matches(name, dir(error.obj), 1, _LIKE)
            if near:
                kind = type(error.obj).__name__
                what = f"`{error.obj.__name__}`" if inspect.ismodule(error.obj) else f"A `{kind}`"
                return [
                    f"{what} has nothing of the name `{name}` ({where}).",
                    f"The nearest name that it has is `{near[0]}`.",
                ]
    return []


def _about(name: str, own: set[str], known: set[str], arguments: Mapping[str, Any]) -> str:
    """Return where a name that has no value may come from.

    Args:
        name: The name.
        own: The names that the function has at this point.
        known: These, and all that it can read.
        arguments: What it was called with, by name.
    """
    if name in _IMPORTS:
        return f"It is not imported. Add `{_IMPORTS[name]}` to the cell and run it again."
    if other := next((x.id for x in EXERCISES.values() if x.name == name), None):
        return f"It is written in another exercise, {other}. Run that cell first."
    near = difflib.get_close_matches(name, own, 1, _LIKE)
    # Of the many names that are at hand everywhere, some are alike by chance.
    near += sorted(x for x in known if not x.startswith("_") and _differ_by_a_slip(name, x))
    if near:
        return f"The nearest name that there is, is `{near[0]}`."
    gets = f" Your function gets {listed(arguments)}." if arguments else ""
    return (
        "Look for a typing error, for a cell that has not been run, or for a name that only "
        f"another function knows.{gets}"
    )


def _differ_by_a_slip(one: str, other: str) -> bool:
    """Return True if one letter differs, is missing or is too many, or two are exchanged."""
    while one and other and one[0] == other[0]:
        one, other = one[1:], other[1:]
    while one and other and one[-1] == other[-1]:
        one, other = one[:-1], other[:-1]
    return max(len(one), len(other)) <= 1 or (len(one) == 2 and one == other[::-1])


# --- A variable of the notebook in the place of an argument ---------------------------------------


def _global_read(
    answer: Any, calls: list[_Call], worth: float, share: Callable[[object], float]
) -> tuple[list[str], Any]:
    """Return which variables of the notebook a function reads in the place of its arguments.

    Beside it the answer that reads its arguments, where something else is wrong with it; or None.
    """
    function = _called(answer)
    code = code_of(function)
    if not calls or not code:
        return [], None
    arguments, namespace = calls[0].arguments or {}, namespace_of(function)
    ignored = [name for name in unused_arguments(function) if name in arguments]
    read = _globals_read(code, namespace)
    missing = {
        name
        for name in _missing(calls)
        if name not in _IMPORTS and not difflib.get_close_matches(name, arguments, 1, _LIKE)
    }
    data = {name: _kind(namespace[name]) for name in sorted(read) if name in namespace}
    data = {name: kind for name, kind in data.items() if kind} | dict.fromkeys(missing & read)
    pairs = [
        (variable, argument)
        for argument in dict.fromkeys([*ignored, *arguments])
        for variable, kind in data.items()
        # A name without a value fits in anywhere, where what is read of it is tolerated.
        if (kind and kind == _kind(arguments[argument]))
        or (kind is None and argument in ignored and _kind(arguments[argument]))
    ]
    best, instead = worth, dict[str, str]()
    for variable, argument in pairs[:_MOST_TRIES]:
        if variable not in instead:
            places = instead | {variable: argument}
            reached = share(_with_variables(answer, functools.partial(_values, places)))
            if reached > (best + _GAIN if argument in ignored else 1 - 1e-9):
                best, instead = reached, instead | {variable: argument}
    never = never_reads(function, ignored)
    if instead:
        proved = " and ".join(
            f"`{variable}`{'' if variable in missing else ', a variable of the notebook,'} in the "
            f"place of its argument `{argument}`"
            for variable, argument in instead.items()
        )
        is_right = best > 1 - 1e-9
        rest = "the answer is right" if is_right else "more of the answer is right"
        mended = None if is_right else _with_variables(answer, functools.partial(_values, instead))
        found = [f"{_who(answer)} reads {proved}.", f"Read the argument there: {rest} then."]
        return found, mended
    classes = {
        name: kind
        for name in read
        if inspect.isclass(namespace.get(name)) and (kind := _kind_of_class(namespace[name]))
    }
    made = [
        name for name, kind in classes.items() if any(kind == _kind(arguments[x]) for x in ignored)
    ]
    data_ignored = [name for name in ignored if _kind(arguments[name]) is not numbers.Real]
    if data_ignored and made:
        return [f"{_who(answer)} makes a `{made[0]}` of its own and {never}."], None
    batches = [name for name in read if _holds_tensors(namespace.get(name))]
    data = {name: kind for name, kind in data.items() if name not in missing}
    data |= dict.fromkeys(batches)
    if data_ignored and data:
        many = f"{listed(data)}, {'variables' if len(data) > 1 else 'a variable'} of the notebook"
        stands = {variable: argument for variable, argument in pairs if argument in data_ignored}
        is_sure = len(stands) == len(data) == len(data_ignored) == 1 and {*stands} == {*data}
        mended = _with_variables(answer, functools.partial(_values, stands)) if is_sure else None
        return [
            f"{_who(answer)} reads {many}, and {never}.",
            "Whoever calls it passes other data in: make all that it needs from its arguments.",
        ], mended
    return [], None


def _data_read(answer: Any) -> list[str]:
    """Return that a function reads data of the notebook, beside its arguments."""
    function = _called(answer)
    code, namespace = code_of(function), namespace_of(function)
    read = sorted(_globals_read(code, namespace)) if code else []
    names = [name for name in read if isinstance(namespace.get(name), _DATA)]
    if not names:
        return []
    many = "variables" if len(names) > 1 else "a variable"
    return [
        f"{_who(answer)} reads {listed(names)}, {many} of the notebook. Whoever calls it passes "
        "other data in: make all that it needs from its arguments."
    ]


def _values(places: Mapping[str, str], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return variables by name, with the values of the arguments that stand for them."""
    return {name: arguments.get(argument) for name, argument in places.items()}


def _fixed(values: Mapping[str, Any], arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return variables by name, whatever the arguments are."""
    return values


def _device_read(
    answer: Any, calls: list[_Call], worth: float, share: Callable[[object], float]
) -> list[str]:
    """Return that a name has no value if the answer is right once it is a device."""
    for name in sorted(_missing(calls)):
        where = [call for call in calls if name == getattr(call.error, "name", "")]
        place = _failed_name(answer, where)
        on_cpu = functools.partial(_fixed, {name: torch.device("cpu")})
        if place and share(_with_variables(answer, on_cpu)) > worth + _GAIN:
            return [
                place[0],
                "Leave that out: networks and data come on one device, and stay there. In a "
                "function of its own, `x.device` tells where a tensor `x` is.",
            ]
    return []


def _missing(calls: list[_Call]) -> set[str]:
    """Return the global names that had no value when they were read."""
    return {str(call.error.name) for call in calls if type(call.error) is NameError}


def _called(answer: Any) -> Any:
    """Return the function that the data go through: an answer, or `forward` of a class."""
    return getattr(answer, "forward", answer) if inspect.isclass(answer) else answer


def _who(answer: Any) -> str:
    return "`forward`" if inspect.isclass(answer) else "Your function"


def _with_variables(
    answer: Any, values: Callable[[Mapping[str, Any]], Mapping[str, Any]]
) -> Callable[..., Any]:
    """Return an answer that finds other values where it reads variables of the notebook.

    Args:
        answer: A function, or a class with a `forward`.
        values: Returns the variables with their values, given the arguments of a call by name.
    """
    function = _called(answer)
    namespace = namespace_of(function)

    @functools.wraps(function)
    def with_variables(*args: Any, **kwargs: Any) -> Any:
        own = values(bound(function, args, kwargs) or {})
        before = {name: namespace[name] for name in own if name in namespace}
        namespace.update(own)
        try:
            return function(*args, **kwargs)
        finally:
            for name in own:
                namespace.pop(name, None)
            namespace.update(before)

    if inspect.isclass(answer):
        return type(answer.__name__, (answer,), {"forward": with_variables})
    return with_variables


def _kind(value: Any) -> Any:
    """Return the kind of data that a value is, None for anything else."""
    return next((kind for kind in _KINDS if isinstance(value, kind)), None)


def _holds_tensors(value: Any) -> bool:
    """Return True for a batch, or another dictionary of tensors."""
    return isinstance(value, Mapping) and any(isinstance(x, Tensor) for x in value.values())


def _kind_of_class(cls: type) -> Any:
    return next((kind for kind in _KINDS[:4] if issubclass(cls, kind)), None)


def _globals_read(code: CodeType, namespace: Mapping[str, Any]) -> set[str]:
    """Return the global names that a function reads, and those of the helpers that it calls."""
    read: set[str] = set()
    left = [code]
    seen: list[CodeType] = []
    while left:
        seen.append(left.pop())
        names = {x.argval for x in instructions_of(seen[-1]) if x.opname == "LOAD_GLOBAL"}
        for name in names - read:
            helper = code_of(namespace.get(name))
            is_own = helper and helper.co_filename.startswith(("<", code.co_filename))
            if helper and is_own and helper not in seen:
                left.append(helper)
        read |= names
    return read
