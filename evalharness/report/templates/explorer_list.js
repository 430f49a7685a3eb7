// The list: as many rows as there are samples, of which those that are seen are made. One place in it is the active one;
// the focus stays on the list, which names that row to screen readers (aria-activedescendant).
const listing = (() => {
  const SIGNS = { failed: "✗", wrong: "✗", right: "✓", scored: "·" };
  const CHANGES = { worse: t("▼ worse"), better: t("▲ better"), changed: t("≠ changed"), new: t("new") };
  // Browsers lay out no box that is much higher.
  const MOST_PX = 15e6;
  const EXTRA = 6;
  const { el, number, marked, seconds, dollars, word } = drawing;
  const $ = (id) => document.getElementById(id);
  let box, space, frame, view = [], active = -1, height = 40, words = null, onOpen, asked = new Set(), opened = -1, down = null, score = () => null;

  const oneLine = (text) => text.replace(/\s+/g, " ").trim();
  // A line of the text in which something was found, else of the answer.
  const snippet = (row) => {
    const texts = [row.error, row.output, row.answer, row.chat ? row.chat.at(-1).content : row.prompt, row.reasoning, ...(row.references || []), row.target, ...(row.calls || []), ...(row.why || [])].filter((text) => text !== undefined);
    if (words) {
      for (const text of texts) {
        words.lastIndex = 0;
        const match = words.exec(text);
        if (match && match[0]) {
          const start = Math.max(0, match.index - 40);
          return marked(oneLine((start ? "…" : "") + text.slice(start, match.index + 260)), words);
        }
      }
    }
    return [oneLine((texts[0] || "").slice(0, 300))];
  };
  const option = (place) => {
    const i = view[place];
    const { head, cell, has } = samples;
    const outcome = head.outcomes[cell("o", i)];
    const change = head.changes[cell("d", i)];
    const value = score(i);
    const repeat = cell("r", i);
    const figures = [seconds(cell("la", i) ?? undefined), dollars(cell("co", i) ?? undefined)].filter((part) => part !== undefined).join(" · ");
    return el("div", { role: "option", class: `row${i === opened ? " open" : ""}`, id: `row-${i}`, "aria-selected": String(place === active), "aria-posinset": place + 1, "aria-setsize": view.length },
      el("span", { class: "what" }, el("span", { class: `badge ${outcome}` }, el("span", { "aria-hidden": "true" }, SIGNS[outcome]), " ", word(outcome === "failed" || (head.states[cell("s", i)] !== "ok" && outcome === "scored") ? head.states[cell("s", i)] : outcome)),
        CHANGES[change] ? el("span", { class: `change ${change}` }, CHANGES[change]) : null),
      el("span", { class: "id", dir: "auto" }, oneLine(cell("id", i)) + (repeat ? ` #${repeat}` : "")),
      el("span", { class: "where" }, [head.tasks.length > 1 ? head.tasks[cell("t", i)] : "", head.models.length > 1 ? head.models[cell("m", i)] : ""].filter(Boolean).join(" · ")),
      el("span", { class: "snippet", dir: "auto" }, has(i) ? snippet(samples.row(i)) : "…"),
      el("span", { class: "score" }, value === null ? "" : `${value.name} ${number(value.value, 3)}`),
      el("span", { class: "figures-of" }, figures));
  };

  // How many pixels of rows one pixel of the scroll bar stands for: 1, unless there are too many rows.
  const scale = () => Math.max(1, (view.length * height - box.clientHeight) / Math.max(1, MOST_PX - box.clientHeight));
  const draw = () => {
    frame = 0;
    if (!view.length) return space.replaceChildren();
    const above = box.scrollTop * scale();
    const first = Math.max(0, Math.floor(above / height) - EXTRA);
    const last = Math.min(view.length, Math.ceil((above + box.clientHeight) / height) + EXTRA);
    const rows = [];
    for (let place = first; place < last; place++) rows.push(option(place));
    const shown = el("div", { role: "presentation", class: "shown" }, rows);
    shown.style.transform = `translateY(${box.scrollTop - (above - first * height)}px)`;
    space.replaceChildren(shown);
    if (active >= first && active < last) box.setAttribute("aria-activedescendant", `row-${view[active]}`);
    else box.removeAttribute("aria-activedescendant");
    for (let place = first; place < last; place++) fetchTexts(view[place]);
  };
  // Texts that are not read yet are drawn when they are.
  const fetchTexts = (i) => {
    const number = samples.blockOf(i);
    if (samples.has(i) || asked.has(number)) return;
    asked.add(number);
    samples.load(number).then(later);
  };
  const later = () => {
    frame ||= requestAnimationFrame(draw);
  };

  const reveal = (place) => {
    const above = box.scrollTop * scale();
    const y = place * height;
    if (y < above) box.scrollTop = y / scale();
    else if (y + height > above + box.clientHeight) box.scrollTop = (y + height - box.clientHeight) / scale();
  };
  const move = (place) => {
    if (!view.length) return;
    active = Math.min(view.length - 1, Math.max(0, place));
    reveal(active);
    draw();
  };
  // `numbers` of rows, in their order; the active one stays active if it is still there.
  const show = (numbers, { found, scoreOf, keep } = {}) => {
    const before = keep && active >= 0 ? view[active] : -1;
    view = numbers;
    words = found || null;
    score = scoreOf;
    active = before < 0 ? -1 : view.indexOf(before);
    space.style.height = `${Math.min(MOST_PX, view.length * height)}px`;
    box.hidden = !view.length;
    if (active < 0) box.scrollTop = 0;
    else reveal(active);
    draw();
  };
  const measure = () => {
    const probe = el("div", { class: "row", "aria-hidden": "true" }, "x");
    space.append(probe);
    const found = probe.getBoundingClientRect().height;
    probe.remove();
    if (found && found !== height) {
      const place = Math.round((box.scrollTop * scale()) / height);
      height = found;
      space.style.height = `${Math.min(MOST_PX, view.length * height)}px`;
      box.scrollTop = (place * height) / scale();
    }
    later();
  };
  const key = (event) => {
    const page = Math.max(1, Math.floor(box.clientHeight / height) - 1);
    const to = { ArrowDown: active + 1, ArrowUp: active - 1, PageDown: active + page, PageUp: active - page, Home: 0, End: view.length - 1 }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (to !== undefined) {
      event.preventDefault();
      move(to);
    } else if ((event.key === "Enter" || event.key === " ") && active >= 0) {
      event.preventDefault();
      onOpen(view[active]);
    }
  };
  const start = (open) => {
    box = $("rows");
    onOpen = open;
    space = el("div", { role: "presentation", class: "space" });
    box.append(space);
    box.addEventListener("scroll", later, { passive: true });
    box.addEventListener("keydown", key);
    box.addEventListener("focus", () => down === null && active < 0 && view.length && move(Math.round((box.scrollTop * scale()) / height)));
    // By where it is: a row that was made anew under the pointer gets no click.
    const placeAt = (event) => Math.floor((event.clientY - box.getBoundingClientRect().top - box.clientTop + box.scrollTop * scale()) / height);
    // Who marks an id to copy it does not want to open its sample.
    const selecting = () => !getSelection().isCollapsed && box.contains(getSelection().anchorNode);
    const choose = (place) => {
      if (!(place >= 0 && place < view.length)) return;
      active = place;
      box.focus({ preventScroll: true });
      onOpen(view[place]);
    };
    box.addEventListener("pointerdown", (event) => { down = event.button === 0 && event.offsetX < box.clientWidth ? placeAt(event) : null; });
    box.addEventListener("pointerup", (event) => {
      const place = down;
      down = null;
      if (place !== null && placeAt(event) === place && !selecting()) choose(place);
    });
    box.addEventListener("pointercancel", () => { down = null; });
    // A click that no pointer made: that of a screen reader.
    box.addEventListener("click", (event) => event.detail === 0 && choose(Number(event.target.closest("[role=option]")?.getAttribute("aria-posinset")) - 1));
    new ResizeObserver(measure).observe(box);
    measure();
  };
  const mark = (i) => {
    opened = i;
    const place = i < 0 ? -1 : view.indexOf(i);
    if (place >= 0) move(place);
    else draw();
  };
  // The row beside the one that is open, or the active one.
  const beside = (step) => {
    if (!view.length) return -1;
    const place = opened >= 0 && active >= 0 && view[active] === opened ? active + step : active + (active < 0 ? 1 : step);
    return place < 0 || place >= view.length ? -1 : place;
  };

  return { start, show, move, mark, beside, at: (place) => view[place], place: () => active, focus: () => box.focus({ preventScroll: true }), n: () => view.length };
})();
