"""Page: what the stand-ins hold, as a phone would show it. It runs nothing that it was sent."""

import re
from html import escape, unescape
from typing import Any, Final

from services.demo.standins.ledger import Received
from services.demo.standins.pagerduty import Alert
from services.demo.standins.slack import Posted

_LINK: Final = re.compile(r"<([^<>|]*)(?:\|([^<>]*))?>")
_BOLD: Final = re.compile(r"(?<!\w)\*(\S(?:[^*\n]*\S)?)\*(?!\w)")

_STYLE: Final = """
body{font:15px/1.4 system-ui,sans-serif;background:#e8e8ec;margin:0;padding:24px;color:#1d1c1d;
 display:flex;gap:24px;flex-wrap:wrap;align-items:flex-start}
.phone{width:390px;background:#fff;border-radius:28px;padding:18px 16px 28px;
 box-shadow:0 4px 24px #0003}
h1{font-size:13px;color:#616061;text-transform:uppercase;letter-spacing:.06em;margin:4px 0 12px}
.message{border-top:1px solid #ddd;padding:12px 0}.message h2{font-size:17px;margin:0 0 8px}
.message p{margin:6px 0}blockquote{margin:2px 0;padding-left:10px;border-left:4px solid #ddd}
.note{color:#616061;font-size:13px}.reply{margin-left:18px;border-left:2px solid #ddd;
 padding-left:10px;font-size:14px}a{color:#1264a3}.mention{background:#fff0c0}
.button{display:inline-block;border:1px solid #bbb;border-radius:6px;padding:4px 10px;margin:3px 4px 3px 0;
 font-size:13px;font-weight:600}.primary{background:#007a5a;border-color:#007a5a;color:#fff}
.tag{font-size:12px;border-radius:4px;padding:1px 6px;color:#fff;background:#616061}
.critical,.triggered{background:#b3261e}.error{background:#c4570a}.warning{background:#8a6d00}
.acknowledged{background:#1264a3}.resolved,.info{background:#2e7d32}
"""


def page(
    messages: list[Posted],
    alerts: list[Alert],
    events: list[Received],
    others: list[Received] = [],  # noqa: B006 - only read
    *,
    refresh: bool = True,
) -> str:
    """Write the page: one phone a service that has something to show."""
    phones = []
    if messages:
        top = [m for m in messages if m.thread_ts is None]
        shown = "".join(_message(m, messages) for m in reversed(top))
        phones.append(f"<section class=phone><h1>Slack</h1>{shown}</section>")
    if alerts:
        shown = "".join(map(_alert, reversed(alerts)))
        phones.append(f"<section class=phone><h1>PagerDuty</h1>{shown}</section>")
    if events:
        shown = "".join(map(_event, reversed(events)))
        phones.append(f"<section class=phone><h1>Webhook</h1>{shown}</section>")
    for service in ("email", "alertmanager"):
        if found := [message for message in others if message.service == service]:
            shown = "".join(map(_event, reversed(found)))
            phones.append(f"<section class=phone><h1>{service.title()}</h1>{shown}</section>")
    again = "<meta http-equiv=refresh content=2>" if refresh else ""
    body = "".join(phones) or "<section class=phone><h1>Nothing received yet</h1></section>"
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        f"<meta name=viewport content='width=device-width'>{again}"
        f"<title>uproar's stand-ins</title><style>{_STYLE}</style>{body}</html>"
    )


def mrkdwn(text: str) -> str:
    """Turn Slack's markup into HTML; a mention, which nobody asked for, is shown marked."""
    shown, end = [], 0
    for found in _LINK.finditer(text):
        shown.append(_plain(text[end : found.start()]))
        address, label = unescape(found[1]), unescape(found[2] or found[1])
        if address.startswith(("http://", "https://")):
            shown.append(f'<a href="{escape(address)}" rel=noreferrer>{escape(label)}</a>')
        else:
            shown.append(f"<span class=mention>{escape(label)}</span>")
        end = found.end()
    shown.append(_plain(text[end:]))
    return "<br>".join(map(_line, "".join(shown).split("\n")))


def _plain(text: str) -> str:
    return _BOLD.sub(r"<b>\1</b>", escape(unescape(text)))


def _line(line: str) -> str:
    quoted = line.startswith("&gt;")
    return f"<blockquote>{line.removeprefix('&gt;')}</blockquote>" if quoted else line


def _message(message: Posted, all_messages: list[Posted]) -> str:
    replies = [m for m in all_messages if m.thread_ts == message.ts]
    edited = f"<p class=note>updated {message.edited}x</p>" if message.edited else ""
    thread = "".join(f"<div class=reply>{_body(reply)}</div>" for reply in replies)
    return f"<article class=message>{_body(message)}{edited}{thread}</article>"


def _body(message: Posted) -> str:
    if not message.blocks:
        return f"<p>{mrkdwn(message.text)}</p>"
    return "".join(map(_block, message.blocks))


def _block(block: dict[str, Any]) -> str:
    match block["type"]:
        case "header":
            return f"<h2>{escape(block['text']['text'])}</h2>"
        case "section":
            return f"<p>{mrkdwn(block['text']['text'])}</p>"
        case "context":
            return "".join(f"<p class=note>{mrkdwn(e['text'])}</p>" for e in block["elements"])
        case "actions":
            return f"<p>{''.join(map(_element, block['elements']))}</p>"
        case _:
            return "<hr>"


def _element(element: dict[str, Any]) -> str:
    """Show a button or a menu; pressing it here does nothing."""
    if element["type"] == "static_select":
        return f"<span class=button>{escape(element['placeholder']['text'])} ▾</span> "
    style = escape(str(element.get("style", "")))
    return f"<span class='button {style}'>{escape(element['text']['text'])}</span> "


def _alert(alert: Alert) -> str:
    posts = alert.details.get("posts", [])
    said = [alert.details.get(name, "") for name in ("why_now", "how_big", "changed", "advice")]
    shown = "".join(f"<p>{escape(str(text))}</p>" for text in said if text)
    quotes = "".join(f"<blockquote>{escape(str(p.get('text', '')))}</blockquote>" for p in posts)
    return (
        f"<article class=message><h2>{escape(alert.summary)}</h2>"
        f"<span class='tag {alert.state.value}'>{alert.state.value}</span> "
        f"<span class='tag {escape(alert.severity)}'>{escape(alert.severity)}</span>"
        f"{shown}{quotes}</article>"
    )


def _event(event: Received) -> str:
    repeat = " (a repeat)" if event.effect == "dropped" else ""
    return (
        f"<article class=message><span class=tag>{escape(event.what)}{repeat}</span>"
        f"<p>{escape(event.text)}</p><p class=note>{escape(event.key)}</p></article>"
    )
