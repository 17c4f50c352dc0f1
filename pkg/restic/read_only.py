"""Which restic calls an operator may make through Ark: those that only read, and show names and sizes, not contents.

A list of what is allowed, verb by verb and flag by flag. restic's global flags are not in it: one of them names
another repository, one another password, one a command that is run to get it (`--password-command`), and backend
options run programs (`-o sftp.command=…`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_SELECTION = frozenset({"-H", "--host", "--path", "--tag"})
_ALWAYS = frozenset({"--json", "-q", "--quiet", "-h", "--help"})
_CONTENTS = "it gives out the contents of files; restore them with `ark restore create`"
_WRITES = "it writes to the repository; Ark does that by itself"
_WHY_NOT: Mapping[str, str] = {
    **dict.fromkeys(("dump", "restore", "mount", "cat"), _CONTENTS),
    **dict.fromkeys(("backup", "copy", "recover", "rewrite", "repair", "migrate", "tag", "key", "init"), _WRITES),
    **dict.fromkeys(("forget", "prune", "check"), "`ark restic repo maintain` does it when nobody is inside"),
    "unlock": "`ark restic repo locks` shows the locks, `ark restic repo unlock` removes one",
    "list": "`ark restic repo locks` shows the locks",
}


class NotReadOnlyError(ValueError):
    """A call is not among those that are allowed."""


@dataclass(frozen=True, slots=True)
class _Verb:
    switches: frozenset[str] = frozenset()
    values: frozenset[str] = frozenset()
    needs_index: bool = True


_VERBS: Mapping[str, _Verb] = {
    "snapshots": _Verb(
        frozenset({"-c", "--compact"}), _SELECTION | {"-g", "--group-by", "--latest"}, needs_index=False
    ),
    "ls": _Verb(
        frozenset({"-l", "--long", "--human-readable", "--ncdu", "--recursive", "--reverse"}),
        _SELECTION | {"-s", "--sort"},
    ),
    "stats": _Verb(frozenset(), _SELECTION | {"--mode"}),
    "find": _Verb(
        frozenset(
            {
                *("--blob", "--human-readable", "-i", "--ignore-case", "-l", "--long", "--pack", "-R", "--reverse"),
                *("--show-pack-id", "--tree"),
            }
        ),
        _SELECTION | {"-N", "--newest", "-O", "--oldest", "-s", "--snapshot"},
    ),
    "diff": _Verb(frozenset({"--metadata"})),
}
VERBS = tuple(_VERBS)


def check_read_only(words: Sequence[str]) -> None:
    """Refuses what is not allowed.

    Args:
        words: The verb and what follows it.

    Raises:
        NotReadOnlyError: with the reason, and what there is instead.
    """
    if not words:
        raise NotReadOnlyError(f"say which: {', '.join(VERBS)}")
    verb = _VERBS.get(words[0])
    if verb is None:
        why = _WHY_NOT.get(words[0], "it is not among those that only read")
        raise NotReadOnlyError(f"restic {words[0]} is refused: {why} (allowed: {', '.join(VERBS)})")
    rest = list(words[1:])
    while rest:
        word = rest.pop(0)
        if word == "--":
            return
        if word.startswith("-") and word != "-" and _takes_next(words[0], verb, word):
            if not rest:
                raise NotReadOnlyError(f"flag {word} needs a value")
            rest.pop(0)


def needs_index(words: Sequence[str]) -> bool:
    """Whether restic loads the repository's index for it, which takes memory."""
    return _VERBS[words[0]].needs_index


def _takes_next(name: str, verb: _Verb, word: str) -> bool:
    """Whether an allowed flag's value is the next word."""
    flag, sign, _ = word.partition("=")
    if flag in verb.values:
        return not sign
    if flag in verb.switches | _ALWAYS:
        return False
    raise NotReadOnlyError(f"flag {flag} of restic {name} is not among those that are allowed here")
