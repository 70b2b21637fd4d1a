// The chart section: what is chosen, its panels, and what a mark tells when it is pointed at.

const PALETTE = ["--c1", "--c2", "--c3", "--c4", "--c5", "--c6"];
const NEAR = 26; // pixels: how far from a mark the pointer still means it

function charts(data, rows, goTo) {
  const { places } = data;
  const control = (id) => document.getElementById(id);
  const [metric, dataset, over, colour, lines, floors] =
    ["metric", "dataset", "over", "colour", "lines", "floors"].map(control);
  const host = control("panels");
  let shown = null; // rows of the run table; null: all

  options(metric, data.metrics.map((entry, n) => [n, entry.name]));
  options(over, data.over);
  options(colour, data.colours);
  floors.closest("label").hidden = !places.series.includes("PCA floor");

  function chooseDataset() {
    const { panels, main } = data.metrics[metric.value];
    const several = new Set(data.panels.map((panel) => panel.source)).size > 1;
    const name = (n) => title(data.panels[n], several, data.metrics[metric.value].name);
    const both = new Set(main.map((n) => data.panels[n].source)).size > 1;
    const start = both || (main.length > 1 && main.length < panels.length)
      ? [["main", both ? "ours beside the paper's" : `${figureOf(data.panels[main[0]])}, each data set`]] : [];
    const all = panels.length > 1 ? [["all", `all ${panels.length}, each in a panel`]] : [];
    options(dataset, [...start, ...panels.map((n) => [n, name(n)]), ...all]);
    dataset.value = start.length ? "main" : panels.length > 1 && panels.length < 4 ? "all" : String(main[0] ?? panels[0]);
  }

  function chosen() {
    const { panels, main } = data.metrics[metric.value];
    if (dataset.value === "main") return main;
    return dataset.value === "all" ? panels : [Number(dataset.value)];
  }

  function draw() {
    hideTip();
    const panels = chosen().map((n) => data.panels[n]);
    const kept = panels.map((panel) => marksOf(panel));
    const groups = order([...new Set(kept.flat().map((mark) => mark.group))]);
    const look = {
      lines: lines.checked && over.value === "E",
      logX: spreads(kept.flat().map((mark) => mark.x)),
      overLabel: over.selectedOptions[0].text,
      colourLabel: colour.selectedOptions[0].text,
      series: new Set(kept.flat().map((mark) => mark.series)),
      colour: (group) => tint(groups.indexOf(group), groups.length),
      shape: (group) => Math.max(0, groups.indexOf(group)) % SHAPES.length,
    };
    host.classList.toggle("one", panels.length === 1);
    host.replaceChildren(...panels.map(() => element("figure", { class: "panel" })));
    panels.forEach((panel, n) => fill(host.children[n], panel, kept[n], { ...look, number: n }));
    legend(groups, look, kept.flat().some((mark) => mark.seeded));
  }

  function marksOf(panel) {
    const configs = shown && new Set([...shown].map((row) => rows.configs.get(row)));
    return panel.at.flatMap((place, n) => {
      const series = places.series[place], run = places.run[place], x = places[over.value]?.[place];
      if (x === null || x === undefined || (series !== "trained" && !floors.checked)) return [];
      // A floor has no seed: it stays as long as one run of its configuration does.
      const keep = !shown || (series === "trained" ? shown.has(run) : configs.has(places.config[place]));
      if (!keep) return [];
      const mark = {
        place, run, series, x, y: panel.value[n], picture: panel.picture[n], config: places.config[place],
        group: String(places[colour.value]?.[place] ?? "–"), name: rows.names[run] ?? places.name[place],
      };
      const floor = series === "trained" ? "" : `${series}, `;
      mark.spoken = `${floor}${mark.name}: ${panel.label.replace(/ [↑↓]/, "")} ${short(mark.y)}, ` +
        `${over.value} ${short(x)}, ${colour.selectedOptions[0].text} ${mark.group}`;
      return [mark];
    });
  }

  function fill(figure, panel, marks, look) {
    const several = new Set(data.panels.map((each) => each.source)).size > 1;
    const heading = element("h3", {}, title(panel, several, null));
    const fits = look.lines ? panel.lines.filter((line) => look.series.has(line.series)) : [];
    const caption = element("figcaption", {},
      ...fits.map((line) => element("p", { class: `line ${line.series === "trained" ? "trained" : "floor"}` }, line.text)),
      element("p", { class: "protocol" }, panel.protocol));
    figure.append(heading);
    if (marks.length) {
      const { svg, ordered } = drawPanel(panel, marks, look, Math.max(280, Math.floor(figure.clientWidth)));
      figure.append(svg);
      listen(svg, ordered, panel);
      figure.append(caption, alternative(panel, ordered, look));
    } else {
      figure.append(element("p", { class: "none" }, "No run that is shown has this number."), caption);
    }
  }

  function listen(svg, marks, panel) {
    const show = (mark) => {
      for (const each of host.querySelectorAll(".mark.on")) each.classList.remove("on");
      mark.shape.classList.add("on");
      showTip(mark, panel, data);
    };
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const distance = (mark) => Math.hypot(mark.px - (event.clientX - box.left), mark.py - (event.clientY - box.top));
      const nearest = marks.reduce((best, mark) => (distance(mark) < distance(best) ? mark : best));
      if (distance(nearest) < NEAR) show(nearest); else hideTip();
      svg.classList.toggle("aimed", distance(nearest) < NEAR);
    });
    svg.addEventListener("pointerleave", hideTip);
    svg.addEventListener("click", () => {
      const mark = marks.find((each) => each.shape.classList.contains("on"));
      if (mark) goTo(mark.run);
    });
    svg.addEventListener("focusout", hideTip);
    for (const mark of marks) mark.shape.addEventListener("focus", () => show(mark));
    svg.addEventListener("keydown", (event) => {
      const mark = marks.find((each) => each.shape === document.activeElement);
      if (!mark) return;
      if (event.key === "Enter") return goTo(mark.run);
      if (event.key === "Escape") return hideTip();
      const next = walk(marks, mark, event.key);
      if (!next) return;
      event.preventDefault();
      mark.shape.setAttribute("tabindex", "-1");
      next.shape.setAttribute("tabindex", "0");
      next.shape.focus();
    });
  }

  for (const each of [over, colour, lines, floors, dataset]) each.addEventListener("change", draw);
  metric.addEventListener("change", () => { chooseDataset(); draw(); });
  if (data.metrics.length) {
    chooseDataset();
    for (const id of ["chart-tools", "chart-hint"]) control(id).hidden = false;
    new ResizeObserver(wide(host, draw)).observe(host);
    addEventListener("scroll", placeTip, { passive: true });
  } else {
    host.append(element("p", { class: "none" }, "Nothing has been measured yet."));
  }
  return { filter: (rowsShown) => { shown = rowsShown; if (data.metrics.length) draw(); } };
}

// Left and right go to the next x, to the mark nearest in y; up and down stay at one x.
function walk(marks, from, key) {
  const index = marks.indexOf(from);
  if (key === "Home") return marks[0];
  if (key === "End") return marks.at(-1);
  if (key === "ArrowUp") return marks[index + 1]?.x === from.x ? marks[index + 1] : null;
  if (key === "ArrowDown") return marks[index - 1]?.x === from.x ? marks[index - 1] : null;
  const ahead = { ArrowRight: marks.filter((m) => m.x > from.x), ArrowLeft: marks.filter((m) => m.x < from.x).reverse() }[key];
  if (!ahead?.length) return null;
  const column = ahead.filter((mark) => mark.x === ahead[0].x);
  return column.reduce((best, mark) => (Math.abs(mark.py - from.py) < Math.abs(best.py - from.py) ? mark : best));
}

// A number of the paper's has the figure that it was read from as its protocol.
const figureOf = (panel) => panel.protocol.match(/Figure \S+$/)?.[0] ?? panel.protocol;

function title(panel, several, apart) {
  const whose = several ? (panel.source === "db" ? "ours: " : "paper: ") : "";
  const other = apart !== null && panel.metric !== apart ? `, ${panel.metric}` : "";
  return `${whose}${panel.dataset}${panel.source === "published" ? `, ${figureOf(panel)}` : ""}${other}`;
}

function options(select, entries) {
  select.replaceChildren(...entries.map(([value, label]) => element("option", { value }, label)));
}

// Numbers by size, names by alphabet.
const order = (groups) => groups.sort(byText);

// Few groups have a colour each; more are shades of one ramp.
function tint(index, count) {
  if (count <= PALETTE.length) return `var(${PALETTE[Math.max(0, index)]})`;
  return `color-mix(in oklch, var(--ramp-low), var(--ramp-high) ${Math.round((100 * index) / (count - 1))}%)`;
}

function legend(groups, look, seeds) {
  const entries = groups.map((group) => {
    const icon = node("svg", { viewBox: "-8 -8 16 16", width: 16, height: 16, "aria-hidden": "true" },
      node("path", { class: "mark", d: SHAPES[look.shape(group)](5) }));
    icon.firstChild.style.color = look.colour(group);
    return element("li", {}, icon, ` ${group}`);
  });
  const floor = look.series.has("PCA floor")
    ? [element("li", {}, node("svg", { viewBox: "-8 -8 16 16", width: 16, height: 16, "aria-hidden": "true" },
        node("path", { class: "mark floor", d: SHAPES[0](5) })), " PCA floor (hollow)")]
    : [];
  document.getElementById("legend").replaceChildren(element("li", { class: "lead" }, look.colourLabel), ...entries, ...floor,
    ...(seeds ? [element("li", { class: "lead" }, "faint: each seed; full: their mean")] : []));
}

// Redraws when the width has changed, once a frame at most.
function wide(host, draw) {
  let last = host.clientWidth, waiting = false;
  return () => {
    if (waiting || host.clientWidth === last) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; last = host.clientWidth; draw(); });
  };
}
