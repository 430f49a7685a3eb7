// The samples that are listed, in the order of the list, as a file: made in the page, no network is asked.
const saving = (() => {
  const $ = (id) => document.getElementById(id);
  const PIECE = 1e6;
  // As core/cells.py has it: what a spreadsheet would compute gets an apostrophe in front.
  const FORMULA = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;
  const NUMBER = /^(?:[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?|[+-]inf)$/i;
  const cell = (value) => {
    if (value === undefined || value === null) return "";
    let text = typeof value === "object" ? JSON.stringify(value) : String(value);
    if (FORMULA.test(text) && !NUMBER.test(text)) text = `'${text}`;
    return /[,"\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
  };
  const line = (values) => `${values.map(cell).join(",")}\n`;

  // The columns of the table: name, and what a sample has in it.
  const columns = () => {
    const { groups, metrics, baseline } = samples.head;
    const own = (name) => [name, (one) => one[name]];
    const names = [...new Set(metrics.flatMap((m) => m.names))];
    const before = ["run", "status", "text", "answer", "error", "latency_s", "input_tokens", "output_tokens", "cost_usd"];
    return [
      ...["task", "model", "sample_id", "repeat"].map(own),
      ...groups.map(({ name }) => [`group_${name}`, (one) => one.groups[name]]),
      ...["prompt", "references", "target", "choices", "status", "text", "answer", "reasoning_content", "tool_calls", "error", "loglikelihoods", "label_probabilities", "judged"].map(own),
      ...names.map((name) => [`score_${name}`, (one) => one.scores[name]]),
      ...["finish_reason", "latency_s", "input_tokens", "output_tokens", "cost_usd", "n_retries", "request"].map(own),
      ...(baseline ? before.map((name) => [`baseline_${name}`, (one) => one.baseline?.[name]]) : []),
      ...(baseline ? names.map((name) => [`baseline_score_${name}`, (one) => one.baseline?.scores[name]]) : []),
    ];
  };
  const FORMS = {
    csv: { type: "text/csv", form: () => {
      const table = columns();
      return { first: line(table.map(([name]) => name)), one: (row) => line(table.map(([, of]) => of(row))), last: "" };
    } },
    json: { type: "application/json", form: () => ({ first: "[\n", one: (row, i) => `${i ? ",\n" : ""}${JSON.stringify(row)}`, last: "\n]\n" }) },
  };

  const save = async (kind) => {
    const rows = Array.from({ length: listing.n() }, (_, place) => listing.at(place));
    const { first, one, last } = FORMS[kind].form();
    // Pieces become blobs as they are full: a browser may keep these on its disk.
    const pieces = [];
    let text = first;
    for (const [place, i] of rows.entries()) {
      await samples.load(samples.blockOf(i));
      text += one(drawing.plain(samples.row(i)), place);
      if (text.length > PIECE) {
        pieces.push(new Blob([text]));
        text = "";
        $("saved").textContent = t("Saving: %(percent)s %%", { percent: Math.round((100 * place) / rows.length) });
      }
      await samples.breath();
    }
    const file = new Blob([...pieces, text, last], { type: FORMS[kind].type });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(file);
    link.download = `${samples.head.run.replace(/[^\w.-]+/g, "_")}-samples.${kind}`;
    link.click();
    // The download has begun by then, and holds the file itself.
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    $("saved").textContent = t("Saved: %(samples)s.", { samples: drawing.samplesOf(rows.length) });
  };

  return { save, cell };
})();
