"use strict";
// The list, looked at again every few seconds while the page is seen.
(function () {
  const list = document.getElementById("searches");
  if (!list) return;
  const prefix = document.documentElement.dataset.root; // below which a proxy shows this service
  let etag = "";

  function show(item) {
    const row = list.querySelector(`li[data-id="${item.id}"]`);
    if (!row) return;
    const ended = item.counts.completed + item.counts.stopped + item.counts.failed;
    const state = row.querySelector(".state");
    state.textContent = item.outcome || item.state;
    state.className = `state ${item.outcome || item.state}`;
    const progress = row.querySelector("progress");
    progress.max = item.trials;
    progress.value = ended;
    row.querySelector(".count").textContent = `${ended} of ${item.trials} trials`;
    row.querySelector(".note").textContent = item.note;
  }

  async function look() {
    if (document.hidden) return;
    const answer = await fetch(`${prefix}/api/v1/searches?limit=50`, { headers: etag ? { "If-None-Match": etag } : {} });
    if (answer.status !== 200) return;
    etag = answer.headers.get("ETag") || "";
    const items = (await answer.json()).items;
    items.forEach(show);
    const known = [...list.children].map((row) => row.dataset.id).join();
    if (!location.search && items.map((item) => item.id).join() !== known) location.reload();
  }

  setInterval(() => look().catch(() => {}), 3000);
})();
