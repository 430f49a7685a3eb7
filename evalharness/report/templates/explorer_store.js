"use strict";
// The explorer's data: columns of all rows, and blocks of their texts, inflated when they are wanted. See explorer_data.py.
// What is said, with %(name)s filled in; `in_script` of core/language.py puts the words of other languages in its place.
const t = (text, values) => (values ? text.replace(/%\((\w+)\)s|%%/g, (_, name) => (name ? values[name] : "%")) : text);
const samples = (() => {
  const $ = (id) => document.getElementById(id);
  const TURN_MS = 24;
  // Longer than that nobody waits before a frame.
  let last = performance.now();
  const breath = async () => {
    if (performance.now() - last < TURN_MS) return;
    await new Promise((go) => setTimeout(go, 0));
    last = performance.now();
  };

  const bytesOf = (text) => {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
    const plain = atob(text);
    const bytes = new Uint8Array(plain.length);
    for (let i = 0; i < plain.length; i++) bytes[i] = plain.charCodeAt(i);
    return bytes;
  };
  const inflated = (node) =>
    new Response(new Blob([bytesOf(node.textContent.trim())]).stream().pipeThrough(new DecompressionStream("deflate"))).text();

  let head, blocks = [], blockOf;
  const n = () => head.n;
  const column = (name) => head.columns[name];
  const cell = (name, i) => (head.columns[name] ? head.columns[name][i] : undefined);

  const open = async () => {
    head = JSON.parse(await inflated($("samples-columns")));
    let first = 0;
    blockOf = new Uint16Array(head.n);
    blocks = head.blocks.map((size, number) => {
      blockOf.fill(number, first, first + size);
      const block = { number, first, size, ready: undefined, text: undefined };
      first += size;
      return block;
    });
    return head;
  };

  // The block may not be here yet: the page begins to be read before it has come.
  const arrived = async (number) => {
    for (;;) {
      const node = $(`samples-${number}`);
      if (node && (document.readyState !== "loading" || node.nextElementSibling)) return node;
      await new Promise((go) => setTimeout(go, 20));
    }
  };
  const ends = (text) => {
    const found = [];
    for (let at = text.indexOf("\x1e"); at >= 0; at = text.indexOf("\x1e", at + 1)) found.push(at);
    found.push(text.length);
    return found;
  };
  const read = async (block) => {
    const whole = await inflated(await arrived(block.number));
    const at = whole.indexOf("\x1d");
    block.text = whole.slice(0, at);
    block.ends = ends(block.text);
    block.rest = whole.slice(at + 1).split("\x1e");
    block.lower = block.text.toLowerCase();
    // A letter may be longer in lower case.
    block.lowerEnds = block.lower.length === block.text.length ? block.ends : ends(block.lower);
    return block;
  };
  const load = (number) => {
    const block = blocks[number];
    if (!block.ready) block.ready = read(block);
    return block.ready;
  };
  const loadAll = async (told) => {
    for (const block of blocks) {
      await load(block.number);
      if (told) told(block.number + 1, blocks.length);
      await breath();
    }
  };
  const has = (i) => blocks[blockOf[i]].text !== undefined;
  const from = (list, k) => (k ? list[k - 1] + 1 : 0);

  // What is shown of a row; its block must have been read.
  const LISTS = { P: "prompt", T: "turns", x: "output", a: "answer", g: "target", f: "references", c: "choices", e: "error", h: "reasoning", K: "calls", J: "why" };
  const MANY = "TfcKJ";
  const row = (i) => {
    const block = blocks[blockOf[i]];
    const k = i - block.first;
    const { F, ...rest } = JSON.parse(block.rest[k]);
    const found = { ...rest, number: i, id: cell("id", i) };
    block.text.slice(from(block.ends, k), block.ends[k]).split("\x1f").forEach((text, at) => {
      const name = LISTS[F[at]];
      if (!name) return;
      if (MANY.includes(F[at])) (found[name] ||= []).push(text);
      else found[name] = text;
    });
    if (Array.isArray(rest.p)) {
      const turns = found.turns || [];
      let next = 0;
      found.chat = rest.p.map(([role, place]) => ({ role, content: place === null ? turns[next++] : head.shared[place] }));
    } else if (rest.p !== undefined) found.preamble = head.shared[rest.p];
    return found;
  };
  const wholePrompt = (found) => (found.chat ? found.chat.map((turn) => `${turn.role}\n${turn.content}`).join("\n\n") : (found.preamble || "") + found.prompt);

  // Words, all of which must be in a row; those in quotation marks as they stand.
  const wordsOf = (query) => [...query.toLowerCase().matchAll(/"([^"]+)"?|(\S+)/g)].map((m) => m[1] || m[2]).filter((word) => word !== '"');
  const patternOf = (query) => {
    try {
      return new RegExp(query, "imu");
    } catch {
      return new RegExp(query, "im"); // what only the older grammar allows
    }
  };

  const searchWords = (block, words, hits) => {
    // The longest word is the rarest one, as a rule; the others are looked for where it is.
    const [first, ...others] = [...words].sort((a, b) => b.length - a.length);
    const { lower, lowerEnds } = block;
    let k = 0, found = 0;
    for (let at = lower.indexOf(first); at >= 0; at = lower.indexOf(first, at)) {
      while (lowerEnds[k] <= at) k++;
      const end = lowerEnds[k];
      const text = others.length ? lower.slice(from(lowerEnds, k), end) : "";
      if (others.every((word) => text.includes(word))) {
        hits[block.first + k] = 1;
        found++;
      }
      at = end;
      k++;
    }
    return found;
  };
  const searchPattern = (block, pattern, hits) => {
    let start = 0;
    for (let k = 0; k < block.size; k++) {
      const end = block.ends[k];
      // A text at a time, so that ^ and $ stand where it begins and ends.
      if (block.text.slice(start, end).split("\x1f").some((text) => pattern.test(text))) hits[block.first + k] = 1;
      start = end + 1;
    }
  };
  // 1 for each row that is found; null once `stale()` says that nobody waits any more.
  const search = async (query, isPattern, stale, told) => {
    const hits = new Uint8Array(head.n);
    const words = isPattern ? [] : wordsOf(query);
    const pattern = isPattern ? patternOf(query) : null;
    if (!isPattern && !words.length) return hits.fill(1);
    last = performance.now();
    for (const block of blocks) {
      if (block.text === undefined) {
        if (told) told(block.number, blocks.length);
        await load(block.number);
      }
      if (isPattern) searchPattern(block, pattern, hits);
      else searchWords(block, words, hits);
      await breath();
      if (stale()) return null;
    }
    return hits;
  };

  return { open, breath, load, loadAll, has, row, wholePrompt, search, wordsOf, patternOf, n, column, cell, blockOf: (i) => blockOf[i], get head() { return head; } };
})();
