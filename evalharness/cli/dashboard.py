"""Look at runs, trends, comparisons, monitors and alerts in a browser.

  evalharness dashboard                                 # on this machine; prints a link
  evalharness dashboard user add anna --role editor     # asks for the password
  evalharness dashboard --host 0.0.0.0 --allowed-host eval.example.org --https

It listens on this machine alone unless told otherwise, and on another address only where everybody must say who they
are: by name and password, by a token, or by the header of a proxy. It reads records and asks no model. Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .listening import address_of, listening_on, port_number
from .runs import add_place_arguments, existing_registry

if TYPE_CHECKING:
    from evalharness.dashboard.settings import Access

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `dashboard`."""
    add_place_arguments(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=port_number, default=8321, help="port; 0 takes a free one (default: 8321)")
    parser.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name under which browsers reach it, beside localhost; all others are refused",
    )
    parser.add_argument("--https", action="store_true", help="it is reached over https: cookies go over nothing else")
    parser.add_argument("--token-env", metavar="NAME", help="environment variable that holds an access token")
    parser.add_argument(
        "--token-role", choices=["viewer", "editor", "admin"], default="viewer", help="its role (default: viewer)"
    )
    parser.add_argument("--proxy-header", metavar="NAME", help="header by which a proxy says who asks")
    parser.add_argument(
        "--trusted-proxy",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="address of the proxy (default: 127.0.0.1 and ::1)",
    )
    parser.add_argument(
        "--proxy-role",
        choices=["none", "viewer", "editor", "admin"],
        default="viewer",
        help="role of who comes by the proxy and is no user (default: viewer)",
    )
    parser.add_argument("--no-login", action="store_true", help="everybody on this machine is an administrator")
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    user = actions.add_parser("user", help="add, list and remove users", allow_abbrev=False)
    verbs = user.add_subparsers(dest="verb", metavar="VERB", required=True)
    add = verbs.add_parser("add", help="add a user, or give one another role and password", allow_abbrev=False)
    add.add_argument("name", metavar="NAME")
    add.add_argument("--role", choices=["viewer", "editor", "admin"], default="viewer", help="(default: viewer)")
    add.add_argument("--password-stdin", action="store_true", help="read the password from the standard input")
    remove = verbs.add_parser("remove", help="remove a user; their browsers are logged out", allow_abbrev=False)
    remove.add_argument("name", metavar="NAME")
    listing = verbs.add_parser("list", help="the users", allow_abbrev=False)
    for one in (add, remove, listing):
        _place_again(one)


def _place_again(parser: argparse.ArgumentParser) -> None:
    """The options that say where the registry is, behind the verb, too; without a default, so that they win there."""
    parser.add_argument("--reports", metavar="DIR", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    parser.add_argument("--registry", metavar="URL", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Serve until a signal comes, or look after users; returns the exit code."""
    if args.action == "user":
        return {"add": _add, "remove": _remove, "list": _list}[args.verb](args)
    _require()
    return _serve(args)


# ── users ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _add(args: argparse.Namespace) -> int:
    from datetime import UTC

    from evalharness.dashboard import audit
    from evalharness.dashboard.users import add_user
    from evalharness.record.database import writing

    from .monitor_desk import user_name

    password = _password(args)
    now = datetime.now(UTC)
    with existing_registry(args) as registry, writing(registry.engine) as connection:
        is_new = add_user(connection, args.name, args.role, password, now)
        action = "add user" if is_new else "change user"
        audit.note(
            connection, now, who=f"{user_name()} (command line)", action=action, subject=args.name, detail=args.role
        )
    print(f"{'added' if is_new else 'changed'} {args.name}, {args.role}")
    return 0


def _remove(args: argparse.Namespace) -> int:
    from datetime import UTC

    from evalharness.dashboard import audit
    from evalharness.dashboard.users import remove_user
    from evalharness.record.database import writing

    from .monitor_desk import user_name

    now = datetime.now(UTC)
    with existing_registry(args) as registry, writing(registry.engine) as connection:
        remove_user(connection, args.name)
        audit.note(connection, now, who=f"{user_name()} (command line)", action="remove user", subject=args.name)
    print(f"removed {args.name}")
    return 0


def _list(args: argparse.Namespace) -> int:
    from evalharness.dashboard.users import list_users
    from evalharness.record.database import reading

    from .columns import columns, print_json
    from .monitor_desk import minute_text

    with existing_registry(args) as registry, reading(registry.engine) as connection:
        users = list_users(connection)
    if args.json:
        print_json([{"name": u.name, "role": u.role, "created_utc": u.created_utc.isoformat()} for u in users])
    elif not users:
        print("no users yet; evalharness dashboard user add NAME --role admin adds one")
    else:
        print(columns(("NAME", "ROLE", "SINCE"), [(u.name, u.role, minute_text(u.created_utc)) for u in users]))
    return 0


def _password(args: argparse.Namespace) -> str:
    import getpass

    from evalharness.core.errors import UsageError

    if args.password_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise UsageError(
            "nobody is there to be asked for the password; give it on the standard input: --password-stdin"
        )
    first = getpass.getpass(f"password of {args.name}: ")
    if getpass.getpass("once more: ") != first:
        raise UsageError("the two passwords differ; nothing was changed")
    return first


# ── the server ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _require() -> None:
    from evalharness.core.errors import MissingExtraError

    for name in ("fastapi", "uvicorn", "multipart", "pwdlib"):
        try:
            __import__("python_multipart" if name == "multipart" else name)
        except ModuleNotFoundError:
            raise MissingExtraError(name, "dashboard", purpose="the dashboard") from None


def _serve(args: argparse.Namespace) -> int:
    import uvicorn

    from evalharness.core.secrets import Redactor
    from evalharness.core.visible import safe
    from evalharness.dashboard.app import make_app
    from evalharness.dashboard.settings import Settings, require_protection
    from evalharness.dashboard.users import count_users
    from evalharness.record.database import reading

    with existing_registry(args) as registry:
        with reading(registry.engine) as connection:
            n_users = count_users(connection)
        access = _access(args)
        hosts = tuple(args.allowed_host)
        require_protection(args.host, access, n_users=n_users, hosts=hosts)
        hide = Redactor([access.api_token or "", access.link_token or ""])
        settings = Settings(
            registry,
            access,
            hosts=hosts,
            is_https=args.https,
            next_due=next_due,
            report=lambda message: print(f"evalharness: {safe(hide(message))}", file=sys.stderr, flush=True),
        )
        with contextlib.closing(listening_on(args.host, args.port)) as listening:
            _introduce(args, access, address_of(listening), n_users)
            server = uvicorn.Server(
                uvicorn.Config(
                    make_app(settings),
                    log_level="error",
                    access_log=False,
                    proxy_headers=False,
                    server_header=False,
                    timeout_graceful_shutdown=3,
                    timeout_keep_alive=30,
                    limit_concurrency=400,
                    h11_max_incomplete_event_size=32 * 1024,
                )
            )
            server.run(sockets=[listening])
    return 0


def _access(args: argparse.Namespace) -> Access:
    import os
    import secrets

    from evalharness.core.errors import UsageError
    from evalharness.dashboard.settings import Access, is_loopback

    token = None
    if args.token_env is not None:
        token = os.environ.get(args.token_env)
        if not token or len(token) < 16:
            raise UsageError(
                f"--token-env: the environment variable {args.token_env} is not set, or shorter than 16 characters; "
                f"make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
            )
    return Access(
        link_token=secrets.token_urlsafe(24) if is_loopback(args.host) and not args.no_login else None,
        api_token=token,
        token_role=args.token_role,
        proxy_header=args.proxy_header,
        trusted_proxies=tuple(args.trusted_proxy) or ("127.0.0.1", "::1"),
        proxy_role=None if args.proxy_role == "none" else args.proxy_role,
        no_login=args.no_login,
    )


def _introduce(args: argparse.Namespace, access: Access, address: str, n_users: int) -> None:
    scheme = "https" if args.https else "http"
    name = f"{args.allowed_host[0]}:{address.rpartition(':')[2]}" if args.allowed_host else address
    print(f"dashboard of {(args.registry and 'the registry') or args.reports}: {scheme}://{name}/")
    if access.link_token:
        print(f"come in by this link: {scheme}://{address}/enter?token={access.link_token}")
    if n_users:
        print(f"or with the password of one of {n_users} users" if n_users > 1 else "or with the password of its user")
    print("Ctrl-C ends it", flush=True)


_OF_SCHEDULES = ("name", "schedule", "timezone", "interval", "lateness_s", "jitter_s")


def next_due(definition: Mapping[str, Any], after: datetime) -> datetime | None:
    """When the interval after `after` of a recorded monitor is due; None where its definition says nothing of it."""
    from pydantic import ValidationError

    from evalharness.core.errors import EvalHarnessError
    from evalharness.monitor.schedule import Schedule
    from evalharness.suite.monitor_entry import Monitor

    # A definition is recorded whole, with what was left out of it, and is no longer one that somebody could write.
    own = {key: definition[key] for key in _OF_SCHEDULES if key in definition}
    try:
        schedule = Schedule.of(Monitor.model_validate({**own, "source": {"path": "responses.jsonl"}}))
        return schedule.next_due(after + schedule.lag)
    except (ValidationError, EvalHarnessError, ValueError):
        return None
