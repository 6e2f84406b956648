"""The files of INPUT_DATA_PATH: event files, users.csv and videos.csv."""

import fnmatch
import glob
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jobs.errors import InputError
from jobs.lines.files import EventFile, listed
from jobs.mapping import EventMapping
from jobs.storage.beginnings import Beginning, long_beginning, short_beginning
from jobs.storage.local import LocalStorage
from jobs.tables import TABLES

_PACKED = r"(\.(gz|gzip|zst|bz2))"
_EVENT_NAME = re.compile(rf"(?is).*\.(json|jsonl|ndjson){_PACKED}?")
# The first lines of such a file say whether it is an event file.
_MAY_BE_EVENT_NAME = re.compile(rf"(?is).*\.(log|txt){_PACKED}?|part-[^.]*|.*{_PACKED}")
_EVENT_NAME_UNDER_ANOTHER = re.compile(r"(?is).*\.(json|jsonl|ndjson)\..+")
_LATIN_1 = "in Latin-1 or Windows-1252, and not in UTF-8"
_ENDINGS = ".json, .jsonl or .ndjson, with or without .gz, .zst or .bz2"

_ATTRIBUTES = ("users.csv", "videos.csv")
_HIDDEN = (".", "_")  # Spark and Hive skip such names, too
_FOLDERS_BESIDE_TABLES = ("_failed", "_runs", "_tables", "_tmp", "report")
_NAMES_SHOWN = 5  # in an error, which is one line
_STORAGE = LocalStorage()


@dataclass(frozen=True)
class Inputs:
    """The files of one run, as they were when they were listed.

    Attributes:
        path: INPUT_DATA_PATH as an absolute path.
        root: the directory of users.csv and videos.csv.
        event_files: in the order of their paths; a file with several names is listed
            once, under the first of them.
        passed_over: why a file is no event file, by its name as source_file has it.
        left_out: the number of files and folders that INPUT_EXCLUDE leaves out.
    """

    path: str
    root: Path
    event_files: tuple[EventFile, ...]
    passed_over: Mapping[str, str]
    left_out: int

    def attributes(self, name: str) -> Path | None:
        """The CSV file ``{name}.csv``, or None if there is none."""
        path = self.root / f"{name}.csv"
        return path if os.path.lexists(path) else None

    @property
    def size(self) -> int:
        """The size of all event files on the disk, in bytes."""
        return sum(file.size for file in self.event_files)

    @property
    def others(self) -> str:
        """The files that are no event files, for the end of an error; may be empty."""
        parts = []
        if self.passed_over:
            reasons = (f"{name} ({why})" for name, why in self.passed_over.items())
            parts.append(f"passed over: {_some(list(reasons))}")
        if self.left_out:
            parts.append(f"INPUT_EXCLUDE leaves out {self.left_out:,}")
        return "".join(f"; {part}" for part in parts)


def find_inputs(
    input_data_path: str,
    prefix: Path,
    exclude: Sequence[str] = (),
    mapping: EventMapping | None = None,
) -> Inputs:
    """The event files of a directory, a glob or a file.

    Links to folders are not followed.

    Args:
        input_data_path: INPUT_DATA_PATH.
        prefix: the folder of the tables; no file in it is input.
        exclude: globs of names, or of paths below the input, that are left out.
        mapping: the mapping of other events, if there is one.

    Raises:
        InputError: the path does not exist, names no event file, or cannot be read; or
            a file is not what its name says.
    """
    place = _place(Path(os.path.abspath(input_data_path)))  # noqa: PTH100 - see above
    search = _Search(place, _outputs(place.root, prefix), [*map(_parts, exclude)])
    sorting = _Sorting(place, mapping)
    for path in sorted(search.files()):
        sorting.add(path)
    sorting.look_at_others()
    inputs = Inputs(
        str(place.path),
        place.root,
        tuple(sorting.event_files.values()),
        sorting.passed_over,
        search.left_out,
    )
    if sorting.wrong:
        raise InputError(_all_wrong(sorting.wrong, place.root))
    if not inputs.event_files:
        raise InputError(
            f"{place.path}: no event file is there; its name ends in {_ENDINGS}, and"
            f" begins with neither . nor _{inputs.others}"
        )
    return inputs


@dataclass(frozen=True)
class _Place:
    """The place that INPUT_DATA_PATH names.

    Attributes:
        path: its absolute path.
        root: the directory of users.csv and videos.csv.
        above: source_file is the path of a file below this directory.
        pattern: the parts of a glob below ``root``; empty if the path is no glob.
        is_file: whether the path is a single file.
    """

    path: Path
    root: Path
    above: Path
    pattern: tuple[str, ...] = ()
    is_file: bool = False


def _place(path: Path) -> _Place:
    mode = _mode(path)
    if mode is not None and stat.S_ISDIR(mode):
        return _Place(path, path, path.parent)
    if mode is not None:
        return _Place(path, path.parent, path.parent, is_file=True)
    if not glob.has_magic(str(path)):
        raise InputError(f"{path}: no such file or directory")
    # A folder that has such a name is no part of the glob.
    root = next(p for p in path.parents if not glob.has_magic(str(p)) or _mode(p))
    return _Place(path, root, root.parent, path.relative_to(root).parts)


def _mode(path: Path) -> int | None:
    """The mode of a file or directory; None if there is none."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink():
            raise InputError(f"{path}: a link to nothing") from None
        return None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{str(path)!a}: {error}") from error


@dataclass
class _Search:
    """Finds the files that may be input: none that is hidden, left out, or output.

    Attributes:
        place: where to search.
        outputs: the folders that are no input.
        exclude: the parts of globs that leave files and folders out.
        left_out: the number of files and folders that were left out.
    """

    place: _Place
    outputs: Sequence[Path]
    exclude: Sequence[tuple[str, ...]]
    left_out: int = 0

    def files(self) -> Iterator[Path]:
        """The paths of these files, in no particular order.

        Raises:
            InputError: a folder cannot be listed.
        """
        if _is_within(self.place.root, self.outputs):
            return
        found: Iterator[Path] = iter([self.place.path])
        if not self.place.is_file:
            found = _STORAGE.list(self.place.root, self._enters)
        for path in found:
            is_output = path.is_symlink() and _is_within(path, self.outputs)
            if not is_output and self._is_input(path):
                yield path

    def _enters(self, folder: Path) -> bool:
        return self._is_input(folder, is_folder=True) and not _is_within(
            folder, self.outputs
        )

    def _is_input(self, path: Path, is_folder: bool = False) -> bool:
        pattern = self.place.pattern
        if path.name.startswith(_HIDDEN):
            return False
        if not pattern and not self.exclude:
            return True
        names = path.relative_to(self.place.root).parts
        if pattern and not _matches(names, pattern, leads=is_folder):
            return False
        if any(_matches(names, excluded) for excluded in self.exclude):
            self.left_out += 1
            return False
        return True


@dataclass(frozen=True)
class _Wrong:
    """A file that is not what its name says: what it is, and what to do."""

    path: Path
    what: str
    remedy: str


@dataclass
class _Sorting:
    """Sorts files into event files and others.

    Attributes:
        place: where the files are.
        mapping: the mapping of other events, if there is one.
        event_files: the event files by their identity.
        passed_over: why a file is no event file, by its name.
        wrong: the files that are not what their names say.
    """

    place: _Place
    mapping: EventMapping | None
    event_files: dict[tuple[int, int], EventFile] = field(default_factory=dict)
    passed_over: dict[str, str] = field(default_factory=dict)
    wrong: list[_Wrong] = field(default_factory=list)
    _others: list[Path] = field(default_factory=list)

    def add(self, path: Path) -> None:
        """Look at a file whose name is that of an event file, or may be.

        Raises:
            InputError: the file cannot be read.
        """
        if _EVENT_NAME.fullmatch(path.name):
            file = self._listed(path)
            if file.stored.identity not in self.event_files:
                self.event_files[file.stored.identity] = file
                self._look_at_event_file(file)
        elif _MAY_BE_EVENT_NAME.fullmatch(path.name):
            file = self._listed(path)
            if file.stored.identity in self.event_files:
                return
            beginning = long_beginning(file, self.mapping)
            if beginning.has_object and not beginning.is_archive:
                self.event_files[file.stored.identity] = file
            else:
                self._look_at_other(beginning)
        elif path.parent != self.place.root or path.name not in _ATTRIBUTES:
            self._others.append(path)

    def look_at_others(self) -> None:
        """Look at the files whose names are not those of event files."""
        for path in self._others:
            try:
                file = self._listed(path)
                if file.stored.identity not in self.event_files:
                    self._look_at_other(long_beginning(file, self.mapping))
            except InputError as error:
                self._pass_over(path, str(error).removeprefix(f"{path}: "))

    def _look_at_event_file(self, file: EventFile) -> None:
        beginning = short_beginning(file)
        if beginning.is_object_in_utf_8:
            return
        kind = beginning.kind
        remedy = "unpack it" if beginning.has_to_be_unpacked else "replace it"
        if (
            kind is not None
            and not beginning.is_archive
            and long_beginning(file, self.mapping).has_event
        ):
            return
        if kind is None and long_beginning(file).is_latin_1:
            kind = _LATIN_1
        if kind is not None:
            self.wrong.append(_Wrong(file.path, f"it is {kind}", remedy))

    def _look_at_other(self, beginning: Beginning) -> None:
        path = beginning.file.path
        is_under_another = _EVENT_NAME_UNDER_ANOTHER.fullmatch(path.name)
        if is_under_another and not beginning.is_text:
            what = f"it may have events, but is {beginning.packing}"
            self.wrong.append(_Wrong(path, what, "unpack it"))
        elif beginning.is_archive and beginning.has_event:
            what = f"it has events, but is {beginning.packing}"
            self.wrong.append(_Wrong(path, what, "unpack it"))
        elif beginning.has_event or (is_under_another and beginning.has_object):
            what = "it has events, but no event file's name"
            self.wrong.append(_Wrong(path, what, "rename it to end in .jsonl"))
        else:
            self._pass_over(path, _why_not_events(beginning))

    def _pass_over(self, path: Path, why: str) -> None:
        self.passed_over[str(path.relative_to(self.place.above))] = why

    def _listed(self, path: Path) -> EventFile:
        return listed(path, self.place.above, _STORAGE)


def _why_not_events(beginning: Beginning) -> str:
    path = beginning.file.path
    if path.name in _ATTRIBUTES:
        return "not at the top of the input"
    if not beginning.data:
        return "empty"
    if _MAY_BE_EVENT_NAME.fullmatch(path.name):
        if beginning.kind is None and beginning.is_latin_1:
            return _LATIN_1
        return beginning.kind or "no JSON object among its first lines"
    unknown = f"unknown ending {path.suffix}" if path.suffix else "no ending"
    return beginning.kind or unknown


def _all_wrong(wrong: Sequence[_Wrong], root: Path) -> str:
    """The error for files that are not what their names say."""
    files = _some([f"{file.path}: {file.what}" for file in wrong], between="; ")
    remedies = dict.fromkeys(file.remedy for file in wrong[:_NAMES_SHOWN])
    below = (str(file.path.relative_to(root)) for file in wrong[:_NAMES_SHOWN])
    globs = ",".join(glob.escape(name).replace(",", "?") for name in below)
    return f"{files}; {', '.join(remedies)}, or set INPUT_EXCLUDE={globs}"


def _some(names: Sequence[str], between: str = ", ") -> str:
    """Some of these names, and the number of the others."""
    more = [f"and {len(names) - _NAMES_SHOWN:,} more"] * (len(names) > _NAMES_SHOWN)
    return between.join([*names[:_NAMES_SHOWN], *more])


def _outputs(root: Path, prefix: Path) -> list[Path]:
    """The folders that are no input.

    This is the prefix. If the input lies within the prefix, only the folders that runs
    write there are no input.
    """
    if prefix.resolve() in root.resolve().parents:
        names = (*(table.name for table in TABLES), *_FOLDERS_BESIDE_TABLES)
        return [prefix.resolve() / name for name in names]
    return [prefix.resolve()]


def _is_within(path: Path, folders: Sequence[Path]) -> bool:
    return any(path.resolve().is_relative_to(folder) for folder in folders)


def _parts(excluded: str) -> tuple[str, ...]:
    """The parts of a glob of names, at any depth, or of paths below the input."""
    parts = tuple(part for part in excluded.split("/") if part not in ("", "."))
    if "/" not in excluded.rstrip("/"):
        return ("**", *parts)
    # What matches a folder matches all files in it.
    return parts[:-1] if parts[-1:] == ("**",) else parts


def _matches(names: Sequence[str], pattern: Sequence[str], leads: bool = False) -> bool:
    """Whether a glob matches a path, or a folder that the path is in.

    ``**`` matches folders, other parts one name.

    Args:
        leads: whether it is enough that a glob may match something below the path.
    """
    if not pattern:
        return True
    if not names:
        return leads
    if pattern[0] == "**":
        ends = range(len(names) + 1)
        return any(_matches(names[n:], pattern[1:], leads) for n in ends)
    return fnmatch.fnmatchcase(names[0], pattern[0]) and _matches(
        names[1:], pattern[1:], leads
    )
