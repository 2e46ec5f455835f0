// One chart: title, plot, caption. Plotly.react keeps the plot up to date in place, so zoom and hover stay.

const PHONE = 560; // narrower than this (CSS pixels): legend below, small margins
const ZOOM_WAIT = 150; // milliseconds after the last movement in which the server is told
const charts = new WeakMap(); // the element Streamlit gives us -> its Chart
const linked = new Set(); // charts that share an axis or a place with others

let library;
function loadPlotly() {
  library ??= (async () => {
    // Packed by us: 1.4 MB on the wire instead of 4.8, and the server need not pack it anew for each visitor.
    const packed = await fetch(new URL("PLOTLY", import.meta.url));
    if (!packed.ok) throw new Error(`plotly.js: HTTP ${packed.status}`);
    const text = await new Response(packed.body.pipeThrough(new DecompressionStream("gzip"))).blob();
    const script = document.createElement("script");
    script.dataset.lmviz = "plotly";
    script.src = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    await new Promise((resolve, reject) => {
      script.onload = resolve;
      script.onerror = () => reject(new Error("plotly.js did not load"));
      document.head.append(script);
    });
    URL.revokeObjectURL(script.src);
    return window.Plotly;
  })();
  library.catch(() => (library = undefined)); // a lost connection: the next chart tries again
  return library;
}

export function show(component, spec) {
  const host = component.parentElement;
  if (!charts.has(host)) charts.set(host, new Chart(host));
  charts.get(host).update(spec, component.setTriggerValue);
  // Streamlit calls this when the element goes, but also when an update was overtaken by the next one.
  return () => setTimeout(() => host.isConnected || charts.get(host)?.remove());
}

function element(tag, name, parent) {
  const node = document.createElement(tag);
  node.className = name;
  parent.append(node);
  return node;
}

class Chart {
  constructor(host) {
    this.host = host;
    this.ranges = {}; // axis -> the part that linked charts show, and of which figure
    this.following = 0; // movements that another chart began
    this.root = element("figure", "lmviz-chart", host);
    this.title = element("div", "title", this.root);
    this.plot = element("div", "plot waiting", this.root);
    this.plot.setAttribute("role", "img");
    this.caption = element("figcaption", "", this.root);
    this.plot.addEventListener("pointerdown", () => this.hold());
    this.observer = new ResizeObserver(() => requestAnimationFrame(() => this.resize()));
    this.observer.observe(this.plot);
  }

  update(spec, send) {
    this.spec = spec;
    this.send = send;
    const figure = JSON.parse(spec.figure);
    this.layout = figure.layout;
    this.title.textContent = plainText(figure.layout.title?.text ?? "");
    this.title.hidden = !this.title.textContent;
    this.caption.textContent = spec.caption;
    this.caption.hidden = !spec.caption;
    this.plot.style.height = `${spec.height}px`;
    this.plot.setAttribute("aria-label", spec.alt);
    this.plot.classList.toggle("clickable", spec.clicks);
    if (spec.link.x || spec.link.y) linked.add(this);
    else linked.delete(this);
    this.host.style.minHeight = "";
    this.draw();
  }

  async draw() {
    const { spec, plot } = this;
    try {
      const plotly = await loadPlotly();
      const width = plot.clientWidth; // 0: in a tab that is not open; resize() draws it when it is
      if (this.gone || this.held || spec !== this.spec || !width) return;
      const style = getComputedStyle(this.host);
      const look = spec.figure + (width < PHONE) + spec.height + themeOf(style);
      if (look === this.look) return; // a rerun that changed nothing here
      this.look = look;
      const figure = resolveColors(unpacked(spec.figure), style);
      const first = !this.drawn;
      if (first) plot.replaceChildren();
      plot.classList.remove("waiting", "failed");
      await plotly.react(plot, figure.data, this.withRanges(layoutFor(figure.layout, width)), this.config(plotly));
      this.drawn = true;
      this.width = width;
      if (first) this.listen();
    } catch (error) {
      console.error(error);
      plot.classList.replace("waiting", "failed");
      if (!this.drawn) plot.textContent = spec.labels.failed;
    }
  }

  // An update in the middle of a drag would end it, so updates wait until the person lets go.
  hold() {
    this.held = true;
    const release = () => {
      removeEventListener("pointerup", release);
      removeEventListener("pointercancel", release);
      setTimeout(() => {
        this.held = false;
        this.draw();
      }, 50); // Plotly ends its drag a moment after the pointer event
    };
    addEventListener("pointerup", release);
    addEventListener("pointercancel", release);
  }

  resize() {
    const width = this.plot.clientWidth;
    if (this.gone || !width || width === this.width) return;
    if (!this.drawn || width < PHONE !== this.width < PHONE) this.draw();
    else window.Plotly.Plots.resize(this.plot);
    this.width = width;
  }

  clicked(event) {
    if (!this.spec.clicks) return;
    const { curveNumber, data, x, y, z, pointNumber, customdata, text } = event.points[0];
    this.send("click", { curve: curveNumber, name: data.name ?? "", x, y, z, point: pointNumber, customdata, text });
  }

  listen() {
    const { plot } = this;
    plot.on("plotly_click", (event) => this.clicked(event));
    plot.on("plotly_relayout", (change) => this.moved(change));
    plot.on("plotly_hover", (event) => this.pointed(event));
    plot.on("plotly_unhover", () => this.others("x", "y").forEach((chart) => window.Plotly.Fx.unhover(chart.plot)));
  }

  // Charts on the page that have the same names for these axes.
  others(...axes) {
    return [...linked].filter((chart) => chart !== this && chart.drawn && axes.every((axis) => this.shares(axis, chart)));
  }

  shares(letter, chart) {
    const name = this.spec.link[letter];
    return Boolean(name) && name === chart.spec.link[letter];
  }

  // A person zoomed here: the others follow, and say nothing of it themselves.
  moved(change) {
    const letters = ["x", "y"].filter((letter) => Object.keys(change).some((key) => key.split(".")[0] === `${letter}axis`));
    if (this.following || !letters.length) return; // no zoom: another tool was taken, or the window has another size
    const parts = (chart) => letters.filter((letter) => this.shares(letter, chart)).map((letter) => [letter, this.part(letter)]);
    this.remember(parts(this));
    for (const chart of linked) if (chart !== this && chart.drawn) chart.follow(parts(chart));
    if (!this.spec.zooms) return;
    clearTimeout(this.zooming);
    this.zooming = setTimeout(() => this.send("zoom", { x: this.part("x"), y: this.part("y"), at: Date.now() }), ZOOM_WAIT);
  }

  async follow(parts) {
    if (!parts.length) return;
    this.remember(parts);
    const change = {};
    for (const [letter, part] of parts) {
      const range = part ?? this.start(letter);
      if (range) change[`${letter}axis.range`] = [...range];
      else change[`${letter}axis.autorange`] = true;
    }
    this.following += 1;
    await window.Plotly.relayout(this.plot, change).finally(() => (this.following -= 1));
  }

  // Plotly keeps what a person zoomed to in a chart, but not what that did to the charts linked with it.
  remember(parts) {
    for (const [letter, range] of parts) this.ranges[`${letter}axis`] = range && { range, of: this.plot.layout.uirevision };
  }

  withRanges(layout) {
    for (const [axis, kept] of Object.entries(this.ranges)) {
      if (kept && kept.of === layout.uirevision) layout[axis] = { ...layout[axis], range: [...kept.range], autorange: false };
    }
    return layout;
  }

  // What an axis of the figure begins with; undefined: all that there is.
  start(letter) {
    return this.layout[`${letter}axis`]?.range;
  }

  // What is to be seen of an axis; null if it is what the figure began with.
  part(letter) {
    const axis = this.plot._fullLayout[`${letter}axis`];
    const start = this.start(letter);
    const whole = start ? start.every((end, i) => Math.abs(end - axis.range[i]) < 1e-9) : axis.autorange;
    return whole ? null : [...axis.range];
  }

  pointed(event) {
    const { x, y, data } = event.points[0];
    if (data.type !== "heatmap") return;
    for (const chart of this.others("x", "y")) chart.point(x, y);
  }

  // As if the mouse were at this place of the main plot; Plotly tells nobody of such a hover.
  point(x, y) {
    const { xaxis, yaxis } = this.plot._fullLayout;
    window.Plotly.Fx.hover(this.plot, { xval: xaxis.d2c(x), yval: yaxis.d2c(y) }, "xy");
  }

  // The same object until the language changes: for Plotly a new button function is a new chart, and zoom is lost.
  config(plotly) {
    const words = JSON.stringify(this.spec.labels);
    if (words !== this.words) this.settings = this.newConfig(plotly);
    this.words = words;
    return this.settings;
  }

  newConfig(plotly) {
    const { labels } = this.spec;
    const button = (name, title, icon, click) => ({ name, title, icon, click });
    return {
      displaylogo: false,
      showSendToCloud: false, // Plotly's default offers to upload the data to its makers
      plotlyServerURL: "",
      responsive: false,
      doubleClick: "reset",
      modeBarButtonsToRemove: [
        "toImage", "select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d", "hoverClosestCartesian",
        "hoverCompareCartesian", "toggleSpikelines", "tableRotation", "resetCameraLastSave3d", "hoverClosest3d",
      ],
      modeBarButtonsToAdd: [
        button("png", labels.png, plotly.Icons.camera, () => this.savePicture(plotly)),
        button("csv", labels.csv, plotly.Icons.disk, () => this.saveData()),
      ],
      locale: "lm",
      locales: { lm: { dictionary: labels.plotly, format: {} } },
    };
  }

  savePicture(plotly) {
    const { width, height } = this.plot.getBoundingClientRect();
    const layout = structuredClone(this.plot.layout);
    const text = JSON.parse(this.spec.figure).layout.title?.text;
    const room = text ? 52 : 0;
    layout.title = { text, x: 0, xref: "paper", y: 1, yref: "container", yanchor: "top", pad: { t: 14 } };
    layout.margin = { ...layout.template.layout.margin, ...layout.margin };
    layout.margin.t += room;
    const options = { format: "png", scale: 2, width, height: height + room, filename: this.spec.file };
    return plotly.downloadImage({ data: this.plot.data, layout }, options);
  }

  saveData() {
    const { data, layout } = unpacked(this.spec.figure);
    // The mark at the start tells spreadsheets that this is UTF-8.
    const blob = new Blob(["\ufeff", csv(data, layout)], { type: "text/csv;charset=utf-8" });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${this.spec.file}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  remove() {
    this.gone = true;
    linked.delete(this);
    this.observer.disconnect();
    if (this.drawn) window.Plotly.purge(this.plot);
    charts.delete(this.host);
  }
}

// ---- look ----

function themeOf(style) {
  return ["--st-text-color", "--st-background-color", "--st-font", "--st-primary-color"].map((name) => style.getPropertyValue(name)).join();
}

// Replaces var(--name) wherever Plotly expects a colour or a font. Texts, tokens and names stay as they are.
function resolveColors(node, style, isStyle = false) {
  if (typeof node === "string") {
    const name = isStyle && /^var\((--[\w-]+)\)$/.exec(node)?.[1];
    return name ? variable(style, name) : node;
  }
  if (Array.isArray(node)) {
    if (typeof node[0] === "number" && !isStyle) return node;
    return node.map((item) => resolveColors(item, style, isStyle));
  }
  if (node && typeof node === "object") {
    for (const key of Object.keys(node)) node[key] = resolveColors(node[key], style, /color|family$/.test(key));
  }
  return node;
}

// `--name-3` is item 3 of the list `--name` if there is no variable of that name.
function variable(style, name) {
  const [, list, index] = /^(.*)-(\d+)$/.exec(name) ?? [];
  return style.getPropertyValue(name).trim() || (list ? style.getPropertyValue(list).split(",")[index].trim() : "");
}

function layoutFor(layout, width) {
  const out = { uirevision: "kept", ...layout, autosize: true, title: undefined };
  delete out.width;
  delete out.height;
  // A finger on a chart scrolls the page; the zoom button of the toolbar changes that.
  if (matchMedia("(pointer: coarse)").matches) out.dragmode = false;
  if (width >= PHONE) return out;
  out.margin = { l: 40, r: 8, t: 8, b: 36 };
  out.legend = { ...out.legend, orientation: "h", x: 0, xanchor: "left", xref: "container", y: 0, yref: "container", yanchor: "bottom" };
  return out;
}

function plainText(html) {
  const text = html.replace(/<br\s*\/?>/gi, " ").replace(/<\/?(b|i|em|strong|sub|sup|span)\b[^>]*>/gi, "");
  return text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
}

// ---- data ----

const TYPES = {
  i1: Int8Array, u1: Uint8Array, u1c: Uint8ClampedArray, i2: Int16Array, u2: Uint16Array,
  i4: Int32Array, u4: Uint32Array, f4: Float32Array, f8: Float64Array,
};

const MISSING = -32768; // lmviz/ui/figures/compact.py

// A figure whose scaled integers are numbers again, with no more decimals than the integers tell apart.
function unpacked(text) {
  const figure = JSON.parse(text);
  for (const trace of figure.data) {
    const { scale } = trace.z ?? {};
    if (scale === undefined) continue;
    const decimals = Math.min(100, Math.max(0, Math.ceil(-Math.log10(scale))));
    const number = (whole) => (whole === MISSING ? null : Number((whole * scale).toFixed(decimals)));
    trace.z = values(trace.z).map((row) => row.map(number));
  }
  return figure;
}

// A list, or plotly.py's {dtype, bdata, shape}, as an array (of arrays).
function values(field) {
  if (!field?.bdata) return Array.isArray(field) ? field : undefined;
  const bytes = Uint8Array.from(atob(field.bdata), (c) => c.charCodeAt(0));
  const flat = Array.from(new TYPES[field.dtype](bytes.buffer), field.dtype === "f4" ? shortest : (v) => v);
  if (typeof field.shape !== "string") return flat;
  const columns = Number(field.shape.split(",")[1]);
  return Array.from({ length: flat.length / columns }, (_, i) => flat.slice(i * columns, (i + 1) * columns));
}

// 0.1 as float32 is 0.10000000149...; the shortest number that is the same float32 is the honest one.
function shortest(value) {
  for (let digits = 6; digits < 9; digits++) {
    const rounded = Number(value.toPrecision(digits));
    if (Math.fround(rounded) === value) return rounded;
  }
  return Number(value.toPrecision(9));
}

function cell(value) {
  const text = value === null || value === undefined || Number.isNaN(value) ? "" : plainText(String(value));
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function axisName(layout, trace, letter) {
  const axis = layout[`${letter}axis${(trace[`${letter}axis`] ?? letter).slice(1)}`];
  return plainText(axis?.title?.text ?? "") || letter;
}

// Long form: one row a point, with the trace's name first; every trace keeps its own axis names in the header.
function csv(data, layout) {
  const shown = data.filter((trace) => trace.hoverinfo !== "skip" || data.length === 1);
  const first = shown[0] ?? {};
  const extra = ["z", "text", "customdata"].filter((key) => shown.some((trace) => values(trace[key])));
  const rows = [["series", axisName(layout, first, "x"), axisName(layout, first, "y"), ...extra.map((key) => valueName(first, key))]];
  for (const [index, trace] of shown.entries()) rows.push(...traceRows(trace, trace.name ?? String(index + 1), extra));
  return rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

function valueName(trace, key) {
  return (key === "z" && plainText(trace.colorbar?.title?.text ?? "")) || key;
}

function traceRows(trace, name, extra) {
  const [x, y, z] = ["x", "y", "z"].map((key) => values(trace[key]));
  const start = (key) => (i) => (trace[`${key}0`] ?? 0) + i * (trace[`d${key}`] ?? 1);
  const at = (list, key) => (i) => (list ? list[i] : start(key)(i));
  const rest = extra.map((key) => values(trace[key]));
  if (Array.isArray(z?.[0])) {
    return z.flatMap((line, j) =>
      line.map((_, i) => [name, at(x, "x")(i), at(y, "y")(j), ...rest.map((list) => list?.[j]?.[i])]),
    );
  }
  const length = Math.max(x?.length ?? 0, y?.length ?? 0, z?.length ?? 0);
  return Array.from({ length }, (_, i) => [name, at(x, "x")(i), at(y, "y")(i), ...rest.map((list) => list?.[i])]);
}
