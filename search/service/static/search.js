"use strict";
// One search: its events are listened to, and what has changed is fetched again.
(function () {
  const prefix = document.documentElement.dataset.root; // below which a proxy shows this service
  const { id, network } = document.getElementById("search").dataset; // of an evaluator's run, network is ""
  const base = `${prefix}/api/v1/searches/${id}`;
  const formToken = document.querySelector('meta[name="form-token"]').content;
  const element = (name) => document.getElementById(name);
  const etags = {};
  const table = window.trialTable({ open: (number) => openTrial(number).catch(complain) });
  let current = null;
  let records = null;
  let brush = null;
  let drawing = Promise.resolve();
  let source = null;
  let logAt = null;
  let heardAt = 0;

  async function get(path) {
    const answer = await fetch(base + path, { headers: etags[path] ? { "If-None-Match": etags[path] } : {} });
    if (answer.status === 304 || answer.status === 404) return null;
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.detail);
    etags[path] = answer.headers.get("ETag") || "";
    return body;
  }

  async function post(path, body) {
    element("mistake").hidden = true;
    const answer = await fetch(base + path, {
      method: path ? "POST" : "DELETE",
      headers: { "X-CSRF-Token": formToken, ...(body ? { "Content-Type": "application/json" } : {}) },
      body: body ? JSON.stringify(body) : undefined,
    });
    if (!answer.ok) throw new Error((await answer.json()).detail);
    return answer.status === 204 ? null : answer.json();
  }

  function complain(error) {
    element("mistake").textContent = error.message;
    element("mistake").hidden = false;
  }

  function toggle(name, visible) {
    const found = element(name);
    if (found) found.hidden = !visible;
  }

  function show(row) {
    current = row;
    const counts = row.counts;
    const ended = counts.completed + counts.stopped + counts.failed;
    element("state").textContent = row.cancelling ? "cancelling" : row.outcome || row.state;
    element("state").className = `state ${row.outcome || row.state}`;
    element("progress").max = row.trials;
    element("progress").value = ended;
    const parts = ["running", "completed", "stopped", "failed"].filter((name) => counts[name]);
    element("counts").textContent = `${ended} of ${row.trials} trials` + (parts.length ? `: ${parts.map((name) => `${counts[name]} ${name}`).join(", ")}` : "");
    element("note").textContent = row.note || (row.ahead ? `${row.ahead} ${row.ahead === 1 ? "search is" : "searches are"} queued before this one` : "");
    const over = row.state === "ended";
    toggle("cancel", !over && !row.cancelling);
    toggle("resume", over && !["complete", "exhausted"].includes(row.outcome));
    toggle("extend", over);
    toggle("delete", over || row.state === "queued");
    if (row.records && row.records !== records) {
      records = row.records;
      drawing = drawing.then(refresh).catch(complain);
    }
    if (over) listFiles().catch(complain);
  }

  async function refresh() {
    const [trials, front, figure, growth] = [await all(), await get("/front"), await get("/figure"), await get("/hypervolume")];
    if (front) table.best = new Set(front.items.map((row) => row["trial:number"] ?? row.number));
    if (trials) table.fill(trials, table.best || new Set());
    if (figure) await drawFront(figure);
    if (growth) await drawGrowth(growth);
  }

  async function all() {
    const items = [];
    let cursor = "";
    do {
      const page = await get(`/trials?limit=5000${cursor}`);
      if (!page) return null;
      items.push(...page.items);
      cursor = page.next === null ? "" : `&cursor=${page.next}`;
    } while (cursor);
    return items;
  }

  async function drawFront(figure) {
    const { x, y } = figure.usermeta || {};
    const layer = (figure.layer || []).find((part) => part.params);
    if (layer && brush) layer.params[0].value = brush;
    const view = await window.charts.draw(element("front"), figure);
    if (!layer) return;
    view.addSignalListener("brush", (_, value) => {
      brush = value.x && value.y ? { x: value.x, y: value.y } : null;
      const within = (range, number) => number >= Math.min(...range) && number <= Math.max(...range);
      table.limit(brush && ((row) => row.state === "completed" && within(brush.x, row[x]) && within(brush.y, row[y])));
      element("unbox").hidden = !brush;
    });
    unbox = () => {
      brush = null;
      delete layer.params[0].value;
      table.limit(null);
      element("unbox").hidden = true;
      return drawFront(figure);
    };
  }

  let unbox = () => Promise.resolve();
  element("unbox").addEventListener("click", () => unbox().catch(complain));

  async function drawGrowth(growth) {
    const step = { mark: { interpolate: "step-after", point: { opacity: 0, size: 80 } } };
    const whole = { ...step, axis: { tickMinStep: 1, format: ",d" } };
    if (!growth.by_trials.length) return;
    const of = window.charts.line;
    await window.charts.draw(element("by-trials"), of("against trials", growth.by_trials, "completed", "completed trials", "hypervolume", "hypervolume", whole));
    await window.charts.draw(element("by-hours"), of("against hours", growth.by_hours, "hours", "hours", "hypervolume", "hypervolume", step));
  }

  async function openTrial(number) {
    delete etags[`/trials/${number}`];
    const trial = await get(`/trials/${number}`);
    if (!trial) return;
    element("candidate").hidden = false;
    element("candidate-title").textContent = `Trial ${number}`;
    const facts = [];
    for (const [name, value] of Object.entries(trial.record)) {
      if (value === null || value === "" || name === "number") continue;
      const [term, detail] = [document.createElement("dt"), document.createElement("dd")];
      term.textContent = table.label(name);
      detail.textContent = table.text(value, name);
      facts.push(term, detail);
    }
    element("facts").replaceChildren(...facts);
    element("traceback").hidden = !trial.traceback;
    element("traceback").querySelector("pre").textContent = trial.traceback || "";
    element("output").hidden = !trial.output;
    element("output").querySelector("pre").textContent = trial.output || "";
    const lines = trial.sites.map((site) => {
      const line = document.createElement("tr");
      for (const name of ["name", "role", "stage", "activation"]) line.insertCell().textContent = site[name];
      return line;
    });
    element("sites").tBodies[0].replaceChildren(...lines);
    element("sites").parentElement.hidden = !lines.length;
    element("curves").hidden = !trial.curve.length;
    if (trial.curve.length) {
      const more = { mark: { point: true }, encoding: { color: { field: "seed", type: "nominal", title: "seed" } } };
      const [y, yTitle] = trial.curve.some((point) => point.accuracy !== null) ? ["accuracy", network ? "validation accuracy" : "reported"] : ["loss", "training loss"];
      await window.charts.draw(element("curves"), window.charts.line("Learning curves", trial.curve, "epoch", "epoch", y, yTitle, { ...more, share: network }));
    }
    element("candidate").focus();
    element("candidate").scrollIntoView({ block: "start" });
  }

  async function listFiles() {
    const found = await get("/files");
    if (!found) return;
    const items = found.items.map(({ name, bytes }) => {
      const item = document.createElement("li");
      const link = document.createElement("a");
      link.href = `${base}/files/${name.split("/").map(encodeURIComponent).join("/")}`;
      link.textContent = name;
      item.append(link, ` ${bytes < 1e5 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`}`);
      return item;
    });
    element("files").replaceChildren(...items);
  }

  function tableOf(name, rows) {
    const part = document.createElement("div");
    part.className = "scroll";
    part.tabIndex = 0;
    const made = part.appendChild(document.createElement("table"));
    made.createCaption().textContent = name;
    const head = made.createTHead().insertRow();
    const columns = Object.keys(rows[0]);
    for (const column of columns) {
      const cell = head.appendChild(document.createElement("th"));
      cell.scope = "col";
      cell.textContent = column;
    }
    const body = made.createTBody();
    for (const row of rows) {
      const line = body.insertRow();
      for (const column of columns) line.insertCell().textContent = table.text(row[column], column);
    }
    return part;
  }

  async function openStudy(study) {
    const place = study.querySelector("div");
    const answer = await fetch(`${base}/${study.dataset.study}`);
    const found = await answer.json();
    const parts = [];
    for (const sentence of answer.ok ? found.sentences || [] : [found.detail]) {
      const line = document.createElement("p");
      line.textContent = sentence;
      parts.push(line);
    }
    const chart = document.createElement("div");
    chart.className = "chart";
    if (found.figure) parts.push(chart);
    for (const [name, rows] of Object.entries(found)) {
      if (Array.isArray(rows) && rows.length && typeof rows[0] === "object") parts.push(tableOf(name, rows));
    }
    place.replaceChildren(...parts);
    if (found.figure) await window.charts.draw(chart, found.figure);
  }

  for (const study of document.querySelectorAll("details.study")) {
    study.addEventListener("toggle", () => study.open && openStudy(study).catch(complain));
  }

  async function readLog() {
    if (!element("logs").open) return;
    const part = await get(`/logs${logAt === null ? "" : `?offset=${logAt}`}`);
    if (!part || !part.text) return;
    const log = element("log");
    const below = log.scrollHeight - log.scrollTop - log.clientHeight < 30;
    log.append(part.text);
    logAt = part.next;
    if (below) log.scrollTop = log.scrollHeight;
  }

  function listen() {
    if (source) source.close();
    source = new EventSource(`${base}/events`);
    source.addEventListener("search", (event) => {
      heardAt = Date.now();
      const row = JSON.parse(event.data);
      if (row.state === "gone") location.href = `${prefix}/`;
      else show(row);
    });
    source.addEventListener("end", () => source.close());
  }

  async function ask() {
    // Behind a proxy that holds back the events, the search is asked for.
    if (document.hidden || (current && current.state === "ended") || Date.now() - heardAt < 10000) return;
    const row = await get("");
    if (row) show(row);
  }

  function action(name, wish) {
    const found = element(name);
    if (!found) return;
    const kind = found.tagName === "FORM" ? "submit" : "click";
    found.addEventListener(kind, (event) => {
      event.preventDefault();
      wish().then((row) => {
        if (row) {
          show(row);
          listen();
        } else location.href = `${prefix}/`;
      }, complain);
    });
  }

  action("cancel", () => post("/cancel"));
  action("resume", () => post("/resume"));
  action("extend", () => post("/extend", { add_trials: Number(element("add").value) }));
  action("delete", () => (window.confirm("Delete this search and all that it has written?") ? post("") : Promise.resolve(current)));
  element("logs").addEventListener("toggle", () => readLog().catch(complain));
  setInterval(() => readLog().catch(() => {}), 2000);
  setInterval(() => ask().catch(() => {}), 5000);
  listFiles().catch(complain);
  listen();
})();
