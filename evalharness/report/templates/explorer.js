// The explorer of samples: search, filters, order, keys, links and the sample that is open.
(() => {
  const { el, amount, samplesOf, word } = drawing;
  const { cell, column } = samples;
  const $ = (id) => document.getElementById(id);
  const MOST_GROUPS = 400;
  let head, opened = null, turn = 0, down = false;

  // --- what is shown ------------------------------------------------------------------------------------------------
  const STATES = { error: t("errors"), refusal: t("refused"), truncated: t("truncated"), unparsed: t("unparsed"), judge_failed: t("judge failed") };
  const CHANGES = { differs: t("changed"), worse: t("worse than the baseline"), better: t("better than the baseline"), new: t("not in the baseline") };
  const differs = (change) => change === "changed" || change === "worse" || change === "better";
  const tests = () => {
    const found = [];
    const [kind, value] = $("f-show").value.split(":");
    if (kind === "o") found.push((i) => cell("o", i) === Number(value));
    if (kind === "s") found.push((i) => head.states[cell("s", i)] === value);
    if (kind === "d") found.push((i) => (value === "differs" ? differs(head.changes[cell("d", i)]) : head.changes[cell("d", i)] === value));
    if (kind === "re") found.push((i) => cell("re", i) > 0);
    for (const [id, name] of [["f-task", "t"], ["f-model", "m"]]) if ($(id).value) found.push((i) => column(name)[i] === Number($(id).value));
    if ($("f-group").value) {
      const [place, of] = $("f-group").value.split(":").map(Number);
      found.push((i) => head.groups[place].of[i] === of);
    }
    const [low, high] = ["f-low", "f-high"].map((id) => ($(id).value === "" ? null : Number($(id).value)));
    if (low !== null || high !== null) {
      const of = scoreOf();
      found.push((i) => {
        const score = of(i);
        return score !== null && typeof score.value === "number" && (low === null || score.value >= low) && (high === null || score.value <= high);
      });
    }
    return found;
  };
  // The figure that is chosen, of a row; without a choice the first one that it has.
  const scoreOf = () => {
    const name = $("f-metric").value;
    const places = new Map(head.metrics.map((m) => [`${m.t} ${m.m}`, m]));
    return (i) => {
      const own = places.get(`${cell("t", i)} ${cell("m", i)}`);
      if (!own) return null;
      const place = name ? own.names.indexOf(name) : own.names.findIndex((_, k) => head.scores[k][i] !== null);
      const value = place < 0 ? null : head.scores[place][i];
      return value === null ? null : { name: own.names[place], up: own.up[place], value };
    };
  };
  const padded = (id) => id.toLowerCase().replace(/\d+/g, (digits) => digits.padStart(12, "0"));
  // What rows are sorted by, least first; what has no such figure comes last, whichever way.
  const KEYS = {
    id: () => column("id").map(padded),
    score: () => {
      const of = scoreOf();
      return column("id").map((_, i) => { const score = of(i); return score && typeof score.value === "number" ? (score.up === false ? -score.value : score.value) : null; });
    },
    latency: () => column("la"), tokens: () => column("to"), cost: () => column("co"), length: () => column("lx"),
  };
  const ORDERS = [["", t("wrong first")], ["id", t("id")], ["score", t("score, lowest")], ["latency", t("latency, longest")], ["tokens", t("output tokens, most")], ["cost", t("cost, highest")], ["length", t("output, longest")]];
  const DOWN = new Set(["latency", "tokens", "cost", "length"]);
  const sorted = (rows) => {
    const name = $("f-order").value;
    if (!name) return down ? rows.reverse() : rows;
    const keys = KEYS[name]();
    const sign = DOWN.has(name) !== down ? -1 : 1;
    const has = (i) => keys[i] !== null && keys[i] !== undefined;
    return rows.sort((a, b) => (has(a) && has(b) ? (keys[a] < keys[b] ? -sign : keys[a] > keys[b] ? sign : a - b) : has(b) - has(a) || a - b));
  };
  const markerOf = (query) => {
    if (!query) return null;
    if ($("f-regex").checked) {
      const pattern = samples.patternOf(query);
      return new RegExp(pattern.source, `g${pattern.flags}`);
    }
    const words = samples.wordsOf(query).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    return words.length ? new RegExp(words.join("|"), "gi") : null;
  };
  let marker = null;
  const apply = async (keep) => {
    const mine = ++turn;
    const query = $("f-text").value.trim();
    $("f-text").removeAttribute("aria-invalid");
    let hits = null;
    try {
      marker = markerOf(query);
      if (query) hits = await samples.search(query, $("f-regex").checked, () => mine !== turn, (k, of) => { $("count").textContent = t("Reading the texts: %(percent)s %%", { percent: Math.round((100 * k) / of) }); });
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      $("f-text").setAttribute("aria-invalid", "true");
      $("count").textContent = t("This is no regular expression: %(why)s", { why: error.message.replace(/^.*?:\s*/, "").replace(/^\/.*\/\w*: /s, "") });
      return;
    }
    if (mine !== turn || (query && !hits)) return;
    const all = tests();
    const rows = [];
    for (let i = 0; i < head.n; i++) if ((!hits || hits[i]) && all.every((test) => test(i))) rows.push(i);
    listing.show(sorted(rows), { found: marker, scoreOf: scoreOf(), keep });
    $("count").textContent = rows.length === head.n ? samplesOf(head.n) : rows.length ? t("%(samples)s of %(total)s", { samples: samplesOf(rows.length), total: amount(head.n) }) : t("No sample matches; change the search or the filters.");
    $("saved").textContent = "";
    for (const kind of ["csv", "json"]) $(`save-${kind}`).disabled = !rows.length;
    $("explorer").dataset.turn = mine;
  };

  // --- the sample that is open --------------------------------------------------------------------------------------
  const linkTo = (i) => {
    const place = new URLSearchParams({ sample: cell("id", i) });
    if (head.tasks.length > 1) place.set("task", head.tasks[cell("t", i)]);
    if (head.models.length > 1) place.set("model", head.models[cell("m", i)]);
    if (cell("r", i)) place.set("repeat", cell("r", i));
    return `#${place}`;
  };
  const linked = () => {
    const place = new URLSearchParams(location.hash.slice(1));
    if (!place.has("sample")) return -1;
    const [id, task, model, repeat] = ["sample", "task", "model", "repeat"].map((name) => place.get(name));
    return column("id").findIndex((own, i) => own === id && (task === null || head.tasks[cell("t", i)] === task) && (model === null || head.models[cell("m", i)] === model) && (repeat === null || String(cell("r", i) ?? 0) === repeat));
  };
  const setHash = (hash) => history.replaceState(null, "", hash || `${location.pathname}${location.search}`);
  const quoted = (text) => (/^[\w.:@/-]+$/.test(text) ? text : `'${text.replace(/'/g, "'\\''")}'`);
  const command = (i) =>
    ["evalharness report", quoted(head.run), "--sample", quoted(cell("id", i)), "--task", quoted(head.tasks[cell("t", i)]), "--model", quoted(head.models[cell("m", i)])].join(" ");
  const copy = async (text, what) => {
    try {
      await navigator.clipboard.writeText(text);
      $("copied").textContent = what;
    } catch {
      // Where the browser gives no access: the text is shown, selected.
      $("copy-text").value = text;
      $("copy").showModal();
      $("copy-text").select();
    }
  };
  const open = async (i, { focus = true } = {}) => {
    opened = i;
    $("copied").textContent = "";
    await samples.load(samples.blockOf(i));
    if (opened !== i) return;
    const row = samples.row(i);
    const where = [head.tasks[cell("t", i)], head.models[cell("m", i)]].join(" · ");
    $("sample-h").replaceChildren(el("bdi", {}, cell("id", i)), cell("r", i) ? ` #${cell("r", i)}` : "", " ", el("small", {}, el("bdi", {}, where)));
    $("sample-body").replaceChildren(drawing.detail(row, marker));
    $("sample").hidden = false;
    $("explorer").classList.add("with-sample");
    listing.mark(i);
    $("sample-place").textContent = listing.place() >= 0 ? t("%(n)s of %(total)s", { n: amount(listing.place() + 1), total: amount(listing.n()) }) : "";
    $("previous").disabled = listing.beside(-1) < 0;
    $("next").disabled = listing.beside(1) < 0;
    setHash(linkTo(i));
    if (focus) listing.focus();
  };
  const close = () => {
    if (opened === null) return;
    opened = null;
    $("sample").hidden = true;
    $("explorer").classList.remove("with-sample");
    listing.mark(-1);
    setHash("");
    listing.focus();
  };
  const step = (by) => {
    const place = listing.beside(by);
    if (place < 0) return;
    listing.move(place);
    if (opened !== null) open(listing.at(place));
    else listing.focus();
  };
  const openLinked = () => {
    const i = linked();
    if (i < 0) return;
    open(i, { focus: false }).then(() => $("rows").scrollIntoView({ behavior: "instant" }));
  };

  // --- keys ---------------------------------------------------------------------------------------------------------
  const remembered = (set) => {
    try {
      if (set !== undefined) localStorage.setItem("evalharness-keys", set ? "on" : "off");
      return localStorage.getItem("evalharness-keys") !== "off";
    } catch {
      return true; // a browser that keeps nothing for files
    }
  };
  const help = () => $("help").open || $("help").showModal();
  const LETTERS = { j: () => step(1), k: () => step(-1), "?": help, "/": () => { $("samples").scrollIntoView({ block: "nearest" }); $("f-text").focus(); $("f-text").select(); } };
  const key = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || $("help").open || $("copy").open) return;
    const typing = event.target.closest?.("input, select, textarea");
    if (event.key === "Escape") {
      if (event.target === $("f-text") && $("f-text").value) {
        $("f-text").value = "";
        apply();
      } else if (typing) listing.focus();
      else close();
    } else if (!typing && LETTERS[event.key] && $("keys-on").checked) {
      event.preventDefault();
      LETTERS[event.key]();
    }
  };

  // --- beginning ----------------------------------------------------------------------------------------------------
  const counts = (values) => {
    const found = new Map();
    for (const value of values) found.set(value, (found.get(value) || 0) + 1);
    return found;
  };
  const options = (pairs) => pairs.map(([value, label]) => el("option", { value }, label));
  const fill = (id, all, pairs) => {
    $(id).append(el("option", { value: "" }, all), ...options(pairs));
    $(id).closest("label").hidden = pairs.length < 2;
  };
  const fillShow = () => {
    const of = (found, pairs) => pairs.filter(([value]) => found.get(value[1])).map(([value, label]) => [value.join(":"), `${label} (${amount(found.get(value[1]))})`]);
    const outcomes = of(counts(column("o")), head.outcomes.map((name, k) => [["o", k], word(name)]));
    const states = of(counts(column("s").map((s) => head.states[s])), Object.entries(STATES).map(([name, label]) => [["s", name], label]));
    const changes = counts((column("d") || []).map((d) => head.changes[d]));
    changes.set("differs", ["changed", "worse", "better"].reduce((sum, name) => sum + (changes.get(name) || 0), 0));
    const retried = (column("re") || []).filter((value) => value > 0).length;
    $("f-show").append(el("option", { value: "" }, t("all (%(n)s)", { n: amount(head.n) })), ...[[t("Outcome"), outcomes], [t("State"), [...states, ...(retried ? [["re:1", t("retried (%(n)s)", { n: amount(retried) })]] : [])]],
      [t("Against the baseline"), of(changes, Object.entries(CHANGES).map(([name, label]) => [["d", name], label]))]].filter(([, pairs]) => pairs.length).map(([label, pairs]) => el("optgroup", { label }, options(pairs))));
  };
  const fillGroups = () => {
    const found = head.groups.map((group, g) => {
      const n = counts(group.of);
      const values = group.values.map((value, k) => [`${g}:${k}`, `${group.name}=${value} (${amount(n.get(k) || 0)})`, n.get(k) || 0]).sort((a, b) => b[2] - a[2]);
      return el("optgroup", { label: values.length > MOST_GROUPS ? t("%(name)s, the %(n)s most frequent", { name: group.name, n: MOST_GROUPS }) : group.name }, options(values.slice(0, MOST_GROUPS)));
    });
    $("f-group").append(el("option", { value: "" }, t("all")), ...found);
    $("f-group").closest("label").hidden = !found.length;
  };
  const start = async () => {
    if (typeof DecompressionStream === "undefined") {
      $("too-old").hidden = false;
      return;
    }
    head = await samples.open();
    if (column("d")) $("explorer").classList.add("with-change");
    if (head.tasks.length > 1 || head.models.length > 1) $("explorer").classList.add("with-where");
    fillShow();
    fillGroups();
    fill("f-task", t("all"), head.tasks.map((name, i) => [i, name]));
    fill("f-model", t("all"), head.models.map((name, i) => [i, name]));
    const names = [...new Set(head.metrics.flatMap((m) => m.names))];
    fill("f-metric", t("first of each task"), names.map((name) => [name, name]));
    $("f-low").closest("fieldset").hidden = !names.length;
    const usable = (name) => ({ latency: column("la"), tokens: column("to"), cost: column("co"), score: names.length })[name] ?? (name === "" || name === "id" || name === "length");
    $("f-order").append(...options(ORDERS.filter(([name]) => usable(name))));
    let timer;
    const soon = () => {
      clearTimeout(timer);
      timer = setTimeout(apply, 100);
    };
    for (const id of ["f-text", "f-low", "f-high"]) $(id).addEventListener("input", soon);
    for (const id of ["f-show", "f-task", "f-model", "f-group", "f-metric", "f-order", "f-regex"]) $(id).addEventListener("change", () => apply(true));
    $("f-turn").addEventListener("click", () => {
      down = !down;
      $("f-turn").setAttribute("aria-pressed", String(down));
      apply();
    });
    document.querySelector("form.filters").addEventListener("submit", (event) => event.preventDefault());
    $("previous").addEventListener("click", () => step(-1));
    $("next").addEventListener("click", () => step(1));
    $("close").addEventListener("click", close);
    $("copy-link").addEventListener("click", () => copy(location.href.replace(/#.*$/, "") + linkTo(opened), t("Link copied.")));
    $("copy-json").addEventListener("click", () => copy(JSON.stringify(drawing.plain(samples.row(opened)), null, 2), t("JSON copied.")));
    $("copy-command").addEventListener("click", () => copy(command(opened), t("Command copied.")));
    for (const kind of ["csv", "json"]) $(`save-${kind}`).addEventListener("click", () => saving.save(kind));
    $("help-button").addEventListener("click", help);
    for (const id of ["help", "copy"]) $(`${id}-close`).addEventListener("click", () => $(id).close());
    $("keys-on").checked = remembered();
    $("keys-on").addEventListener("change", () => remembered($("keys-on").checked));
    document.addEventListener("keydown", key);
    addEventListener("hashchange", openLinked);
    $("explorer").hidden = false;
    listing.start((i) => open(i));
    await apply();
    openLinked();
    await samples.loadAll();
    $("explorer").dataset.loaded = "all";
  };
  // After the first paint: the verdict is on the screen before the samples are read.
  requestAnimationFrame(() => setTimeout(start, 0));
})();
