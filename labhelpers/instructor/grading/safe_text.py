"""Make texts that students chose harmless in a terminal and in a spreadsheet."""

__all__ = ["harmless", "visible"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def visible(text: str) -> str:
    """Return `text` with what a terminal would act on written as an escape."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def harmless(value: object) -> object:
    """Return a value for a cell; a text that a spreadsheet would run gets an apostrophe."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
