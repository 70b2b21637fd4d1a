// One panel: a metric on one data set under one protocol, as SVG, and the same as a table.

const SVG = "http://www.w3.org/2000/svg";
const MARGIN = { left: 62, right: 14, top: 12, bottom: 44 };

// Shape repeats what colour says.
const SHAPES = [
  (r) => `M${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`,
  (r) => `M${-r * 0.9} ${-r * 0.9}h${r * 1.8}v${r * 1.8}h${-r * 1.8}z`,
  (r) => `M0 ${-r * 1.15}L${r * 1.1} ${r * 0.85}H${-r * 1.1}z`,
  (r) => `M0 ${-r * 1.25}L${r * 1.25} 0L0 ${r * 1.25}L${-r * 1.25} 0z`,
  (r) => `M0 ${r * 1.15}L${r * 1.1} ${-r * 0.85}H${-r * 1.1}z`,
  (r) => `M${-r} ${-r * 0.4}h${r * 0.6}v${-r * 0.6}h${r * 0.8}v${r * 0.6}h${r * 0.6}v${r * 0.8}h${-r * 0.6}v${r * 0.6}h${-r * 0.8}v${-r * 0.6}h${-r * 0.6}z`,
];

function node(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// The panel's svg and its marks, sorted by x, then y. `marks`: {x, y, group, series, label, …}.
function drawPanel(panel, marks, look, width) {
  const height = Math.round(Math.min(Math.max(width * 0.62, 250), 400));
  const inner = { w: width - MARGIN.left - MARGIN.right, h: height - MARGIN.top - MARGIN.bottom };
  const lines = look.lines ? panel.lines.filter((line) => look.series.has(line.series)) : [];
  const y = scale([...marks.map((mark) => mark.y), ...lines.flatMap((line) => line.y)],
    panel.log && marks.every((mark) => mark.y > 0));
  const x = scale(marks.map((mark) => mark.x), look.logX);
  const px = (v) => MARGIN.left + x.at(v) * inner.w;
  const py = (v) => MARGIN.top + (1 - y.at(v)) * inner.h;
  const svg = node("svg", {
    viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-roledescription": "chart",
    "aria-label": `${panel.label} over ${look.overLabel}, ${panel.dataset}: ${marks.length} marks. Arrow keys walk.`,
  });
  svg.append(axes(panel, look, x, y, px, py, width, height, inner));
  const clip = `clip-${look.number}`;
  svg.append(node("clipPath", { id: clip },
    node("rect", { x: MARGIN.left, y: MARGIN.top, width: inner.w, height: inner.h })));
  const under = node("g", { "clip-path": `url(#${clip})`, "aria-hidden": "true" });
  for (const line of lines) under.append(...fitted(line, px, py));
  svg.append(under);
  const ordered = [...marks].sort((a, b) => a.x - b.x || a.y - b.y);
  const mean = means(ordered, panel.log, look, px, py);
  svg.append(...ordered.map((mark) => drawMark(mark, look, px, py)), mean);
  if (ordered.length) ordered[0].shape.setAttribute("tabindex", "0");
  return { svg, ordered };
}

function axes(panel, look, x, y, px, py, width, height, inner) {
  const group = node("g", { class: "axes", "aria-hidden": "true" });
  const bottom = MARGIN.top + inner.h;
  for (const [value, label] of y.ticks) {
    group.append(node("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: py(value), y2: py(value) }),
      node("text", { x: MARGIN.left - 8, y: py(value) + 4, "text-anchor": "end" }, label));
  }
  for (const [value, label] of x.ticks) {
    group.append(node("line", { class: "grid", x1: px(value), x2: px(value), y1: MARGIN.top, y2: bottom }),
      node("text", { x: px(value), y: bottom + 17, "text-anchor": "middle" }, label));
  }
  const middle = MARGIN.top + inner.h / 2;
  group.append(
    node("line", { class: "axis", x1: MARGIN.left, x2: width - MARGIN.right, y1: bottom, y2: bottom }),
    node("line", { class: "axis", x1: MARGIN.left, x2: MARGIN.left, y1: MARGIN.top, y2: bottom }),
    node("text", { class: "title", x: MARGIN.left + inner.w / 2, y: height - 6, "text-anchor": "middle" }, look.overLabel),
    node("text", { class: "title", transform: `translate(14 ${middle}) rotate(-90)`, "text-anchor": "middle" }, panel.label));
  return group;
}

function fitted(line, px, py) {
  const path = (ys) => line.x.map((v, n) => `${n ? "L" : "M"}${px(v).toFixed(1)} ${py(ys[n]).toFixed(1)}`).join("");
  const kind = line.series === "trained" ? "trained" : "floor";
  const drawn = [node("path", { class: `fit ${kind}`, d: path(line.y) })];
  if (line.band && line.band.every((side) => side.every((v) => v !== null && Number.isFinite(py(v))))) {
    const [low, high] = line.band;
    const back = line.x.map((_, n) => line.x.length - 1 - n)
      .map((n) => `L${px(line.x[n]).toFixed(1)} ${py(low[n]).toFixed(1)}`).join("");
    drawn.unshift(node("path", { class: `band ${kind}`, d: `${path(high)}${back}z` }));
  }
  return drawn;
}

// Each configuration's mean over its seeds, on the scale of the metric's fit; its seeds stand faintly behind.
function means(marks, log, look, px, py) {
  const seeds = new Map();
  for (const mark of marks) {
    const key = `${mark.config} ${mark.series} ${mark.x}`;
    seeds.set(key, [...(seeds.get(key) ?? []), mark]);
  }
  const group = node("g", { class: "means", "aria-hidden": "true" });
  for (const same of seeds.values()) {
    if (same.length < 2) continue;
    const positive = log && same.every((mark) => mark.y > 0);
    const sum = same.reduce((total, mark) => total + (positive ? Math.log2(mark.y) : mark.y), 0) / same.length;
    const groups = new Set(same.map((mark) => mark.group));
    if (groups.size > 1) continue; // the seed is the colour
    const place = { ...same[0], y: positive ? 2 ** sum : sum, seeded: false, spoken: "" };
    const mean = drawMark(place, look, px, py);
    for (const name of ["role", "tabindex", "aria-label"]) mean.removeAttribute(name);
    group.append(mean);
    for (const mark of same) mark.seeded = true;
  }
  return group;
}

function drawMark(mark, look, px, py) {
  mark.px = px(mark.x);
  mark.py = py(mark.y);
  const floor = mark.series !== "trained";
  mark.shape = node("path", {
    class: `mark${floor ? " floor" : ""}${mark.seeded ? " seed" : ""}`,
    d: SHAPES[look.shape(mark.group)](mark.seeded ? 3.6 : 4.8), transform: `translate(${mark.px.toFixed(1)} ${mark.py.toFixed(1)})`,
    tabindex: "-1", role: "img", "aria-label": mark.spoken,
  });
  mark.shape.style.color = look.colour(mark.group);
  return mark.shape;
}

// The chart's numbers as a table, made when it is first opened.
function alternative(panel, marks, look) {
  const box = element("details", {}, element("summary", {}, "These numbers as a table"));
  box.addEventListener("toggle", () => {
    if (!box.open || box.querySelector("table")) return;
    const head = element("tr", {}, ...["run", "series", look.overLabel, look.colourLabel, panel.label]
      .map((name) => element("th", { scope: "col" }, name)));
    const rows = marks.map((mark) => element("tr", {},
      element("th", { scope: "row" }, mark.name), element("td", {}, mark.series),
      element("td", { class: "number" }, short(mark.x)), element("td", {}, mark.group),
      element("td", { class: "number" }, short(mark.y))));
    const caption = element("caption", {}, `${panel.label} over ${look.overLabel}, ${panel.dataset}`);
    const table = element("table", { class: "data" }, caption, element("thead", {}, head), element("tbody", {}, ...rows));
    box.append(element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Numbers of the chart" }, table));
  });
  return box;
}
