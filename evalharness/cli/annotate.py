"""Rate the outputs of a record by hand, on a page that this machine serves to a browser.

  evalharness annotate latest --task summarise --scale 1-5 --question "Is the summary faithful?"
  evalharness annotate latest --labels good,bad --rater anna --rater ben --sample 100
  evalharness annotate latest --pairwise small large
  evalharness annotate RUN RUN2 --pairwise
  evalharness annotate latest --export ratings.csv

Raters see no names of models, meet the items in an order of their own, and see nobody else's ratings. Each rating is
stored in the registry of runs before the page goes on; who comes back continues where they stopped. Ctrl-C ends it.
Records are only read, and no model is asked.
"""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .listening import address_of, listening_on, port_number, until_signalled

if TYPE_CHECKING:
    import socket

    from evalharness.annotate.deck import Deck
    from evalharness.annotate.guard import Doors
    from evalharness.annotate.question import Question
    from evalharness.record import Rating, Record, RunRegistry

__all__ = ["add_arguments", "run"]

# How long a rating that is being stored is waited for at the end.
_PATIENCE_S = 3.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `annotate`."""
    parser.add_argument(
        "records",
        nargs="+",
        metavar="RECORD",
        help="folder of a record, run id or its beginning, suite@label, or latest; outputs of several are mixed",
    )
    parser.add_argument("--task", metavar="ID", help="the task whose outputs are rated (default: the only one)")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--scale", metavar="LOW-HIGH", help="answer with a number, the larger the better (default: 1-5)")
    kind.add_argument("--labels", metavar="A,B,…", help="answer with one of these labels")
    kind.add_argument(
        "--pairwise",
        nargs="*",
        metavar="MODEL",
        help="say which of two outputs is better: of two models, or of every two (give it after RECORD)",
    )
    parser.add_argument("--question", metavar="TEXT", help="what raters are asked; other words are another question")
    parser.add_argument(
        "--rater",
        action="append",
        default=[],
        metavar="NAME",
        help="who rates: each gets a link of their own (default: one link, and the page asks for the name)",
    )
    parser.add_argument("--sample", type=_count, metavar="N", help="only N samples, the same for every rater")
    parser.add_argument("--seed", type=int, default=0, help="decides sample, orders and sides (default: 0)")
    parser.add_argument("--show-reference", action="store_true", help="let raters look at the reference")
    parser.add_argument(
        "--export", metavar="FILE.csv", help="write the ratings so far and end; - is the standard output"
    )
    parser.add_argument("--comments", action="store_true", help="with --export: comments without an answer, too")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine only)"
    )
    parser.add_argument("--port", type=port_number, default=0, help="port to listen on (default: 0, a free one)")
    parser.add_argument("--no-browser", action="store_true", help="only print the link")
    parser.add_argument("--reports", metavar="DIR", default="reports", help="folder of records (default: reports)")
    parser.add_argument(
        "--registry",
        metavar="URL",
        help="database of ratings (default: $EVALHARNESS_REGISTRY, else SQLite in the reports folder)",
    )


def run(args: argparse.Namespace) -> int:
    """Serve the page until a signal comes, or export; returns the exit code."""
    from evalharness.annotate.desk import check_earlier, rater_name
    from evalharness.record import Record, RunRegistry
    from evalharness.record.resolve import resolve_run

    raters = [rater_name(name) for name in args.rater]
    question = _question(args)
    reports = Path(args.reports)
    records = [Record.open(resolve_run(ref, reports, url=args.registry)) for ref in args.records]
    with RunRegistry.open(args.registry, reports=reports) as registry:
        if args.export is not None:
            return _export(args, records, registry, raters)
        from evalharness.annotate.deck import deal

        deck = deal(records, question, task=args.task, models=args.pairwise or (), sample=args.sample, seed=args.seed)
        check_earlier(registry, deck)
        with contextlib.closing(listening_on(args.host, args.port)) as listening:
            return _session(args, deck, registry, listening, raters)


def _question(args: argparse.Namespace) -> Question:
    from evalharness.annotate.question import label_question, pair_question, scale_question

    if args.labels is not None:
        return label_question(args.labels, args.question)
    if args.pairwise is not None:
        return pair_question(args.question)
    return scale_question("1-5" if args.scale is None else args.scale, args.question)


# ── the page ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _session(
    args: argparse.Namespace, deck: Deck, registry: RunRegistry, listening: socket.socket, raters: Sequence[str]
) -> int:
    import asyncio

    from evalharness.annotate.guard import Doors

    doors = Doors(raters)
    _introduce(deck)
    counts = asyncio.run(_serve(args, deck, registry, doors, listening))
    _conclude(args, deck, counts)
    return 0


async def _serve(
    args: argparse.Namespace, deck: Deck, registry: RunRegistry, doors: Doors, listening: socket.socket
) -> dict[str, int]:
    """Answer until a signal comes; returns how many items each rater has rated."""
    import asyncio
    import signal
    import socket

    from aiohttp import web

    from evalharness.annotate.server import AnnotationServer

    server = AnnotationServer(
        deck,
        registry,
        doors,
        hosts=(args.host, socket.gethostname()) if _is_shared(listening) else (args.host,),
        show_reference=args.show_reference,
        report=lambda message: print(f"evalharness: {message}", file=sys.stderr, flush=True),
    )
    stopped: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    runner = web.AppRunner(server.application(), access_log=None, shutdown_timeout=_PATIENCE_S)
    # Ctrl-C is how a session ends, not how it is broken off.
    with until_signalled({signal.SIGINT: 0, signal.SIGTERM: 0}, stopped):
        try:
            await runner.setup()
            await web.SockSite(runner, listening).start()
            _invite(args, doors, listening)
            await stopped
        finally:
            await runner.cleanup()
    return {rater: desk.n_rated for rater, desk in server.desks.items()}


def _introduce(deck: Deck) -> None:
    """Say what is rated, and what is not. No model is named: whoever starts the page may rate on it."""
    from evalharness.report.text import plural

    items = plural(len(deck.items), "pair" if deck.question.kind == "pairwise" else "answer")
    samples = plural(deck.n_samples, "sample")
    if deck.n_samples < deck.n_all_samples:
        samples = f"{deck.n_samples:,} of {plural(deck.n_all_samples, 'sample')}"
    models = plural(len(deck.outputs.contestants), "model")
    print(f"{deck.outputs.task}: {items} to rate, of {models} on {samples}: {deck.question.asked}")
    if deck.left_out:
        print("not shown: " + "; ".join(f"{reason}: {count:,}" for reason, count in deck.left_out.items()))


def _invite(args: argparse.Namespace, doors: Doors, listening: socket.socket) -> None:
    """Print the links, and open the browser where there is one link and a screen."""
    import socket

    address = address_of(listening)
    host, port = listening.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        address = f"{socket.gethostname()}:{port}"
    if _is_shared(listening):
        print(
            f"evalharness: {args.host} can be reached from other machines, and what is sent is not encrypted: whoever "
            f"has a link sees the outputs",
            file=sys.stderr,
        )
    links = {rater: f"http://{address}/?token={token}" for rater, token in doors.links.items()}
    if doors.open_link is not None:
        links[""] = f"http://{address}/?token={doors.open_link}"
    for rater, link in links.items():
        print(f"open {link}" + (f" ({rater})" if rater else ""))
    print("Ctrl-C ends it; every rating is stored at once", flush=True)
    if len(links) == 1 and not args.no_browser and not _is_shared(listening):
        _open_browser(next(iter(links.values())))


def _is_shared(listening: socket.socket) -> bool:
    import ipaddress

    return not ipaddress.ip_address(listening.getsockname()[0].partition("%")[0]).is_loopback


def _open_browser(link: str) -> None:
    import os
    import threading
    import webbrowser

    if sys.platform not in ("win32", "darwin") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return  # there would be a browser in this terminal, if any
    threading.Thread(target=webbrowser.open, args=(link,), daemon=True).start()


def _conclude(args: argparse.Namespace, deck: Deck, counts: dict[str, int]) -> None:
    """Say how far the raters came, and what can be done with it."""
    if not counts:
        print("\nnobody rated anything")
        return
    told = ", ".join(f"{rater} {count:,} of {len(deck.items):,}" for rater, count in counts.items())
    print(f"\nrated: {told}")
    runs = sorted({item.key.contestant.run_id for item in deck.items})
    where = _place(args)
    task = shlex.quote(deck.outputs.task)
    print(f"export:    evalharness annotate {' '.join(runs)} --task {task}{where} --export ratings.csv")
    for run_id in runs:
        print(f"agreement: evalharness report {run_id}{where}")


def _place(args: argparse.Namespace) -> str:
    """The options that say where runs are. The registry's address stays untold: it may hold a password."""
    reports = "" if args.reports == "reports" else f" --reports {shlex.quote(args.reports)}"
    return reports + (" --registry URL" if args.registry else "")


# ── export ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _export(args: argparse.Namespace, records: Sequence[Record], registry: RunRegistry, raters: Sequence[str]) -> int:
    from evalharness.core.errors import RunError, UsageError
    from evalharness.core.files import write_atomic
    from evalharness.record.rating_csv import ratings_to_csv
    from evalharness.report.text import plural

    found = _ratings(args, [record.id for record in records], registry, raters)
    kept = [rating for rating in found if rating.is_answered or args.comments]
    if not kept:
        raise UsageError(
            f"there are no such ratings of {', '.join(record.id for record in records)}; evalharness annotate RECORD "
            f"makes some"
        )
    text = ratings_to_csv(kept)
    if args.export == "-":
        sys.stdout.write(text)
    else:
        try:
            write_atomic(Path(args.export), text)
        except OSError as error:
            raise RunError(f"{args.export} cannot be written: {error}; choose another file") from error
        print(f"wrote {plural(len(kept), 'rating')} to {args.export}", file=sys.stderr)
    if len(found) > len(kept):
        left_out = plural(len(found) - len(kept), "comment")
        print(f"left out: {left_out} without an answer (--comments takes them in)", file=sys.stderr)
    questions = sorted({(rating.question, rating.asked) for rating in kept})
    if len(questions) > 1:
        told = "; ".join(f"{kind} {asked!r}" for kind, asked in questions)
        print(
            f"these are answers to {len(questions)} questions; --question TEXT takes one of them: {told}",
            file=sys.stderr,
        )
    return 0


def _ratings(
    args: argparse.Namespace, run_ids: Sequence[str], registry: RunRegistry, raters: Sequence[str]
) -> list[Rating]:
    """The ratings that the options ask for, in the order of what they are about."""
    given = (("scale", args.scale), ("label", args.labels), ("pairwise", args.pairwise))
    kind = next((name for name, value in given if value is not None), None)
    asked = None if args.question is None else " ".join(args.question.split())
    ends = tuple(f"@{run_id}" for run_id in run_ids)
    found = [
        rating
        for rating in registry.ratings(task=args.task, asked=asked)
        if rating.run_id in run_ids or (rating.against or "").endswith(ends)
    ]
    return sorted(
        (r for r in found if (not raters or r.rater in raters) and (kind is None or r.question == kind)),
        key=lambda rating: rating.identity,
    )


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value
