// Two texts word by word, as worddiff.py does it: what one has and the other has not.
const wordDiff = (() => {
  // Chinese, Japanese, Thai, Lao, Khmer and Korean write words without spaces, or endings onto them.
  const CHARACTERS = "\\u0e00-\\u0eff\\u1780-\\u17ff\\u3040-\\u30ff\\u3400-\\u9fff\\uac00-\\ud7af\\uf900-\\ufaff";
  const WORD = `(?:(?![${CHARACTERS}])[\\p{L}\\p{N}_])`;
  const TOKEN = new RegExp(`\\s+|[${CHARACTERS}]|${WORD}+|[^\\p{L}\\p{N}_\\s]`, "gu");
  const MOST_TOKENS = 1000;
  const LEAST_COMMON = 0.2;

  // The longest stretch that a[alo:ahi] and b[blo:bhi] have in common, the first of several (Ratcliff and Obershelp).
  const longest = (a, places, alo, ahi, blo, bhi) => {
    let best = [alo, blo, 0];
    let lengths = new Map();
    for (let i = alo; i < ahi; i++) {
      const next = new Map();
      for (const j of places.get(a[i]) || []) {
        if (j < blo) continue;
        if (j >= bhi) break;
        const k = (lengths.get(j - 1) || 0) + 1;
        next.set(j, k);
        if (k > best[2]) best = [i - k + 1, j - k + 1, k];
      }
      lengths = next;
    }
    return best;
  };
  const blocksOf = (a, b) => {
    const places = new Map();
    b.forEach((token, j) => places.has(token) ? places.get(token).push(j) : places.set(token, [j]));
    const found = [], open = [[0, a.length, 0, b.length]];
    while (open.length) {
      const [alo, ahi, blo, bhi] = open.pop();
      const [i, j, k] = longest(a, places, alo, ahi, blo, bhi);
      if (!k) continue;
      found.push([i, j, k]);
      open.push([alo, i, blo, j], [i + k, ahi, j + k, bhi]);
    }
    return found.sort((x, y) => x[0] - y[0]);
  };

  const add = (pieces, kind, text) => {
    const last = pieces[pieces.length - 1];
    if (last && last[0] === kind) last[1] += text;
    else if (text) pieces.push([kind, text]);
  };
  // The pieces of both, as [kind, text]: same, gone (from the old one) or new.
  return (old, fresh) => {
    const a = old.match(TOKEN) || [], b = fresh.match(TOKEN) || [];
    const plain = [old ? [["same", old]] : [], fresh ? [["same", fresh]] : []];
    if (Math.max(a.length, b.length) > MOST_TOKENS || !a.length || !b.length) return plain;
    const blocks = blocksOf(a, b);
    const words = (tokens) => tokens.filter((token) => token.trim()).length;
    const common = blocks.reduce((sum, [i, , k]) => sum + words(a.slice(i, i + k)), 0);
    if (common < LEAST_COMMON * Math.max(words(a), words(b))) return plain;
    const left = [], right = [];
    let i = 0, j = 0;
    for (const [x, y, k] of [...blocks, [a.length, b.length, 0]]) {
      add(left, "gone", a.slice(i, x).join(""));
      add(right, "new", b.slice(j, y).join(""));
      const text = a.slice(x, x + k).join("");
      // A blank between two words that differ is no word in common.
      add(left, text.trim() ? "same" : "gone", text);
      add(right, text.trim() ? "same" : "new", text);
      i = x + k;
      j = y + k;
    }
    return [left, right];
  };
})();
