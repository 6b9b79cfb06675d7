// The charts, drawn by Observable Plot as SVG: in the page that `ferry bench --html` writes, and for docs/PERFORMANCE.md.
// Colours are CSS variables, so that one drawing serves light and dark.
import * as Plot from "@observablehq/plot";
import {bytes, number} from "./model.js";

const lineHeight = 19;
const barHeight = 20;
const barGap = 7;
const textWidth = text => 7 * text.length;  // roughly, at 12 pixels

const base = ({width, document}) => ({
  width,
  document,
  className: "ferry-chart",
  style: {fontFamily: "inherit", fontSize: "12px", background: "transparent", color: "var(--ink)"},
  marginLeft: 10,
  marginRight: 14,
});

// Coloured squares with words, in as many lines as they need, `above` pixels over the chart and from `left` of it on. The
// height is what they need in all.
function legend(items, width, above = 4, left = 0) {
  const lines = [[]];
  let used = 0;
  for (const item of items) {
    const needs = textWidth(item.text) + 30;
    if (used + needs > width && lines.at(-1).length > 0) {
      lines.push([]);
      used = 0;
    }
    lines.at(-1).push({...item, dx: used - left});
    used += needs;
  }
  const height = 20 * lines.length;
  const marks = lines.flatMap((line, row) =>
    line.flatMap(({text, color, dx}) => {
      const place = {frameAnchor: "top-left", dy: 20 * row + 10 - height - above};
      return [
        Plot.dot([0], {...place, dx: dx + 6, symbol: "square", r: 5, fill: color, stroke: null}),
        Plot.text([text], {...place, dx: dx + 16, textAnchor: "start", lineAnchor: "middle"}),
      ];
    }),
  );
  return {marks, height: height + above};
}

// A row is a bar below its text: the contender on the left and its figures on the right, in two lines where one is too
// short for any of the rows.
function rowsLayout(rows, figures, width, marginTop) {
  const room = width - 36;
  const needs = Math.max(...rows.map(row => textWidth(row.name) + textWidth(figures(row))));
  const label = lineHeight * (needs > room ? 2 : 1);
  const height = label + barHeight + barGap;
  const top = 10 - height / 2;  // of the text, from the middle of the row
  const name = {y: "name", text: "name", frameAnchor: "left", dx: 2, dy: top, lineWidth: room / 10, textOverflow: "ellipsis"};
  return {
    scale: {
      y: {domain: rows.map(row => row.name), axis: null, padding: 0},
      marginTop,
      marginBottom: 38,
      height: rows.length * height + marginTop + 38,
    },
    labels: [
      ...[true, false].map(ferry => Plot.text(rows, {...name, filter: row => row.ferry === ferry, fontWeight: ferry ? 700 : 400})),
      Plot.text(rows, {y: "name", text: figures, frameAnchor: "right", dx: 8, dy: top + label - lineHeight}),
    ],
    bar: {insetTop: label, insetBottom: barGap},
    middle: (label - barGap) / 2,  // of the bar, from the middle of the row
  };
}

// Bars for the medians, error bars from the quickest to the slowest run, a dot for each run.
export function timesChart({unit, rows, per}, options) {
  const runs = rows.flatMap(row => row.runs.map(value => ({name: row.name, value})));
  const figures = row => `${number(row.median)} ${unit}${row.ratio ? `   ${row.ratio}` : ""}`;
  const {scale, labels, bar, middle} = rowsLayout(rows, figures, options.width, 4);
  const end = {y: "name", insetTop: bar.insetTop + 6, insetBottom: bar.insetBottom + 6, stroke: "var(--ink)"};
  return Plot.plot({
    ...base(options),
    ...scale,
    ariaLabel: "Time of each contender",
    ariaDescription: rows.map(row => `${row.name}: ${figures(row)}`).join("; "),
    x: {label: `${unit}${per ? ` per ${per}` : ""} (less is better)`, grid: true, zero: true, labelAnchor: "left", ticks: options.width < 500 ? 4 : 8},
    marks: [
      Plot.barX(rows, {y: "name", x: "median", ...bar, fill: row => (row.own ? "var(--ferry)" : "var(--rival)"), fillOpacity: row => (row.own && !row.ferry ? 0.55 : 1)}),
      Plot.dot(runs, {y: "name", x: "value", r: 2, dy: middle, fill: "var(--ink)", fillOpacity: 0.45}),
      Plot.ruleY(rows, {y: "name", x1: "min", x2: "max", dy: middle, stroke: "var(--ink)", className: "error-bar"}),
      Plot.tickX(rows, {...end, x: "min"}),
      Plot.tickX(rows, {...end, x: "max"}),
      ...labels,
      Plot.ruleX([0], {stroke: "var(--ink)", strokeOpacity: 0.5}),
    ],
  });
}

// Processor time, in user mode and in the kernel, stacked; a mark at the wall-clock time.
export function processorChart({unit, rows, per}, options) {
  const parts = rows.flatMap(row => [
    {name: row.name, kind: "user", value: row.user},
    {name: row.name, kind: "system", value: row.system},
  ]);
  const {marks, height} = legend(
    [
      {text: "user", color: "var(--user)"},
      {text: "system", color: "var(--system)"},
      {text: "wall-clock time", color: "var(--ink)"},
    ],
    options.width,
  );
  const figures = row => `${number(row.user)} + ${number(row.system)} ${unit}`;
  const {scale, labels, bar} = rowsLayout(rows, figures, options.width, height);
  return Plot.plot({
    ...base(options),
    ...scale,
    ariaLabel: "Processor time of each contender",
    ariaDescription: rows.map(row => `${row.name}: user ${number(row.user)} ${unit}, system ${number(row.system)} ${unit}`).join("; "),
    x: {label: `${unit} of processor time${per ? ` per ${per}` : ""}`, grid: true, zero: true, labelAnchor: "left", ticks: options.width < 500 ? 4 : 8},
    color: {domain: ["user", "system"], range: ["var(--user)", "var(--system)"]},
    marks: [
      Plot.barX(parts, {y: "name", x: "value", fill: "kind", order: ["user", "system"], ...bar}),
      Plot.tickX(rows, {y: "name", x: "median", insetTop: bar.insetTop - 2, insetBottom: bar.insetBottom - 2, stroke: "var(--ink)", strokeWidth: 2}),
      ...labels,
      ...marks,
      Plot.ruleX([0], {stroke: "var(--ink)", strokeOpacity: 0.5}),
    ],
  });
}

const seriesColors = ["var(--ferry)", "var(--series-1)", "var(--series-2)", "var(--series-3)", "var(--series-4)", "var(--series-5)"];

// Those of the sizes that have room for their names, the smallest and the largest among them.
function labelled(sizes, width) {
  const [smallest, largest] = [sizes[0], sizes.at(-1)];
  const position = size => Math.log(size / smallest) / Math.log(largest / smallest) * (width - 90);
  const kept = [];
  for (const size of [...sizes].reverse()) {
    const room = kept.length === 0 || position(kept.at(-1)) - position(size) > 62;
    if (room && (size === smallest || position(size) > 62)) kept.push(size);
  }
  return kept.includes(smallest) ? kept : [...kept, smallest];
}

// Powers of two around the values, about six of them.
function powersOfTwo(values) {
  const [low, high] = [Math.floor(Math.log2(Math.min(...values))), Math.ceil(Math.log2(Math.max(...values)))];
  const step = Math.max(1, Math.ceil((high - low) / 6));
  return Array.from({length: Math.ceil((high - low) / step) + 1}, (_, i) => 2 ** (low + i * step));
}

// Bytes per second by file size, both on logarithmic axes; error bars from the slowest to the quickest run.
export function throughputChart(points, options) {
  const names = [...new Set(points.map(point => point.name))];
  const range = names.map((_, i) => seriesColors[i % seriesColors.length]);
  const {marks, height} = legend(names.map((text, i) => ({text, color: range[i]})), options.width, 34, 62);
  const sizes = [...new Set(points.map(point => point.size))].sort((a, b) => a - b);
  const speeds = powersOfTwo(points.flatMap(point => [point.low, point.high]));
  return Plot.plot({
    ...base(options),
    ariaLabel: "Throughput by size",
    ariaDescription: points.map(point => `${point.name} at ${bytes(point.size)}: ${bytes(point.median)}/s`).join("; "),
    marginTop: height,
    marginLeft: 64,
    marginRight: 24,
    marginBottom: 40,
    height: (options.width < 500 ? 280 : 360) + height,
    x: {type: "log", label: "size"},
    y: {type: "log", domain: [speeds[0], speeds.at(-1)], label: null},
    color: {domain: names, range},
    marks: [
      Plot.gridX(sizes),
      Plot.gridY(speeds),
      // Texts of their own: formats of logarithmic axes leave labels out.
      Plot.axisX(labelled(sizes, options.width), {text: bytes}),
      Plot.axisY(speeds, {text: bytes}),
      Plot.text(["bytes per second (more is better)"], {frameAnchor: "top-left", dx: -62, dy: -20, lineAnchor: "middle"}),
      Plot.ruleX(points, {x: "size", y1: "low", y2: "high", stroke: "name", strokeOpacity: 0.6, className: "error-bar"}),
      Plot.line(points, {x: "size", y: "median", stroke: "name", strokeWidth: 2, sort: "size"}),
      Plot.dot(points, {x: "size", y: "median", fill: "name", r: 4}),
      ...marks,
    ],
  });
}
