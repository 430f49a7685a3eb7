"use strict";
// The explorer of samples. All text is put into the page as text, never as markup.
(() => {
  const PAGE = 100;
  const LONG = 2500;
  const SIGNS = { failed: "✗", wrong: "✗", right: "✓", scored: "·" };
  const $ = (id) => document.getElementById(id);
  let data, view = [], shown = 0, haystacks;

  const el = (tag, attributes, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value !== undefined && value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
    }
    for (const child of children.flat()) {
      if (child !== null && child !== undefined) node.append(child instanceof Node ? child : String(child));
    }
    return node;
  };
  const number = (value, digits = 4) =>
    typeof value === "number" ? Number(value.toPrecision(digits)).toLocaleString("en-US", { maximumSignificantDigits: digits }).replace("-", "−") : value === null ? "—" : value;
  const plural = (n, noun) => `${n.toLocaleString("en-US")} ${noun}${n === 1 ? "" : "s"}`;
  const seconds = (s) => (s < 1 ? `${number(s * 1000, 3)} ms` : `${number(s, 3)} s`);
  const shared = (part) => (typeof part === "number" ? data.shared[part] : part);
  const oneLine = (text) => text.slice(0, 300).replace(/\s+/g, " ").trim();
  const outcome = (row) => data.outcomes[row.o];
  const metricsOf = (row) => data.metrics.find((m) => m.t === row.t && m.m === row.m) || { names: [], up: [] };
  const promptText = (row) => (row.c ? row.p.map(([role, text]) => `${role}\n${shared(text)}`).join("\n") : row.p.map(shared).join(""));

  const haystack = (i) => {
    if (haystacks[i] === undefined) {
      const row = data.rows[i];
      // A preamble that all samples share is not searched: it would match all of them or none.
      const prompt = row.c ? promptText(row) : row.p[row.p.length - 1];
      haystacks[i] = [row.id, prompt, row.x, row.a, row.g, row.e, ...(row.f || []), ...(row.ch || []), ...(row.gr || []).map((g) => g.join("=")), data.tasks[row.t], data.models[row.m]]
        .filter((part) => part !== undefined && part !== null).join("\n").toLowerCase();
    }
    return haystacks[i];
  };

  const text = (content, kind) => {
    if (content === "") return el("pre", { class: "text" }, el("span", { class: "empty" }, "empty"));
    const pre = el("pre", { class: `text ${kind || ""}`, dir: "auto" });
    if (content.length <= LONG) {
      pre.append(content);
      return pre;
    }
    pre.append(`${content.slice(0, LONG)}…`);
    const button = el("button", { type: "button", class: "link", "aria-expanded": "false" }, `Show all ${content.length.toLocaleString("en-US")} characters`);
    button.addEventListener("click", () => {
      pre.textContent = content;
      button.remove();
    });
    return el("div", {}, pre, button);
  };
  const section = (title, content, full) => el("section", { class: full ? "full" : "" }, el("h4", {}, title), content);

  const prompt = (row) => {
    if (row.c) {
      return el("div", {}, row.p.map(([role, content]) => el("div", { class: `turn ${/^(system|user|assistant|tool)$/.test(role) ? role : ""}` }, el("span", { class: "role" }, role), text(shared(content)))));
    }
    if (row.p.length === 1) return text(row.p[0]);
    const preamble = shared(row.p[0]);
    const more = el("details", { class: "pre" }, el("summary", {}, `Preamble that these samples share (${plural(preamble.length, "character")})`));
    more.addEventListener("toggle", () => more.open && more.childElementCount === 1 && more.append(text(preamble)));
    return el("div", {}, more, text(row.p[1]));
  };

  const choices = (row) => {
    const lines = row.ch.map((choice, i) => {
      const ll = (row.ll || [])[i];
      const trimmed = choice.trim();
      const gold = row.g !== undefined && trimmed === row.g.trim();
      const picked = row.a !== undefined && trimmed === row.a.trim();
      return el("tr", { class: gold ? "gold" : "" },
        el("td", { class: "content", dir: "auto" }, choice, " ", gold ? el("span", { class: "tag" }, "target") : null, picked ? el("span", { class: "tag" }, "answer") : null),
        el("td", { class: "num" }, ll ? number(ll[0], 6) : "—"), el("td", { class: "num" }, ll ? ll[1] : "—"), el("td", { class: "num" }, ll ? number(ll[1] ? ll[0] / ll[1] : null) : "—"), el("td", {}, ll && ll[2] ? "yes" : ""));
    });
    const head = ["Choice", "log-likelihood", "tokens", "per token", "greedy"].map((name, i) => el("th", { scope: "col", class: i && i < 4 ? "num" : "" }, name));
    return el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, lines)));
  };
  const pairsTable = (head, rows) =>
    el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, head[0]), el("th", { scope: "col", class: "num" }, head[1]))),
      el("tbody", {}, rows.map(([name, value]) => el("tr", {}, el("td", {}, name), el("td", { class: "num" }, value)))));

  const judges = (verdicts) =>
    el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, ["Figure", "judge", "verdict", "why"].map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, verdicts.map((cells) => el("tr", {}, cells.map((cell, i) => el("td", { class: i === 3 ? "content" : "", dir: "auto" }, cell)))))));

  const line = (facts) =>
    el("dl", { class: "facts-line" }, facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, typeof value === "number" ? value.toLocaleString("en-US") : value))));

  const detail = (row) => {
    const metrics = metricsOf(row);
    const node = el("div", { class: "detail" });
    const add = (title, content, full) => node.append(section(title, content, full));
    if (row.e !== undefined) add("Error", text(row.e, "error"), true);
    add("Prompt", prompt(row), true);
    if (row.x !== undefined) add("Output", text(row.x));
    if (row.f) add(row.f.length > 1 ? "References" : "Reference", el("div", {}, row.f.map((reference) => text(reference))));
    if (row.g !== undefined && !row.ch) add("Target", text(row.g));
    if (row.a !== undefined && row.a !== row.x && !row.ch) add("Answer read from it", text(row.a));
    if (row.ch) add("Choices", choices(row), true);
    else if (row.ll) add("Log-likelihood", el("p", {}, `${number(row.ll[0][0], 8)} over ${plural(row.ll[0][1], "token")}`));
    if (row.lp) add("Label probabilities", pairsTable(["label", "probability"], [...row.lp].sort((a, b) => b[1] - a[1]).slice(0, 50).map(([label, p]) => [label, number(p)])));
    if (row.j) add("Judges", judges(row.j), true);
    const scores = metrics.names.map((name, i) => [`${name} ${metrics.up[i] ? "↑" : "↓"}`, number(row.sc[i])]).filter(([, value]) => value !== "—");
    if (scores.length) add("Scores of this sample", line(scores), true);
    const facts = [["state", row.s], ["finish reason", row.fr], ["latency", row.la === undefined ? undefined : seconds(row.la)], ["input tokens", row.ti], ["output tokens", row.to],
      ["retries", row.re], ["repeat", row.r], ["from the store", row.st ? "yes" : undefined], ["cluster", row.cl], ...(row.gr || []), ["request", row.k]]
      .filter(([, value]) => value !== undefined && value !== "");
    add("Facts", line(facts), true);
    return node;
  };

  const rowOf = (row) => {
    const word = outcome(row);
    const metrics = metricsOf(row);
    const first = row.sc.findIndex((value) => value !== null);
    const snippet = row.e !== undefined ? row.e : row.x !== undefined ? row.x : row.a !== undefined ? row.a : row.p.length ? (row.c ? shared(row.p[row.p.length - 1][1]) : row.p[row.p.length - 1]) : "";
    const button = el("button", { type: "button", class: "row", "aria-expanded": "false" },
      el("span", {}, el("span", { class: `badge ${word}` }, el("span", { "aria-hidden": "true" }, SIGNS[word]), " ", row.o === 0 ? row.s : word)),
      el("span", { class: "id", dir: "auto" }, row.id),
      el("span", { class: "where" }, data.models.length > 1 ? `${data.tasks[row.t]} · ${data.models[row.m]}` : data.tasks[row.t]),
      el("span", { class: "snippet", dir: "auto" }, oneLine(snippet)),
      el("span", { class: "score" }, first < 0 ? "" : `${metrics.names[first]} ${number(row.sc[first], 3)}`));
    const item = el("li", {}, button);
    button.addEventListener("click", () => {
      const open = button.getAttribute("aria-expanded") !== "true";
      button.setAttribute("aria-expanded", String(open));
      if (open) item.append(detail(row));
      else item.lastElementChild.remove();
    });
    return item;
  };

  // A page of rows at a time, so that ten thousand samples open as fast as a hundred, and what follows stays in reach.
  const grow = () => {
    const next = view.slice(shown, shown + PAGE);
    if (!next.length) return;
    $("rows").append(...next.map((i) => rowOf(data.rows[i])));
    shown += next.length;
    const left = view.length - shown;
    $("more").hidden = left === 0;
    $("more").textContent = `Show ${Math.min(PAGE, left)} more of ${left.toLocaleString("en-US")}`;
  };

  const score = (row) => {
    const metrics = metricsOf(row);
    const i = row.sc.findIndex((value) => typeof value === "number");
    return i < 0 ? Infinity : metrics.up[i] ? row.sc[i] : -row.sc[i];
  };
  const ORDERS = {
    "": ["wrong first", null],
    score: ["lowest score", (a, b) => score(a) - score(b)],
    slow: ["slowest", (a, b) => (b.la || 0) - (a.la || 0)],
    long: ["longest output", (a, b) => (b.x || "").length - (a.x || "").length],
  };

  const apply = () => {
    const words = $("f-text").value.toLowerCase().split(/\s+/).filter(Boolean);
    const [o, t, m, s] = ["f-outcome", "f-task", "f-model", "f-state"].map((id) => $(id).value);
    view = [];
    data.rows.forEach((row, i) => {
      if (o && outcome(row) !== o) return;
      if (t && String(row.t) !== t) return;
      if (m && String(row.m) !== m) return;
      if (s && row.s !== s) return;
      if (words.length && !words.every((word) => haystack(i).includes(word))) return;
      view.push(i);
    });
    const order = ORDERS[$("f-order").value][1];
    if (order) view.sort((a, b) => order(data.rows[a], data.rows[b]));
    shown = 0;
    $("rows").replaceChildren();
    $("count").textContent = view.length === data.rows.length ? plural(view.length, "sample") : view.length ? `${plural(view.length, "sample")} of ${data.rows.length.toLocaleString("en-US")}` : "No sample matches; change the search or the filters.";
    $("more").hidden = true;
    grow();
  };

  const fill = (id, all, options) => $(id).append(el("option", { value: "" }, all), ...options.map(([value, label]) => el("option", { value }, label)));
  const counted = (values, order) => {
    const counts = new Map();
    for (const value of values) counts.set(value, (counts.get(value) || 0) + 1);
    return [...counts].sort((a, b) => order.indexOf(a[0]) - order.indexOf(b[0])).map(([value, n]) => [value, `${value} (${n.toLocaleString("en-US")})`]);
  };

  const start = () => {
    data = JSON.parse($("data").textContent);
    haystacks = new Array(data.rows.length);
    fill("f-outcome", "all", counted(data.rows.map(outcome), data.outcomes));
    fill("f-task", "all", data.tasks.map((name, i) => [i, name]));
    fill("f-model", "all", data.models.map((name, i) => [i, name]));
    fill("f-state", "all", counted(data.rows.map((row) => row.s), []));
    $("f-order").append(...Object.entries(ORDERS).map(([value, [label]]) => el("option", { value }, label)));
    let timer;
    $("f-text").addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(apply, 120);
    });
    for (const id of ["f-outcome", "f-task", "f-model", "f-state", "f-order"]) $(id).addEventListener("change", apply);
    document.querySelector("form.filters").addEventListener("submit", (event) => event.preventDefault());
    $("more").addEventListener("click", () => {
      const first = shown;
      grow();
      // The keyboard goes on where the new rows begin.
      $("rows").children[first].querySelector(".row").focus();
    });
    $("rows").addEventListener("keydown", (event) => {
      if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
      const item = event.target.closest("li");
      const next = item && (event.key === "ArrowDown" ? item.nextElementSibling : item.previousElementSibling);
      if (!next || !event.target.classList.contains("row")) return;
      event.preventDefault();
      next.querySelector(".row").focus();
    });
    $("explorer").hidden = false;
    apply();
  };
  // After the first paint: the verdict is on the screen before the samples are read.
  requestAnimationFrame(() => setTimeout(start, 0));
})();
