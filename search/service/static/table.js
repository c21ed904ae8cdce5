"use strict";
// The table of trials: sorted by a column, filtered by words, limited to a box of the figure.
window.trialTable = function (options) {
  const table = document.getElementById("trials");
  const head = table.tHead;
  const body = table.tBodies[0];
  const more = document.getElementById("more");
  const shown = document.getElementById("shown");
  const FIRST = ["number", "state", "accuracy", "accuracy_std", "params", "macs", "activation", "placement", "widths", "seeds"];
  const NEVER = new Set(["accuracies", "started_at", "candidate"]);
  const STEP = 200;
  let rows = [];
  let columns = [];
  let front = new Set();
  let sort = { name: "number", down: true };
  let words = [];
  let box = null;
  let limit = STEP;
  let chosen = null;

  function label(name) {
    // A user's own name has a prefix in the records where it is one of ours.
    const plain = name.replace(/^(param|metric):/, "");
    if (plain === name || !columns.some((column) => column.name === plain)) return plain;
    return `${plain} (${name.startsWith("param:") ? "parameter" : "metric"})`;
  }

  function text(value, name) {
    if (value === null || value === undefined) return "";
    if (typeof value !== "number" || name === "number") return String(value);
    if (Number.isInteger(value)) return value.toLocaleString("en");
    return Math.abs(value) < 1e-3 || Math.abs(value) >= 1e5 ? value.toPrecision(4) : value.toFixed(4);
  }

  function isNumber(name) {
    return rows.some((row) => typeof row[name] === "number");
  }

  function chooseColumns() {
    const present = new Set();
    for (const row of rows) for (const name in row) if (row[name] !== null && row[name] !== "") present.add(name);
    const rest = [...present].filter((name) => !FIRST.includes(name) && !NEVER.has(name));
    columns = [...FIRST.filter((name) => present.has(name)), ...rest].map((name) => ({ name, number: isNumber(name) }));
  }

  function drawHead() {
    const line = document.createElement("tr");
    for (const { name, number } of columns) {
      const cell = document.createElement("th");
      cell.scope = "col";
      if (number) cell.className = "number";
      const on = sort.name === name;
      cell.setAttribute("aria-sort", on ? (sort.down ? "descending" : "ascending") : "none");
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.column = name;
      button.textContent = label(name) + (on ? (sort.down ? " ↓" : " ↑") : "");
      button.addEventListener("click", () => {
        sort = { name, down: on ? !sort.down : number };
        draw();
        head.querySelector(`button[data-column="${CSS.escape(name)}"]`).focus();
      });
      cell.append(button);
      line.append(cell);
    }
    head.replaceChildren(line);
  }

  function matches(row) {
    if (box && !box(row)) return false;
    if (!words.length) return true;
    const said = columns.map(({ name }) => row[name]).join(" ").toLowerCase();
    return words.every((word) => said.includes(word));
  }

  function compare(left, right) {
    const [a, b] = [left[sort.name], right[sort.name]];
    if (a === b) return left.number - right.number;
    if (a === null || a === undefined) return 1;
    if (b === null || b === undefined) return -1;
    const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
    return sort.down ? -order : order;
  }

  function draw() {
    drawHead();
    const found = rows.filter(matches).sort(compare);
    const part = document.createDocumentFragment();
    for (const row of found.slice(0, limit)) {
      const line = document.createElement("tr");
      if (front.has(row.number)) line.className = "front";
      if (row.number === chosen) line.classList.add("chosen");
      for (const { name, number } of columns) {
        const cell = document.createElement("td");
        if (number) cell.className = "number";
        if (name === "number") {
          const button = document.createElement("button");
          button.type = "button";
          button.textContent = row.number;
          button.setAttribute("aria-label", `Trial ${row.number}`);
          button.addEventListener("click", () => {
            chosen = row.number;
            options.open(row.number);
          });
          cell.append(button);
        } else cell.textContent = text(row[name], name);
        line.append(cell);
      }
      part.append(line);
    }
    body.replaceChildren(part);
    more.hidden = found.length <= limit;
    more.textContent = `Show ${Math.min(1000, found.length - limit)} more`;
    const all = rows.length.toLocaleString("en");
    shown.textContent = found.length === rows.length ? `${all} trials` : `${found.length.toLocaleString("en")} of ${all} trials`;
  }

  more.addEventListener("click", () => {
    limit += 1000;
    draw();
  });
  let wait = 0;
  document.getElementById("filter").addEventListener("input", (event) => {
    clearTimeout(wait);
    wait = setTimeout(() => {
      words = event.target.value.toLowerCase().split(/[\s,]+/).filter(Boolean);
      limit = STEP;
      draw();
    }, 120);
  });

  return {
    text,
    label,
    fill(items, best) {
      rows = items;
      front = best;
      chooseColumns();
      draw();
    },
    limit(test) {
      box = test;
      limit = STEP;
      draw();
    },
  };
};
