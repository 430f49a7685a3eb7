"""All that apprise speaks: e-mail, Slack, Teams, Telegram, PagerDuty and a hundred others."""

from __future__ import annotations

import io
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from evalharness.core.errors import MissingExtraError
from evalharness.monitor.alerts.deliver import DeliveryError

from .words import title_and_text

__all__ = ["send_by_apprise"]

_HOOKS: Final = frozenset({"json", "jsons", "xml", "xmls", "form", "forms", "apprise", "apprises"})
_LEVELS: Final = {"resolved": "success", "no_data": "warning", "error": "failure"}


def send_by_apprise(url: str, body: Mapping[str, Any], *, shown: str, allow_private: bool, picture: bool) -> None:
    """Return once apprise says that the message was taken.

    Raises:
        DeliveryError: if it was not; apprise does not say whether it may have arrived all the same.
        MissingExtraError: if apprise is not installed.
    """
    try:
        import apprise
    except ModuleNotFoundError as error:
        raise MissingExtraError("apprise", "monitor", purpose=shown) from error
    if not allow_private and urlsplit(url).scheme.lower() in _HOOKS:
        # These go to any address, which apprise looks up by itself: our own webhooks check it.
        raise DeliveryError(f"{shown}: use kind: webhook with an address of https", permanent=True)
    sender = apprise.Apprise()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # what its plug-ins import is their business
        is_known = sender.add(url)
    if not is_known:
        raise DeliveryError(f"{shown}: apprise does not know such an address", permanent=True)
    title, text = title_and_text(body)
    pictures = [alert["picture"] for alert in body["alerts"] if alert["picture"]] if picture else []
    with tempfile.TemporaryDirectory(prefix="evalharness-") as folder:
        files = []
        for number, drawn in enumerate(pictures if _carries_files(sender) else [], start=1):
            file = Path(folder) / f"chart-{number}.svg"
            file.write_text(drawn, encoding="utf-8")
            files.append(str(file))
        log: io.StringIO
        with apprise.LogCapture(level=apprise.logging.WARNING) as log:
            try:
                is_sent = sender.notify(
                    body=text,
                    title=title,
                    notify_type=_LEVELS.get(body["kind"], "failure"),
                    body_format="text",
                    attach=files or None,
                )
            except Exception as error:  # noqa: BLE001  (a hundred plug-ins of others: one that fails is no end of ours)
                raise DeliveryError(f"{shown}: apprise failed: {type(error).__name__}", is_sure=False) from None
            said = log.getvalue().strip().splitlines()
    if not is_sent:
        raise DeliveryError(f"{shown}: {said[-1] if said else 'apprise could not send the message'}", is_sure=False)


def _carries_files(sender: Any) -> bool:
    return all(getattr(server, "attachment_support", False) for server in sender)
