// What a mark tells when it is pointed at or focused: its values, its sizes, its picture.

function showTip(mark, panel, data) {
  const tip = document.getElementById("tip");
  const columns = [...new Map([...data.over, ...data.colours])];
  const facts = [[panel.label, short(mark.y)],
    ...columns.map(([name, label]) => [label.split(",")[0], data.places[name]?.[mark.place]])];
  const there = facts.filter(([, value]) => value !== null && value !== undefined);
  const list = element("dl", {}, ...there.map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, typeof value === "number" ? short(value) : value))));
  const floor = mark.series === "trained" ? "" : `${mark.series}, `;
  tip.replaceChildren(element("b", {}, floor + mark.name), list);
  const picture = document.getElementById(`picture-${mark.picture}`);
  if (picture) tip.append(element("img", { src: picture.src, alt: "", width: picture.width, height: picture.height }));
  tip.hidden = false;
  tip.mark = mark.shape;
  placeTip();
}

// Beside its mark, also while the page scrolls; a mark that is only pointed at may leave the window.
function placeTip() {
  const tip = document.getElementById("tip");
  if (tip.hidden) return;
  const at = tip.mark.getBoundingClientRect(), size = tip.getBoundingClientRect();
  const gone = at.bottom < 0 || at.top > innerHeight;
  if (gone && tip.mark !== document.activeElement) return hideTip();
  const fit = (value, room) => Math.max(8, Math.min(value, room - 8));
  tip.style.left = `${fit(at.left + at.width / 2 - size.width / 2, innerWidth - size.width)}px`;
  const above = at.top - size.height - 12;
  tip.style.top = `${above >= 8 ? above : fit(at.bottom + 12, innerHeight - size.height)}px`;
}

function hideTip() {
  document.getElementById("tip").hidden = true;
  for (const each of document.querySelectorAll(".mark.on")) each.classList.remove("on");
}
