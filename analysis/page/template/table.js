// Tables: every one sorts by its headings; the run table filters too.

const text = (node) => node.textContent.trim();

// The number that a cell is sorted and filtered by; NaN where it has none.
const numberOf = (cell) => Number.parseFloat(cell.dataset.v ?? text(cell));

const byText = new Intl.Collator(undefined, { numeric: true }).compare;

function sortable(table) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const each of heads) each.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      body.append(...sorted([...body.rows], index, head.classList.contains("number"), up));
    });
  });
}

function sorted(rows, index, numeric, up) {
  const keyed = rows.map((row) => {
    const cell = row.cells[index];
    return { row, key: numeric ? numberOf(cell) : text(cell) };
  });
  const missing = ({ key }) => key === "" || Number.isNaN(key);
  const order = (a, b) => (numeric ? a.key - b.key : byText(a.key, b.key)) * (up ? 1 : -1);
  // What is not there stands last, in either direction.
  keyed.sort((a, b) => missing(a) - missing(b) || (missing(a) ? 0 : order(a, b)));
  return keyed.map(({ row }) => row);
}

// What a filter's text asks of a cell: `16`, `8|16`, `>=64`, `4..32`, or words that it contains.
function condition(asked, numeric) {
  const parts = asked.toLowerCase().split("|").map((part) => part.trim()).filter(Boolean);
  const tests = parts.map((part) => {
    const bound = numeric && part.match(/^(<=|>=|<|>|=)\s*([-+.\de]+)$/);
    const range = numeric && part.match(/^([-+.\de]+)\s*\.\.\s*([-+.\de]+)$/);
    if (bound) {
      const limit = Number(bound[2]);
      const holds = {
        "<": (v) => v < limit, "<=": (v) => v <= limit, "=": (v) => v === limit,
        ">": (v) => v > limit, ">=": (v) => v >= limit,
      }[bound[1]];
      return (cell) => holds(numberOf(cell));
    }
    if (range) {
      return (cell) => numberOf(cell) >= Number(range[1]) && numberOf(cell) <= Number(range[2]);
    }
    if (numeric && part !== "" && !Number.isNaN(Number(part))) {
      return (cell) => numberOf(cell) === Number(part) || text(cell) === part;
    }
    return (cell) => text(cell).toLowerCase().includes(part);
  });
  return (cell) => tests.some((holds) => holds(cell));
}

// The run table's filters. `changed` hears which rows (numbers in the page's own order) are shown.
function filterable(table, changed) {
  const rows = [...table.tBodies[0].rows];
  const heads = [...table.tHead.rows[0].cells];
  const line = table.tHead.insertRow();
  const inputs = heads.map((head) => {
    const input = document.createElement("input");
    const name = text(head).replace(/\s+/g, " ");
    input.type = "search";
    input.setAttribute("aria-label", `Filter by ${name}`);
    input.setAttribute("aria-describedby", "filter-hint");
    input.autocomplete = "off";
    input.addEventListener("input", apply);
    const cell = line.insertCell();
    if (head.hasAttribute("data-optional")) cell.setAttribute("data-optional", "");
    cell.append(input);
    return input;
  });
  const find = document.getElementById("find");
  const words = rows.map((row) => text(row).toLowerCase());

  function apply() {
    const asked = inputs.flatMap((input, index) =>
      input.value.trim()
        ? [[index, condition(input.value, heads[index].classList.contains("number"))]]
        : []);
    const wanted = find.value.trim().toLowerCase();
    const shown = new Set();
    rows.forEach((row, number) => {
      const keep = words[number].includes(wanted) && asked.every(([index, holds]) => holds(row.cells[index]));
      row.hidden = !keep;
      if (keep) shown.add(number);
    });
    document.getElementById("count").textContent = `${shown.size} of ${rows.length} runs`;
    changed(shown);
  }

  find.addEventListener("input", apply);
  document.getElementById("clear").addEventListener("click", () => {
    for (const input of [find, ...inputs]) input.value = "";
    apply();
  });
  chooseColumns(table, heads);
  apply();
  return rows;
}

// A box per column: what begins hidden can be shown.
function chooseColumns(table, heads) {
  const place = document.getElementById("columns");
  const show = (index, shown) => {
    for (const row of [...table.tHead.rows, ...table.tBodies[0].rows]) row.cells[index].hidden = !shown;
  };
  heads.forEach((head, index) => {
    if (index === 0) return; // the row's name
    const label = document.createElement("label");
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = !head.hasAttribute("data-optional");
    if (!box.checked) show(index, false);
    box.addEventListener("change", () => show(index, box.checked));
    label.append(box, ` ${text(head).replace(/\s+/g, " ")}`);
    place.append(label);
  });
}
