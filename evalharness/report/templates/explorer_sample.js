// One sample, drawn. All text is put into the page as text, never as markup.
const drawing = (() => {
  const LONG = 2500;
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
    typeof value === "number" ? Number(value.toPrecision(digits)).toLocaleString("en-US", { maximumSignificantDigits: digits }).replace("-", "−") : value === null || value === undefined ? "—" : value;
  const amount = (value) => value.toLocaleString("en-US");
  const plural = (n, noun) => `${amount(n)} ${noun}${n === 1 ? "" : "s"}`;
  const seconds = (s) => (typeof s !== "number" ? s : s < 1 ? `${number(s * 1000, 3)} ms` : `${number(s, 3)} s`);
  const dollars = (value) => (typeof value === "number" ? `$${number(value, 3)}` : value);

  // `content` with what was searched for marked.
  const marked = (content, found) => {
    if (!found) return [content];
    const parts = [];
    let at = 0;
    found.lastIndex = 0;
    for (const match of content.matchAll(found)) {
      if (!match[0]) continue;
      parts.push(content.slice(at, match.index), el("mark", {}, match[0]));
      at = match.index + match[0].length;
      if (parts.length > 400) break;
    }
    return [...parts, content.slice(at)];
  };
  const text = (content, { kind, found, pieces } = {}) => {
    if (content === "") return el("pre", { class: "text" }, el("span", { class: "empty" }, "empty"));
    const pre = el("pre", { class: `text ${kind || ""}`, dir: "auto" });
    if (pieces) {
      pre.append(...pieces.map(([what, part]) => (what === "same" ? part : el(what === "gone" ? "del" : "ins", {}, part))));
      return pre;
    }
    if (content.length <= LONG) {
      pre.append(...marked(content, found));
      return pre;
    }
    pre.append(...marked(content.slice(0, LONG), found), "…");
    const button = el("button", { type: "button", class: "link" }, `Show all ${amount(content.length)} characters`);
    button.addEventListener("click", () => {
      pre.replaceChildren(...marked(content, found));
      button.remove();
      pre.tabIndex = -1;
      pre.focus();
    });
    return el("div", {}, pre, button);
  };
  const section = (title, content, wide) => el("section", { class: wide ? "full" : "" }, el("h4", {}, title), content);
  const folded = (title, content) => {
    const node = el("details", { class: "pre" }, el("summary", {}, title));
    node.addEventListener("toggle", () => node.open && node.childElementCount === 1 && node.append(content()));
    return node;
  };

  const prompt = (row, found) => {
    if (row.chat) {
      return el("div", {}, row.chat.map(({ role, content }) => el("div", { class: `turn ${/^(system|user|assistant|tool)$/.test(role) ? role : ""}` }, el("span", { class: "role" }, role), text(content, { found }))));
    }
    if (row.preamble === undefined) return text(row.prompt, { found });
    return el("div", {}, folded(`Preamble that these samples share (${plural(row.preamble.length, "character")})`, () => text(row.preamble)), text(row.prompt, { found }));
  };

  const table = (head, rows) =>
    el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, head.map(([name, kind]) => el("th", { scope: "col", class: kind }, name)))),
      el("tbody", {}, rows.map((cells) => el("tr", { class: cells.kind }, cells.map((cell, i) => el("td", { class: head[i][1], dir: head[i][1] === "content" ? "auto" : null }, cell)))))));
  const choices = (row) => {
    const is = (one, other) => other !== undefined && one.trim() === other.trim();
    const rows = row.choices.map((choice, i) => {
      const ll = (row.ll || [])[i];
      const gold = is(choice, row.target);
      const cells = [[choice, " ", gold ? el("span", { class: "tag" }, "target") : null, is(choice, row.answer) ? el("span", { class: "tag" }, "answer") : null].filter(Boolean),
        ll ? number(ll[0], 6) : "—", ll ? ll[1] : "—", ll ? number(ll[1] ? ll[0] / ll[1] : null) : "—", ll && ll[2] ? "yes" : ""];
      cells.kind = gold ? "gold" : "";
      return cells;
    });
    return table([["Choice", "content"], ["log-likelihood", "num"], ["tokens", "num"], ["per token", "num"], ["greedy", ""]], rows);
  };
  const probabilities = (pairs) => [...pairs].sort((a, b) => b[1] - a[1]).slice(0, 50).map(([label, p]) => [label, number(p)]);

  const facts = (row) => {
    const cell = (name) => samples.cell(name, row.number) ?? undefined;
    return [["state", samples.head.states[cell("s")]], ["finish reason", row.fr], ["latency", seconds(cell("la"))], ["input tokens", cell("ti")], ["of them cached", row.tk],
      ["output tokens", cell("to")], ["of them reasoning", row.tr], ["cost", dollars(cell("co"))], ["retries", cell("re")], ["repeat", cell("r")], ["from the store", row.st ? "yes" : undefined],
      ["cluster", row.cl], ...groups(row.number), ["asked", row.at && `${row.at.replace("T", " ")} UTC`], ["request", row.k]].filter(([, value]) => value !== undefined && value !== "");
  };
  const groups = (i) => samples.head.groups.filter((g) => g.of[i] >= 0).map((g) => [g.name, g.values[g.of[i]]]);
  const scores = (i) => metrics(i).map(({ name, up, place }) => ({ name, up, value: samples.head.scores[place][i] }));
  const metrics = (i) => {
    const own = samples.head.metrics.find((m) => m.t === samples.cell("t", i) && m.m === samples.cell("m", i));
    return own ? own.names.map((name, place) => ({ name, up: own.up[place], place })) : [];
  };

  const outputs = (row, found, add) => {
    const before = row.b;
    const both = before && row.output !== undefined && before.x !== undefined && row.output !== before.x;
    const [old, now] = both ? wordDiff(before.x, row.output) : [];
    const title = samples.head.baseline ? "Output of this run" : "Output";
    if (row.output !== undefined) add(title, text(row.output, { found, pieces: now }));
    if (row.answer !== undefined && row.answer !== row.output && !row.choices) add("Answer read from it", text(row.answer, { found }));
    const calls = (title, list, mark) => list && add(title, el("div", {}, list.map((call) => text(call, { found: mark }))));
    if (!before) {
      calls("Tool calls", row.calls, found);
      if (samples.head.baseline) add("The baseline", el("p", { class: "hint" }, "It has no answer to this sample."));
      return;
    }
    if (before.e !== undefined) add("Error of the baseline", text(before.e, { kind: "error" }));
    if (before.x !== undefined) add(before.x === row.output ? "Output of the baseline: the same" : "Output of the baseline", text(before.x, { pieces: old }));
    if (before.a !== undefined && before.a !== before.x) add("Answer of the baseline", text(before.a));
    if (before.h !== undefined) add("", folded("Reasoning of the baseline", () => text(before.h)), true);
    calls("Tool calls of this run", row.calls, found);
    calls("Tool calls of the baseline", before.tc);
  };
  const figures = (row) => {
    const before = row.b;
    const own = scores(row.number).map(({ name, up, value }, i) => [`${name} ${up ? "↑" : "↓"}`, number(value), ...(before ? [number(before.sc[i])] : [])]).filter((cells) => cells.slice(1).some((value) => value !== "—"));
    const cell = (name) => samples.cell(name, row.number) ?? undefined;
    const extra = before ? [["latency", seconds(cell("la")), seconds(before.la)], ["input tokens", cell("ti"), before.ti], ["output tokens", cell("to"), before.to], ["cost", dollars(cell("co")), dollars(before.co)]].filter(([, a, b]) => a !== undefined || b !== undefined).map((cells) => cells.map((value) => value ?? "—")) : [];
    return own.length || extra.length ? table([["Figure", ""], [before ? "this run" : "value", "num"], ...(before ? [["baseline", "num"]] : [])], [...own, ...extra]) : null;
  };

  // The parts of a sample, in the order in which they are read.
  const detail = (row, found) => {
    const node = el("div", { class: "detail" });
    const add = (title, content, wide) => node.append(title ? section(title, content, wide) : el("section", { class: wide ? "full" : "" }, content));
    if (row.error !== undefined) add("Error", text(row.error, { kind: "error", found }), true);
    add("Prompt", prompt(row, found), true);
    if (row.reasoning !== undefined) add("", folded(`Reasoning, which is no part of the answer (${plural(row.reasoning.length, "character")})`, () => text(row.reasoning, { found })), true);
    outputs(row, found, add);
    if (row.references) add(row.references.length > 1 ? "References" : "Reference", el("div", {}, row.references.map((reference) => text(reference, { found }))));
    if (row.target !== undefined && !row.choices) add("Target", text(row.target, { found }));
    if (row.choices) add("Choices", choices(row), true);
    else if (row.ll) add("Log-likelihood", el("p", {}, `${number(row.ll[0][0], 8)} over ${plural(row.ll[0][1], "token")}`));
    if (row.lp) add("Label probabilities", table([["label", "content"], ["probability", "num"]], probabilities(row.lp)));
    if (row.j) add("Judges", table([["Figure", ""], ["judge", ""], ["verdict", ""], ["why", "content"]], row.j.map((cells, i) => [...cells, row.why[i]])), true);
    const numbers = figures(row);
    if (numbers) add("Scores of this sample", numbers);
    add("Facts", el("dl", { class: "facts-line" }, facts(row).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, typeof value === "number" ? amount(value) : value)))), true);
    return node;
  };

  // The sample as JSON, to be taken elsewhere.
  const plain = (row) => {
    const i = row.number;
    const cell = (name) => samples.cell(name, i) ?? undefined;
    const of = (list) => Object.fromEntries(list);
    const before = row.b && { run: samples.head.baseline, status: row.b.s, text: row.b.x, answer: row.b.a, error: row.b.e, scores: of(scores(i).map(({ name }, k) => [name, row.b.sc[k]])), latency_s: row.b.la, input_tokens: row.b.ti, output_tokens: row.b.to, cost_usd: row.b.co };
    return JSON.stringify({
      task: samples.head.tasks[cell("t")], model: samples.head.models[cell("m")], sample_id: row.id, repeat: cell("r"), groups: of(groups(i)),
      prompt: row.chat || (row.preamble || "") + row.prompt, references: row.references, target: row.target, choices: row.choices,
      status: samples.head.states[cell("s")], text: row.output, answer: row.answer, reasoning_content: row.reasoning, tool_calls: row.calls, error: row.error, loglikelihoods: row.ll, label_probabilities: row.lp && of(row.lp),
      judged: row.j && row.j.map(([figure, judge, verdict], k) => ({ figure, judge, verdict, why: row.why[k] })), scores: of(scores(i).map(({ name, value }) => [name, value])),
      finish_reason: row.fr, latency_s: cell("la"), input_tokens: cell("ti"), output_tokens: cell("to"), cost_usd: cell("co"), n_retries: cell("re"), request: row.k, baseline: before,
    }, null, 2);
  };

  return { el, number, amount, plural, seconds, dollars, marked, detail, plain, scores, metrics, groups };
})();
