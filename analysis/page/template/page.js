// The page itself: theme, tables, charts and pictures, all following the run table's filters.

const THEMES = ["auto", "light", "dark"];

function themes(button) {
  const stored = () => { try { return localStorage.getItem("vitok-theme"); } catch { return null; } };
  const use = (theme) => {
    document.documentElement.dataset.theme = theme;
    button.textContent = `Theme: ${theme}`;
    try { localStorage.setItem("vitok-theme", theme); } catch { /* a page may have no storage */ }
  };
  use(THEMES.includes(stored()) ? stored() : "auto");
  button.hidden = false;
  button.addEventListener("click", () => {
    use(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length]);
  });
}

function pictures() {
  const figures = [...document.querySelectorAll(".gallery figure")];
  const select = document.getElementById("gallery-dataset");
  let shown = null;
  const apply = () => {
    let kept = 0;
    for (const figure of figures) {
      const run = !shown || shown.has(Number(figure.dataset.run));
      figure.hidden = !(run && (!select.value || figure.dataset.dataset === select.value));
      kept += !figure.hidden;
    }
    document.getElementById("gallery-count").textContent = `${kept} of ${figures.length} sheets`;
  };
  if (select) {
    select.addEventListener("change", apply);
    document.getElementById("gallery-tools").hidden = false;
  }
  return { filter: (rows) => { shown = rows; if (select) apply(); } };
}

function generators() {
  const rows = [...document.querySelectorAll(".generator")];
  return { filter: (shown) => { for (const row of rows) row.hidden = shown !== null && !shown.has(Number(row.dataset.run)); } };
}

function start() {
  themes(document.getElementById("theme"));
  const data = JSON.parse(document.getElementById("data").textContent);
  const table = document.querySelector("table.runs");
  const lines = [...table.tBodies[0].rows];
  for (const each of document.querySelectorAll("table.data")) sortable(each);
  const rows = { names: lines.map((row) => text(row.cells[0])), configs: new Map() };
  data.places.run.forEach((run, place) => rows.configs.set(run, data.places.config[place]));
  const goTo = (run) => {
    const row = lines[run];
    if (!row || row.hidden) return;
    for (const each of lines) each.classList.remove("found");
    row.classList.add("found");
    row.cells[0].tabIndex = -1;
    row.cells[0].focus({ preventScroll: true });
    row.scrollIntoView({ block: "center" });
  };
  document.getElementById("runs-tools").hidden = false;
  const parts = [charts(data, rows, goTo), pictures(), generators()];
  filterable(table, (shown) => {
    const all = shown.size === lines.length ? null : shown;
    for (const part of parts) part.filter(all);
  });
  performance.mark("ready");
}

start();
