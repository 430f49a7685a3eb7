// What pages do beyond what they say without it: live counts and progress, and charts that can be explored.
"use strict";

const main = document.getElementById("main");
const number = new Intl.NumberFormat("en");

function line(run) {
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
  count.textContent = `${number.format(run.done)}/${number.format(run.total)} · ${run.per_s}/s`;
  item.append(name, label, bar, count);
  if (run.failed) {
    const failed = document.createElement("span");
    failed.className = "some";
    failed.textContent = `✗ ${number.format(run.failed)}`;
    item.append(failed);
  }
  return item;
}

function show(state) {
  for (const place of document.querySelectorAll("[data-live=alerts]")) {
    place.textContent = number.format(state.alerts);
    place.hidden = state.alerts === 0;
  }
  for (const place of document.querySelectorAll("[data-live=running]")) {
    place.querySelector("ul").replaceChildren(...state.running.map(line));
    place.hidden = state.running.length === 0;
  }
}

if (main && main.dataset.liveFrom && window.EventSource) {
  let source = null;
  // A page in the background holds no connection: browsers have few of them for one server.
  const follow = () => {
    if (document.hidden) {
      source?.close();
      source = null;
    } else if (!source) {
      source = new EventSource(main.dataset.liveFrom);
      source.addEventListener("state", (event) => show(JSON.parse(event.data)));
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
function tipper(figure) {
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);
  return (_, event, item, value) => {
    const isNothing = value === null || value === undefined || value === "";
    tip.hidden = isNothing;
    if (isNothing) return;
    const parts = typeof value === "object" ? Object.entries(value) : [["", value]];
    tip.textContent = parts.map(([key, text]) => (key ? `${key}: ${text}` : `${text}`)).join("\n");
    tip.style.left = `${Math.min(event.pageX + 12, window.scrollX + document.documentElement.clientWidth - 220)}px`;
    tip.style.top = `${event.pageY + 12}px`;
  };
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
      const drawn = document.createElement("div");
      // The interpreter: expressions are walked, never compiled, which the page's policy would forbid.
      await window.vegaEmbed(drawn, themed(spec), {
        ast: true, actions: false, defaultStyle: false, renderer: "svg", logLevel: 1, tooltip: tipper(figure),
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
    } catch {
      button.disabled = false;
    }
  });
}
