"""Puts a comment on the pull request (GitHub) or merge request (GitLab) of a CI job, or brings it up to date.

::

    python -m evalharness.integrations.pull_request gate.md

The file is what `--comment` wrote. Its first line marks it, so that each run of a suite takes the place of the last one
in one comment. Where and as whom follows from the variables that the CI system sets, and from a token:

    GitHub   GITHUB_API_URL, GITHUB_REPOSITORY, GITHUB_EVENT_PATH; GITHUB_TOKEN with `pull-requests: write`
    GitLab   CI_API_V4_URL, CI_PROJECT_ID, CI_MERGE_REQUEST_IID;   GITLAB_TOKEN with the scope `api`

Exit codes: 0 posted, or there is no such request here; 2 something is missing; 3 the server did not take it.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from evalharness.core.errors import EvalHarnessError, RunError, UsageError

__all__ = ["main", "post_comment"]

_PAGE: Final = 100
_MOST_PAGES: Final = 50
_TIMEOUT_S: Final = 30.0
_MARK: Final = "<!-- evalharness gate of "


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the token to another server."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


@dataclass(frozen=True, slots=True)
class _Place:
    """A request's comments on its server: `comments` is their address, `comment` that of one of them."""

    service: str
    headers: Mapping[str, str]
    user: str
    comments: str
    comment: str
    update: str
    is_ours: Callable[[Mapping[str, Any], Mapping[str, Any] | None], bool]


def post_comment(text: str, environ: Mapping[str, str]) -> str | None:
    """Put `text` on the request that `environ` tells of; returns what was done, None where there is no request.

    Raises:
        UsageError: `text` has no mark, or a variable is missing.
        RunError: the server cannot be reached, or refuses.
    """
    mark = text.partition("\n")[0].strip()
    if not mark.startswith(_MARK):
        raise UsageError("the file is not what --comment writes: its first line has no mark; write it anew")
    place = _place(environ)
    if place is None:
        return None
    own = _whoami(place)
    for comment in _comments(place):
        if str(comment.get("body", "")).startswith(mark) and place.is_ours(comment, own):
            address = place.comment.format(id=int(comment["id"]))
            _call(place, place.update, address, {"body": text})
            return "brought the comment up to date"
    _call(place, "POST", place.comments, {"body": text})
    return "posted the comment"


def _place(environ: Mapping[str, str]) -> _Place | None:
    if environ.get("GITHUB_EVENT_PATH"):
        return _github(environ)
    if environ.get("CI_API_V4_URL"):
        return _gitlab(environ)
    raise UsageError("this is no job of GitHub or GitLab: neither GITHUB_EVENT_PATH nor CI_API_V4_URL is set")


def _needed(environ: Mapping[str, str], name: str, why: str) -> str:
    value = environ.get(name)
    if not value:
        raise UsageError(f"{name} is not set; {why}")
    return value


def _github(environ: Mapping[str, str]) -> _Place | None:
    path = Path(environ["GITHUB_EVENT_PATH"])
    try:
        event = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"GITHUB_EVENT_PATH names {path}, which cannot be read ({error})") from error
    number = (event.get("pull_request") or {}).get("number")
    if not isinstance(number, int):
        return None
    token = _needed(environ, "GITHUB_TOKEN", "give the step the job's token, with `pull-requests: write`")
    api = _needed(environ, "GITHUB_API_URL", "GitHub's runner sets it").rstrip("/")
    repository = urllib.parse.quote(_needed(environ, "GITHUB_REPOSITORY", "GitHub's runner sets it"))

    def is_ours(comment: Mapping[str, Any], own: Mapping[str, Any] | None) -> bool:
        author = comment.get("user") or {}
        # The token of a job may not ask who it is; it is a bot, and people are not.
        return bool(author.get("login") == own.get("login") if own else author.get("type") == "Bot")

    return _Place(
        service="GitHub",
        headers={
            "Authorization": f"Bearer {token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        },
        user=f"{api}/user",
        comments=f"{api}/repos/{repository}/issues/{number}/comments",
        comment=f"{api}/repos/{repository}/issues/comments/{{id}}",
        update="PATCH",
        is_ours=is_ours,
    )


def _gitlab(environ: Mapping[str, str]) -> _Place | None:
    number = environ.get("CI_MERGE_REQUEST_IID")
    if not number:
        return None
    why = "make a project access token with the scope `api` and store it as a masked variable (CI_JOB_TOKEN may not)"
    token = _needed(environ, "GITLAB_TOKEN", why)
    project = urllib.parse.quote(_needed(environ, "CI_PROJECT_ID", "GitLab's runner sets it"), safe="")
    api = environ["CI_API_V4_URL"].rstrip("/")
    notes = f"{api}/projects/{project}/merge_requests/{int(number)}/notes"

    def is_ours(note: Mapping[str, Any], own: Mapping[str, Any] | None) -> bool:
        return bool(own) and (note.get("author") or {}).get("id") == (own or {}).get("id")

    return _Place(
        service="GitLab",
        headers={"PRIVATE-TOKEN": token},
        user=f"{api}/user",
        comments=notes,
        comment=f"{notes}/{{id}}",
        update="PUT",
        is_ours=is_ours,
    )


def _whoami(place: _Place) -> Mapping[str, Any] | None:
    try:
        found = _call(place, "GET", place.user)
    except RunError:
        return None
    return found if isinstance(found, Mapping) else None


def _comments(place: _Place) -> Iterator[Mapping[str, Any]]:
    for page in range(1, _MOST_PAGES + 1):
        found = _call(place, "GET", f"{place.comments}?per_page={_PAGE}&page={page}")
        if not isinstance(found, list):
            raise RunError(f"{place.service} answered with something else than a list of comments")
        yield from found
        if len(found) < _PAGE:
            return


def _call(place: _Place, method: str, url: str, body: Mapping[str, str] | None = None) -> Any:
    if not url.startswith(("https://", "http://")):
        raise UsageError(f"{url[:80]} is no address of a web server")
    data = None if body is None else json.dumps(body).encode()
    headers = {**place.headers, "User-Agent": "evalharness", "Content-Type": "application/json"}
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=_TIMEOUT_S) as reply:
            return json.loads(reply.read() or b"null")
    except urllib.error.HTTPError as error:
        with error:
            said = error.read(300).decode("utf-8", "replace")
        hint = ""
        if error.code in (401, 403, 404) and method != "GET":
            hint = "; the token may not comment (on GitHub, that of a pull request from a fork never may)"
        raise RunError(f"{place.service} answered {method} {url} with {error.code}: {said}{hint}") from error
    except (OSError, ValueError) as error:
        raise RunError(f"{place.service} cannot be asked at {url}: {error}") from error


def main(argv: Sequence[str] | None = None) -> int:
    """Post the file that is named; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(__doc__ if arguments in (["-h"], ["--help"]) else "usage: … pull_request FILE", file=sys.stderr)
        return 0 if arguments in (["-h"], ["--help"]) else 2
    try:
        text = Path(arguments[0]).read_text(encoding="utf-8", errors="replace")
        done = post_comment(text, os.environ)
    except OSError as error:
        print(f"evalharness: {arguments[0]} cannot be read ({error.strerror})", file=sys.stderr)
        return 2
    except EvalHarnessError as error:
        print(f"evalharness: {error}", file=sys.stderr)
        return error.exit_code
    print(f"evalharness: {done or 'this job has no pull or merge request to comment on'}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
