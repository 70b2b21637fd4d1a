// Scales: from a value to a place between 0 and 1, and where the ticks stand.

const SUPER = "⁰¹²³⁴⁵⁶⁷⁸⁹";

function scale(values, log) {
  const usable = values.filter((v) => Number.isFinite(v) && (!log || v > 0));
  const warp = log ? Math.log2 : (v) => v;
  const back = log ? (v) => 2 ** v : (v) => v;
  let low = Math.min(...usable.map(warp)), high = Math.max(...usable.map(warp));
  if (!usable.length) [low, high] = [0, 1];
  const room = (high - low) * 0.06 || (log ? 1.2 : Math.abs(high) * 0.05 || 1);
  [low, high] = [low - room, high + room];
  return {
    at: (value) => (warp(value) - low) / (high - low),
    ticks: log ? logTicks(low, high) : plainTicks(low, high, 6).map((v) => [v, short(v)]),
    back,
  };
}

// Powers of two where they are several, else round numbers between them.
function logTicks(low, high) {
  if (high - low < 2) {
    return plainTicks(2 ** low, 2 ** high, 5).filter((v) => v > 0).map((v) => [v, short(v)]);
  }
  const step = Math.ceil((high - low) / 8);
  const ticks = [];
  for (let k = Math.ceil(low / step) * step; k <= high; k += step) ticks.push([2 ** k, power(k)]);
  return ticks;
}

function power(k) {
  if (k >= -4 && k <= 16) return short(2 ** k);
  if (k >= -9 && k < 0) return (2 ** k).toPrecision(2);
  return `2${k < 0 ? "⁻" : ""}${[...String(Math.abs(k))].map((digit) => SUPER[digit]).join("")}`;
}

function plainTicks(low, high, count) {
  const rough = (high - low) / count;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = unit * [1, 2, 2.5, 5, 10].find((m) => m * unit >= rough);
  const ticks = [];
  for (let n = Math.ceil(low / step); n * step <= high; n++) ticks.push(Number((n * step).toPrecision(12)));
  return ticks;
}

// A number in few characters, as the tables have it.
function short(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const figure = size !== 0 && (size < 1e-4 || size >= 1e7)
    ? value.toExponential(2)
    : String(Number(size >= 1e4 ? value.toFixed(0) : value.toPrecision(4)));
  return figure.replace("-", "−");
}

// Whether a column is read on a logarithmic axis: sizes that span more than a factor of four.
function spreads(values) {
  const there = values.filter(Number.isFinite);
  const low = Math.min(...there);
  return low > 0 && Math.max(...there) / low > 4;
}
