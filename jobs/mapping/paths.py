"""The grammar of paths: names with ``.`` between them."""

import re

Path = tuple[str, ...]
"""The names that lead to a value in a JSON object."""

_NAME = re.compile(r'"(?P<quoted>(?:[^"\\]|\\["\\])+)"|(?P<plain>[^."\[\]]+)')
_ESCAPED = re.compile(r'\\(["\\])')


def read_path(written: str) -> Path:
    """A path that is written so.

    A name with a dot, a quote or a bracket, or a blank around it, stands in double
    quotes.

    Raises:
        ValueError: the text is no path; the message says why.
    """
    names = []
    at = 0
    while True:
        found = _NAME.match(written, at)
        if not found:
            rest = written[at : at + 1]
            if rest in ("[", "]"):
                raise ValueError("a path has no index, only names with . between them")
            raise ValueError("a name is empty" if rest != '"' else "a quote is open")
        name = found["plain"] or _ESCAPED.sub(r"\1", found["quoted"])
        if found["plain"] and name != name.strip():
            raise ValueError("a name with blanks around it stands in quotes")
        names.append(name)
        at = found.end()
        if at == len(written):
            return tuple(names)
        if written[at] != ".":
            raise ValueError("between two names stands one dot")
        at += 1


def as_text(path: Path) -> str:
    """A path as :func:`read_path` reads it."""
    return ".".join(map(_written, path))


def _written(name: str) -> str:
    if name == name.strip() and not set(name) & set('."[]'):
        return name
    return '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'
