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
  const some = (n, one, many) => t(n === 1 ? one : many, { n: amount(n) });
  const samplesOf = (n) => some(n, t("%(n)s sample"), t("%(n)s samples"));
  const characters = (n) => some(n, t("%(n)s character"), t("%(n)s characters"));
  // The names of states, outcomes and sides, which are data, as a reader is shown them.
  const WORDS = {
    ok: t("ok"), error: t("error"), refusal: t("refusal"), truncated: t("truncated"), unparsed: t("unparsed"), judge_failed: t("judge_failed"),
    failed: t("failed"), wrong: t("wrong"), scored: t("scored"), right: t("right"), system: t("system"), user: t("user"), assistant: t("assistant"), tool: t("tool"),
  };
  const word = (name) => (Object.hasOwn(WORDS, name) ? WORDS[name] : name);
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
    if (content === "") return el("pre", { class: "text" }, el("span", { class: "empty" }, t("empty")));
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
    const button = el("button", { type: "button", class: "link" }, t("Show all %(n)s characters", { n: amount(content.length) }));
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
      return el("div", {}, row.chat.map(({ role, content }) => el("div", { class: `turn ${/^(system|user|assistant|tool)$/.test(role) ? role : ""}` }, el("span", { class: "role" }, word(role)), text(content, { found }))));
    }
    if (row.preamble === undefined) return text(row.prompt, { found });
    return el("div", {}, folded(t("Preamble that these samples share (%(length)s)", { length: characters(row.preamble.length) }), () => text(row.preamble)), text(row.prompt, { found }));
  };

  const table = (head, rows) =>
    el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, head.map(([name, kind]) => el("th", { scope: "col", class: kind }, name)))),
      el("tbody", {}, rows.map((cells) => el("tr", { class: cells.kind }, cells.map((cell, i) => el("td", { class: head[i][1], dir: head[i][1] === "content" ? "auto" : null }, cell)))))));
  const choices = (row) => {
    const is = (one, other) => other !== undefined && one.trim() === other.trim();
    const rows = row.choices.map((choice, i) => {
      const ll = (row.ll || [])[i];
      const gold = is(choice, row.target);
      const cells = [[choice, " ", gold ? el("span", { class: "tag" }, t("target")) : null, is(choice, row.answer) ? el("span", { class: "tag" }, t("answer")) : null].filter(Boolean),
        ll ? number(ll[0], 6) : "—", ll ? ll[1] : "—", ll ? number(ll[1] ? ll[0] / ll[1] : null) : "—", ll && ll[2] ? t("yes") : ""];
      cells.kind = gold ? "gold" : "";
      return cells;
    });
    return table([[t("Choice"), "content"], [t("log-likelihood"), "num"], [t("tokens"), "num"], [t("per token"), "num"], [t("greedy"), ""]], rows);
  };
  const probabilities = (pairs) => [...pairs].sort((a, b) => b[1] - a[1]).slice(0, 50).map(([label, p]) => [label, number(p)]);

  const facts = (row) => {
    const cell = (name) => samples.cell(name, row.number) ?? undefined;
    return [[t("state"), word(samples.head.states[cell("s")])], [t("finish reason"), row.fr], [t("latency"), seconds(cell("la"))], [t("input tokens"), cell("ti")], [t("of them cached"), row.tk],
      [t("output tokens"), cell("to")], [t("of them reasoning"), row.tr], [t("cost"), dollars(cell("co"))], [t("retries"), cell("re")], [t("repeat"), cell("r")], [t("from the store"), row.st ? t("yes") : undefined],
      [t("cluster"), row.cl], ...groups(row.number), [t("asked"), row.at && `${row.at.replace("T", " ")} UTC`], [t("request"), row.k]].filter(([, value]) => value !== undefined && value !== "");
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
    const title = samples.head.baseline ? t("Output of this run") : t("Output");
    if (row.output !== undefined) add(title, text(row.output, { found, pieces: now }));
    if (row.answer !== undefined && row.answer !== row.output && !row.choices) add(t("Answer read from it"), text(row.answer, { found }));
    const calls = (title, list, mark) => list && add(title, el("div", {}, list.map((call) => text(call, { found: mark }))));
    if (!before) {
      calls(t("Tool calls"), row.calls, found);
      if (samples.head.baseline) add(t("The baseline"), el("p", { class: "hint" }, t("It has no answer to this sample.")));
      return;
    }
    if (before.e !== undefined) add(t("Error of the baseline"), text(before.e, { kind: "error" }));
    if (before.x !== undefined) add(before.x === row.output ? t("Output of the baseline: the same") : t("Output of the baseline"), text(before.x, { pieces: old }));
    if (before.a !== undefined && before.a !== before.x) add(t("Answer of the baseline"), text(before.a));
    if (before.h !== undefined) add("", folded(t("Reasoning of the baseline"), () => text(before.h)), true);
    calls(t("Tool calls of this run"), row.calls, found);
    calls(t("Tool calls of the baseline"), before.tc);
  };
  const figures = (row) => {
    const before = row.b;
    const own = scores(row.number).map(({ name, up, value }, i) => [`${name} ${up === null ? "" : up ? "↑" : "↓"}`.trim(), number(value), ...(before ? [number(before.sc[i])] : [])]).filter((cells) => cells.slice(1).some((value) => value !== "—"));
    const cell = (name) => samples.cell(name, row.number) ?? undefined;
    const extra = before ? [[t("latency"), seconds(cell("la")), seconds(before.la)], [t("input tokens"), cell("ti"), before.ti], [t("output tokens"), cell("to"), before.to], [t("cost"), dollars(cell("co")), dollars(before.co)]].filter(([, a, b]) => a !== undefined || b !== undefined).map((cells) => cells.map((value) => value ?? "—")) : [];
    return own.length || extra.length ? table([[t("Figure"), ""], [before ? t("this run") : t("value"), "num"], ...(before ? [[t("baseline"), "num"]] : [])], [...own, ...extra]) : null;
  };

  // The parts of a sample, in the order in which they are read.
  const detail = (row, found) => {
    const node = el("div", { class: "detail" });
    const add = (title, content, wide) => node.append(title ? section(title, content, wide) : el("section", { class: wide ? "full" : "" }, content));
    if (row.error !== undefined) add(t("Error"), text(row.error, { kind: "error", found }), true);
    add(t("Prompt"), prompt(row, found), true);
    if (row.reasoning !== undefined) add("", folded(t("Reasoning, which is no part of the answer (%(length)s)", { length: characters(row.reasoning.length) }), () => text(row.reasoning, { found })), true);
    outputs(row, found, add);
    if (row.references) add(row.references.length > 1 ? t("References") : t("Reference"), el("div", {}, row.references.map((reference) => text(reference, { found }))));
    if (row.target !== undefined && !row.choices) add(t("Target"), text(row.target, { found }));
    if (row.choices) add(t("Choices"), choices(row), true);
    else if (row.ll) add(t("Log-likelihood"), el("p", {}, t("%(value)s over %(tokens)s", { value: number(row.ll[0][0], 8), tokens: some(row.ll[0][1], t("%(n)s token"), t("%(n)s tokens")) })));
    if (row.lp) add(t("Label probabilities"), table([[t("label"), "content"], [t("probability"), "num"]], probabilities(row.lp)));
    if (row.j) add(t("Judges"), table([[t("Figure"), ""], [t("judge"), ""], [t("verdict"), ""], [t("why"), "content"]], row.j.map((cells, i) => [...cells, row.why[i]])), true);
    const numbers = figures(row);
    if (numbers) add(t("Scores of this sample"), numbers);
    add(t("Facts"), el("dl", { class: "facts-line" }, facts(row).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, typeof value === "number" ? amount(value) : value)))), true);
    return node;
  };

  // The sample as data, to be taken elsewhere.
  const plain = (row) => {
    const i = row.number;
    const cell = (name) => samples.cell(name, i) ?? undefined;
    const of = (list) => Object.fromEntries(list);
    const before = row.b && { run: samples.head.baseline, status: row.b.s, text: row.b.x, answer: row.b.a, error: row.b.e, scores: of(scores(i).map(({ name }, k) => [name, row.b.sc[k]])), latency_s: row.b.la, input_tokens: row.b.ti, output_tokens: row.b.to, cost_usd: row.b.co };
    return {
      task: samples.head.tasks[cell("t")], model: samples.head.models[cell("m")], sample_id: row.id, repeat: cell("r"), groups: of(groups(i)),
      prompt: row.chat || (row.preamble || "") + row.prompt, references: row.references, target: row.target, choices: row.choices,
      status: samples.head.states[cell("s")], text: row.output, answer: row.answer, reasoning_content: row.reasoning, tool_calls: row.calls, error: row.error, loglikelihoods: row.ll, label_probabilities: row.lp && of(row.lp),
      judged: row.j && row.j.map(([figure, judge, verdict], k) => ({ figure, judge, verdict, why: row.why[k] })), scores: of(scores(i).map(({ name, value }) => [name, value])),
      finish_reason: row.fr, latency_s: cell("la"), input_tokens: cell("ti"), output_tokens: cell("to"), cost_usd: cell("co"), n_retries: cell("re"), request: row.k, baseline: before,
    };
  };

  return { el, number, amount, samplesOf, word, seconds, dollars, marked, detail, plain, scores, metrics, groups };
})();
