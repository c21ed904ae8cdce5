"use strict";
// Figures: drawn by Vega without compiling anything, so that the page needs no more rights than its own files.
window.charts = (function () {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const INVERTED = { "#333333": "#d8d8d8", "#555555": "#a8a8a8", "#E8E8E8": "#333333" };
  const drawn = new Map();

  function inMode(spec) {
    let text = JSON.stringify(spec);
    if (dark.matches) for (const [from, to] of Object.entries(INVERTED)) text = text.split(`"${from}"`).join(`"${to}"`);
    return JSON.parse(text, (_, value) => {
      if (value && value.type === "log") delete value.zero; // of which Vega-Lite would complain
      return value;
    });
  }

  function config() {
    const ink = dark.matches ? "#ececec" : "#1f1f1f";
    const soft = dark.matches ? "#a8a8a8" : "#5c5c5c";
    return {
      background: "transparent",
      title: { color: ink },
      header: { labelColor: ink, titleColor: ink },
      axis: { labelColor: soft, titleColor: ink, domainColor: soft, tickColor: soft, gridColor: dark.matches ? "#333333" : "#E8E8E8", titleFontWeight: "normal" },
      legend: { labelColor: soft, titleColor: ink, titleFontWeight: "normal" },
      view: { stroke: null },
    };
  }

  function wrap(text, width) {
    const lines = [];
    for (const word of String(text).split(" ")) {
      const last = lines.length - 1;
      if (last >= 0 && lines[last].length + word.length < width / 6.2) lines[last] += ` ${word}`;
      else lines.push(word);
    }
    return lines;
  }

  function fit(spec, place) {
    const room = place.clientWidth || 600;
    const narrow = room < 620;
    if (spec.hconcat || spec.vconcat || spec.concat || spec.facet) return spec;
    spec.width = Math.max(180, Math.min(760, room - (narrow ? 90 : 250)));
    spec.height = narrow ? 260 : 360;
    spec.config = spec.config || {};
    if (narrow) spec.config.legend = { ...spec.config.legend, orient: "bottom", columns: 2 };
    if (spec.title && typeof spec.title === "object") {
      spec.title.text = wrap(spec.title.text, (room * 6.2) / 9);
      spec.title.subtitle = (spec.title.subtitle || []).flatMap((line) => wrap(line, room));
    }
    return spec;
  }

  async function draw(place, spec) {
    const fitted = fit(inMode(spec), place);
    const result = await window.vegaEmbed(place, fitted, {
      actions: false,
      ast: true,
      defaultStyle: false,
      renderer: "canvas",
      config: config(),
      tooltip: { disableDefaultStyle: true },
    });
    const before = drawn.get(place);
    if (before) before.result.finalize();
    drawn.set(place, { spec, result });
    return result.view;
  }

  function line(title, values, x, xTitle, y, yTitle, more) {
    return {
      $schema: "https://vega.github.io/schema/vega-lite/v6.json",
      title: { text: title, anchor: "start", fontSize: 13 },
      data: { values },
      mark: { type: "line", color: "#D55E00", ...(more && more.mark) },
      encoding: {
        x: { field: x, type: "quantitative", title: xTitle, scale: { nice: false, zero: false }, axis: (more && more.axis) || {} },
        y: { field: y, type: "quantitative", title: yTitle, scale: { zero: false }, axis: more && more.share && y === "accuracy" ? { format: ".1%" } : {} },
        tooltip: [{ field: x, type: "quantitative" }, { field: y, type: "quantitative", format: ".5f" }],
        ...(more && more.encoding),
      },
    };
  }

  dark.addEventListener("change", () => drawn.forEach((known, place) => draw(place, known.spec)));
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth === width) return;
    width = window.innerWidth;
    drawn.forEach((known, place) => draw(place, known.spec));
  });
  const view = (place) => drawn.get(place)?.result.view;
  return { draw, line, view };
})();
