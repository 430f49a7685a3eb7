// What pages do beyond what they say without it: live counts and progress, and charts that can be explored.
"use strict";

const main = document.getElementById("main");
const number = new Intl.NumberFormat("en");

function line(run, silent) {
  const item = document.createElement("li");
  const name = document.createElement("bdi");
  name.textContent = run.suite;
  const label = document.createElement("span");
  label.className = "meta";
  label.textContent = run.label;
  const bar = document.createElement("progress");
  bar.max = Math.max(run.total, 1);
  bar.value = run.done;
  bar.setAttribute("aria-label", run.suite);
  const count = document.createElement("span");
  count.className = "num";
  count.textContent = `${number.format(run.done)}/${number.format(run.total)} ` + (run.is_silent ? "" : ` · ${run.per_s}/s`);
  item.append(name, label, bar, count);
  if (run.failed) {
    const failed = document.createElement("span");
    failed.className = "some";
    failed.textContent = `✗ ${number.format(run.failed)}`;
    item.append(failed);
  }
  if (run.is_silent) {
    const word = document.createElement("span");
    word.className = "some";
    word.textContent = silent.replace("{}", new Date(run.updated_s * 1000).toISOString().slice(11, 19));
    item.append(word);
  }
  return item;
}

function show(state) {
  for (const place of document.querySelectorAll("[data-live=alerts]")) {
    place.textContent = number.format(state.alerts);
    place.hidden = state.alerts === 0;
  }
  for (const place of document.querySelectorAll("[data-live=running]")) {
    place.querySelector("ul").replaceChildren(...state.running.map((run) => line(run, place.dataset.silent)));
    place.hidden = state.running.length === 0;
  }
}

if (main && main.dataset.liveFrom && window.EventSource) {
  let source = null;
  let waiting = null;
  const lost = document.getElementById("lost");
  const isLost = (yes) => {
    if (yes) {
      // A stream that ends by itself is opened again within seconds, of which nobody needs to hear.
      waiting ??= setTimeout(() => { lost.hidden = false; }, 8_000);
    } else {
      clearTimeout(waiting);
      waiting = null;
      lost.hidden = true;
    }
  };
  // A page in the background holds no connection: browsers have few of them for one server.
  const follow = () => {
    if (document.hidden) {
      source?.close();
      source = null;
    } else if (!source) {
      const opened = (source = new EventSource(main.dataset.liveFrom));
      opened.addEventListener("state", (event) => {
        isLost(false);
        show(JSON.parse(event.data));
      });
      opened.addEventListener("error", () => {
        isLost(true);
        // Browsers come back by themselves where the connection broke, and give up where they were refused.
        if (opened.readyState === EventSource.CLOSED) {
          setTimeout(() => {
            if (source === opened) { source = null; follow(); }
          }, 10_000);
        }
      });
    }
  };
  document.addEventListener("visibilitychange", follow);
  window.addEventListener("pagehide", () => source?.close());
  follow();
}

let bundle = null;
function load(address) {
  bundle ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.type = "module";
    script.src = address;
    script.onload = resolve;
    script.onerror = reject;
    document.head.append(script);
  });
  return bundle;
}

function themed(spec) {
  const style = getComputedStyle(document.documentElement);
  const names = ["--ink", "--muted", "--line", "--accent", "--accent-soft", "--before", "--ok", "--bad"];
  const light = ["#1b2127", "#59636d", "#dcdfe1", "#0b5cad", "#a9c9ea", "#8d959d", "#0a6a51", "#ad330b"];
  const colours = new Map(light.map((colour, i) => [colour, style.getPropertyValue(names[i]).trim() || colour]));
  return JSON.parse(JSON.stringify(spec), (_, value) => (typeof value === "string" ? (colours.get(value) ?? value) : value));
}

// Text only: what stands in the data cannot act in a tip.
function tipOf(figure) {
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.setAttribute("role", "status");
  figure.append(tip);
  return {
    show(value, x, y) {
      const isNothing = value === null || value === undefined || value === "";
      const parts = isNothing ? [] : typeof value === "object" ? Object.entries(value) : [["", value]];
      tip.textContent = parts.map(([key, text]) => (key ? `${key}: ${text}` : `${text}`)).join("\n");
      const within = figure.getBoundingClientRect();
      tip.style.left = `${Math.max(0, Math.min(x - within.left + 12, within.width - tip.offsetWidth))}px`;
      tip.style.top = `${y - within.top + 12}px`;
    },
  };
}

// The marks of a drawn chart that have something to say, from left to right: arrow keys go from one to the next, what
// it says is shown and read out, Enter follows where it leads, Escape ends. The pointer does the same.
function walkable(picture, tip, keys) {
  const said = (node) => (node.__data__ && !Array.isArray(node.__data__) ? node.__data__.tooltip : undefined);
  const middle = (node) => {
    const box = node.getBoundingClientRect();
    return [box.left + box.width / 2, box.top + box.height / 2];
  };
  // A line is one mark of many values: its points, where they are drawn, are told one by one.
  const marks = [...picture.querySelectorAll(".role-mark path, .role-mark rect")].filter((node) => said(node) && !node.closest(".mark-line, .mark-area"));
  const places = marks.map((node) => [node, ...middle(node)]).sort((a, b) => a[1] - b[1] || a[2] - b[2]).map(([node]) => node);
  if (!places.length) return;
  let at = -1;
  const leave = () => {
    places[at]?.classList.remove("here");
    at = -1;
    tip.show("");
  };
  picture.setAttribute("tabindex", "0");
  picture.setAttribute("role", "application");
  picture.setAttribute("aria-label", `${picture.getAttribute("aria-label")}. ${keys}`);
  picture.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const last = places.length - 1;
    const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: last }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      leave();
      at = Math.min(last, Math.max(0, to));
      places[at].classList.add("here");
      places[at].scrollIntoView({ block: "nearest", inline: "nearest" });
      tip.show(said(places[at]), ...middle(places[at]));
    } else if (event.key === "Enter" && at >= 0 && /^#[\w-]+$/.test(places[at].__data__.href ?? "")) {
      const target = document.getElementById(places[at].__data__.href.slice(1));
      target?.closest("details")?.setAttribute("open", "");
      location.hash = places[at].__data__.href;
      target?.focus();
    } else if (event.key === "Escape") leave();
  });
  picture.addEventListener("blur", leave);
}

for (const button of document.querySelectorAll("button.explore")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const figure = button.closest("figure");
    const spec = JSON.parse(figure.querySelector("script.spec").textContent);
    button.disabled = true;
    try {
      await load(button.dataset.bundle);
      const place = figure.querySelector(".drawing");
      const tip = tipOf(figure);
      const drawn = document.createElement("div");
      // The interpreter: expressions are walked, never compiled, which the page's policy would forbid.
      await window.vegaEmbed(drawn, themed(spec), {
        ast: true, actions: false, defaultStyle: false, renderer: "svg", logLevel: 1, tooltip: (_, event, item, value) => tip.show(value, event.clientX, event.clientY),
        loader: {
          load: () => Promise.reject(new Error("charts load nothing")),
          // Links of points lead to places of this page, and nowhere else.
          sanitize: (address) => (/^#[\w-]+$/.test(address) ? Promise.resolve({ href: address }) : Promise.reject(new Error("no place here"))),
        },
      });
      const picture = drawn.querySelector("svg");
      if (picture) {
        // The whole is one picture with a name, as the drawing was; its marks have none of their own.
        for (const part of picture.querySelectorAll("[role]")) {
          for (const name of ["role", "aria-roledescription", "aria-label"]) part.removeAttribute(name);
        }
        picture.setAttribute("role", "img");
        picture.setAttribute("aria-label", figure.querySelector("figcaption").textContent);
      }
      place.replaceChildren(drawn);
      button.remove();
      if (picture) {
        // The group around it moves a wide drawing aside; within it the drawing itself takes the keys.
        walkable(picture, tip, button.dataset.keys);
        (picture.hasAttribute("tabindex") ? picture : place).focus({ preventScroll: true });
      }
    } catch {
      button.disabled = false;
    }
  });
}
