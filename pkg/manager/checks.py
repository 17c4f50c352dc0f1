"""Named checks and how /healthz and /readyz show them, as the API server's own do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from urllib.parse import parse_qs

import structlog

log = structlog.get_logger()

# None when all is well, else a sentence that anybody may read.
Check = Callable[[], str | None]


def report(checks: Mapping[str, Check], name: str, query: str) -> tuple[int, str, bytes]:
    """Status, content type and body: of one check when `name` is given, else of all that the query leaves."""
    asked = parse_qs(query, keep_blank_values=True)
    unknown = sorted(set(asked.get("exclude", ())) - checks.keys())
    wanted = [name] if name else [one for one in checks if one not in asked.get("exclude", ())]
    found = {one: _why_not(checks[one]) for one in wanted}
    lines = [f"[-]{one} failed: {why}" if why else f"[+]{one} ok" for one, why in found.items()]
    lines += [f"[?]{one} is no check" for one in unknown]
    failed = any(found.values())
    shown = lines if failed or "verbose" in asked else []
    text = "\n".join([*shown, "failed" if failed else "ok"]) + "\n"
    return (HTTPStatus.INTERNAL_SERVER_ERROR if failed else HTTPStatus.OK), "text/plain", text.encode()


def _why_not(check: Check) -> str:
    try:
        return check() or ""
    except Exception as error:
        log.exception("Check crashed")
        return f"the check itself failed with {type(error).__name__}"
