// The page asks its own server only, and puts what comes from there into the page as text.
'use strict';
(() => {
  const $ = (id) => document.getElementById(id);
  const PAIRWISE = document.body.dataset.kind === 'pairwise';
  // In the link, and nowhere else: no cookie that another server on this machine would get, too.
  const token = new URLSearchParams(location.search).get('token') || '';
  // Inside the dashboard the cookie says who rates, and the page holds what only a page made for this browser knows.
  const { api, query, csrf } = document.body.dataset;
  const words = JSON.parse($('words').textContent);
  const buttons = [...document.querySelectorAll('.choice')];
  const bodies = [...document.querySelectorAll('.answer .body')];
  const comment = $('comment');

  let marks = [];
  let item = null;
  let busy = false;
  let queue = Promise.resolve();
  const skipped = new Set();

  // `message` in the language of the page, with %(name)s filled in.
  function t(message, filled = {}) {
    return (words[message] || message).replace(/%\((\w+)\)s/g, (_, name) => filled[name]);
  }

  // ── talking to the server ─────────────────────────────────────────────────────────────────────────────────────────

  async function ask(method, path, body) {
    let response;
    try {
      response = await fetch(`${api}${path}${query ? `?${query}` : ''}`, {
        method,
        headers: { ...(csrf ? { 'X-CSRF-Token': csrf } : { Authorization: `Bearer ${token}` }), ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
    } catch {
      throw new Error(t('The server does not answer: your last step was not stored. Start it again and open its new link; what was stored before is there.'));
    }
    const found = await response.json().catch(() => ({ error: t('The server answered %(status)s.', { status: response.status }) }));
    if (!response.ok) throw new Error(found.error);
    return found;
  }

  // One step after the other: what is typed is stored before what is pressed next.
  function step(work) {
    queue = queue.then(work).then(() => complain(''), (error) => complain(error.message));
    return queue;
  }

  // A step that changes which item is shown. What is pressed before it is through would fall on an item that nobody has
  // looked at, and is not taken.
  function turn(work) {
    if (busy) return;
    setBusy(true);
    step(work).finally(() => setBusy(false));
  }

  function setBusy(now) {
    busy = now;
    $('item').setAttribute('aria-busy', String(now));
  }

  function complain(text) {
    $('fault').textContent = text;
    $('fault').hidden = !text;
  }

  function say(text) {
    $('status').textContent = text;
  }

  // ── showing ───────────────────────────────────────────────────────────────────────────────────────────────────────

  function element(tag, name, text) {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function textBox(text) {
    const box = element('div', 'text-box');
    const pre = element('pre', text ? '' : 'empty', text || t('(an empty text)'));
    pre.dir = 'auto';
    box.append(pre);
    return box;
  }

  function fold(box) {
    const pre = box.firstChild;
    box.classList.add('folded');
    if (pre.scrollHeight <= pre.clientHeight + 24) {
      box.classList.remove('folded');
      return;
    }
    const whole = t('Show all of it (%(n)s characters)', { n: pre.textContent.length.toLocaleString('en') });
    box.append(unfolder('unfold', whole, t('Show less'), (open) => box.classList.toggle('folded', !open)));
  }

  function unfolder(name, closed, opened, react) {
    const button = element('button', name, closed);
    button.type = 'button';
    button.setAttribute('aria-expanded', 'false');
    button.addEventListener('click', () => {
      const open = button.getAttribute('aria-expanded') === 'false';
      button.setAttribute('aria-expanded', String(open));
      button.textContent = open ? opened : closed;
      react(open);
    });
    return button;
  }

  // A long talk leaves no room for the answer: its last turn is shown, and the others on demand.
  function foldTurns() {
    const box = $('prompt');
    const earlier = box.children.length - 1;
    if (earlier < 1 || box.offsetHeight < innerHeight * 0.35) return;
    const closed = earlier === 1 ? t('Show 1 earlier turn') : t('Show %(n)s earlier turns', { n: earlier });
    const opened = earlier === 1 ? t('Hide 1 earlier turn') : t('Hide %(n)s earlier turns', { n: earlier });
    box.prepend(unfolder('earlier', closed, opened, () => undefined));
  }

  function unfoldAll() {
    const all = [...document.querySelectorAll('#item .unfold, #item .earlier')];
    const closed = all.filter((button) => button.getAttribute('aria-expanded') === 'false');
    (closed.length ? closed : all).forEach((button) => button.click());
  }

  function drawPrompt(turns) {
    $('prompt').replaceChildren(
      ...turns.map(({ role, text }) => {
        const made = element('div', `turn${role === 'assistant' ? ' assistant' : ''}`);
        if (role) made.append(element('span', 'role', role));
        made.append(textBox(text));
        return made;
      }),
    );
  }

  function drawSaid() {
    buttons.forEach((button) => button.setAttribute('aria-pressed', String(button.dataset.code === item.choice)));
    const rated = item.choice !== null;
    $('mark').textContent = rated ? t('✓ rated') : item.comment ? t('a comment, no answer yet') : t('not rated yet');
    $('mark').classList.toggle('done', rated);
  }

  function drawProgress() {
    const done = marks.filter((mark) => mark === '1').length;
    $('progress').value = done;
    $('count').textContent = t('%(done)s of %(n)s rated', { done: done.toLocaleString('en'), n: marks.length.toLocaleString('en') });
    return done;
  }

  function draw(found) {
    item = found;
    $('end').hidden = true;
    $('item').hidden = $('bar').hidden = false;
    $('place').textContent = t('Item %(place)s of %(n)s', { place: item.position + 1, n: marks.length });
    drawPrompt(item.prompt);
    bodies.forEach((body, i) => body.replaceChildren(textBox(item.answers[i])));
    if ($('references')) {
      showReference(false);
      $('references').replaceChildren(...item.references.map(textBox));
      $('reference').hidden = !item.references.length;
    }
    comment.value = item.comment;
    showComment(Boolean(item.comment));
    drawSaid();
    document.querySelectorAll('#prompt .text-box, #answers .text-box').forEach(fold);
    foldTurns();
    scrollTo(0, 0);
    $('place').focus({ preventScroll: true });
  }

  async function show(position) {
    draw(await ask('GET', `items/${position}`));
  }

  function showEnd() {
    item = null;
    $('item').hidden = $('bar').hidden = true;
    $('end').hidden = false;
    $('end-h').textContent = t('All %(n)s are rated. Thank you.', { n: marks.length.toLocaleString('en') });
    $('end-text').textContent = t('Every rating is stored; you can close this page, or go back and change one.');
    $('end-h').focus();
  }

  function showComment(open) {
    $('comment-box').hidden = !open;
    $('comment-button').setAttribute('aria-expanded', String(open));
  }

  function showReference(open) {
    $('references').hidden = !open;
    $('reference-button').setAttribute('aria-expanded', String(open));
    $('reference-button').firstChild.data = `${open ? t('Hide the reference') : t('Show the reference')} `;
  }

  // ── rating ────────────────────────────────────────────────────────────────────────────────────────────────────────

  // The next item without an answer, from `position` on and around; those that were skipped come last.
  function nextOpen(position) {
    const order = marks.map((_, i) => (position + i) % marks.length).filter((i) => marks[i] === '0');
    if (order.length && order.every((i) => skipped.has(i))) skipped.clear();
    return order.find((i) => !skipped.has(i));
  }

  async function goOn(position) {
    const next = nextOpen(position);
    if (next === undefined) showEnd();
    else await show(next);
  }

  async function store(choice) {
    const { position } = item;
    const said = await ask('PUT', `items/${position}`, { choice, comment: comment.value });
    marks[position] = said.choice === null ? '0' : '1';
    skipped.delete(position);
    drawProgress();
    if (item && item.position === position) {
      Object.assign(item, said);
      drawSaid();
    }
    return position;
  }

  function rate(button) {
    if (!item) return;
    const again = item.choice !== null;
    turn(async () => {
      const position = await store(button.dataset.code);
      say(t('Stored: %(answer)s', { answer: button.querySelector('.text').textContent }));
      if (again && position + 1 < marks.length) await show(position + 1);
      else await goOn(position + 1);
    });
  }

  function keepComment() {
    if (!item || comment.value.trim() === item.comment) return;
    step(async () => {
      if (!item || comment.value.trim() === item.comment) return;
      await store(item.choice);
      say(t('Comment stored'));
    });
  }

  function move(by) {
    const from = item ? item.position : marks.length;
    const to = from + by;
    if (to < 0) say(t('This is the first item.'));
    else if (to >= marks.length) say(t('This is the last item.'));
    else turn(() => show(to));
  }

  function skip() {
    if (!item || busy) return;
    const { position } = item;
    if (marks[position] === '0') skipped.add(position);
    const open = marks.filter((mark) => mark === '0').length;
    say(open === 1 && marks[position] === '0' ? t('This is the only one that is left.') : t('Skipped; it comes again at the end.'));
    turn(() => goOn(position + 1));
  }

  function undo() {
    turn(async () => {
      const found = await ask('POST', 'undo', {});
      if (found === null) {
        say(t('There is nothing to undo in this sitting.'));
        return;
      }
      marks[found.position] = found.choice === null ? '0' : '1';
      drawProgress();
      draw(found);
      say(t('Your last change was taken back.'));
    });
  }

  function writeComment() {
    if (!item) return;
    showComment(true);
    comment.focus();
  }

  // ── keys ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  function digitOf(event) {
    // On a keyboard whose upper row has other signs, the place of the key counts.
    const place = /^Digit(\d)$/.exec(event.code);
    return /^\d$/.test(event.key) ? event.key : place && !event.shiftKey ? place[1] : event.key.toLowerCase();
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
    if ($('help').open || !$('welcome').hidden || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
    if (!$('keys-on').checked) return;
    const key = digitOf(event);
    const button = $('bar').hidden ? undefined : buttons.find((b) => b.dataset.key === key);
    const doing = button
      ? () => rate(button)
      : {
          arrowleft: () => move(-1),
          arrowright: () => move(1),
          c: writeComment,
          u: undo,
          s: skip,
          e: unfoldAll,
          r: $('references') && item ? () => showReference($('references').hidden) : undefined,
          '?': () => $('help').showModal(),
        }[key];
    if (!doing) return;
    event.preventDefault();
    // A key that is held down rates one item, not all of them.
    if (event.repeat && !key.startsWith('arrow')) return;
    doing();
  }

  function listen() {
    document.addEventListener('keydown', onKey);
    buttons.forEach((button) => button.addEventListener('click', () => rate(button)));
    $('previous').addEventListener('click', () => move(-1));
    $('next').addEventListener('click', () => move(1));
    $('back').addEventListener('click', () => move(-1));
    $('skip').addEventListener('click', skip);
    $('undo').addEventListener('click', undo);
    $('help-button').addEventListener('click', () => $('help').showModal());
    $('comment-button').addEventListener('click', () => ($('comment-box').hidden ? writeComment() : showComment(false)));
    if ($('reference-button')) $('reference-button').addEventListener('click', () => showReference($('references').hidden));
    comment.addEventListener('change', keepComment);
    comment.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' || (event.key === 'Enter' && (event.ctrlKey || event.metaKey))) {
        event.preventDefault();
        comment.blur();
        $('place').focus({ preventScroll: true });
      }
    });
    addEventListener('beforeunload', (event) => {
      if (item && comment.value.trim() !== item.comment) event.preventDefault();
    });
  }

  // ── beginning ─────────────────────────────────────────────────────────────────────────────────────────────────────

  async function begin() {
    const state = await ask('GET', 'state');
    $('who').textContent = state.rater;
    marks = [...state.marks];
    const done = drawProgress();
    listen();
    if (done && done < marks.length) say(t('Welcome back: %(n)s are rated already.', { n: done.toLocaleString('en') }));
    await goOn(0);
  }

  function welcome() {
    $('welcome').hidden = false;
    $('help-button').hidden = true;
    $('name').focus();
    $('join').addEventListener('submit', (event) => {
      event.preventDefault();
      step(async () => {
        const found = await ask('POST', 'join', { name: $('name').value });
        location.replace(`?token=${encodeURIComponent(found.token)}`);
      });
    });
  }

  if (document.body.dataset.named === 'yes') step(begin);
  else welcome();
})();
