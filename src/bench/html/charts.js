// The charts, drawn by Observable Plot as SVG: in the page that `ferry bench --html` writes, and for docs/PERFORMANCE.md.
// Colours are CSS variables, so that one drawing serves light and dark.
import * as Plot from "@observablehq/plot";
import {bytes, number} from "./model.js";

const rowHeight = 46;
const labelHeight = 19;  // a row is a line of text above a bar
const barShift = labelHeight / 2;
const textWidth = text => 7 * text.length;  // roughly, at 12 pixels

const base = ({width, document}) => ({
  width,
  document,
  className: "ferry-chart",
  style: {fontFamily: "inherit", fontSize: "12px", background: "transparent", color: "var(--ink)"},
  marginLeft: 2,
  marginRight: 14,
});

// Coloured squares with words, in as many lines as they need above the chart.
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
      const place = {frameAnchor: "top-left", dy: 20 * row - height - above};
      return [
        Plot.dot([0], {...place, dx: dx + 6, symbol: "square", r: 5, fill: color, stroke: null}),
        Plot.text([text], {...place, dx: dx + 16, textAnchor: "start", lineAnchor: "middle"}),
      ];
    }),
  );
  return {marks, height: height + 8};
}

// A row's line of text: the contender on the left, its figures on the right.
const rowLabels = (rows, figures) => [
  ...[true, false].map(ferry =>
    Plot.text(rows, {filter: row => row.ferry === ferry, y: "name", text: "name", frameAnchor: "left", dx: 2, dy: -13, fontWeight: ferry ? 700 : 400}),
  ),
  Plot.text(rows, {y: "name", text: figures, frameAnchor: "right", dx: 8, dy: -13}),
];

const rowScale = (rows, marginTop) => ({
  y: {domain: rows.map(row => row.name), axis: null, padding: 0},
  marginTop,
  marginBottom: 38,
  height: rows.length * rowHeight + marginTop + 38,
});

// Bars for the medians, error bars from the quickest to the slowest run, a dot for each run.
export function timesChart({unit, rows, per}, options) {
  const runs = rows.flatMap(row => row.runs.map(value => ({name: row.name, value})));
  const figures = row => `${number(row.median)} ${unit}${row.ratio ? `   ${row.ratio}` : ""}`;
  const atBar = {y: "name", dy: barShift};
  return Plot.plot({
    ...base(options),
    ...rowScale(rows, 4),
    ariaLabel: "Time of each contender",
    ariaDescription: rows.map(row => `${row.name}: ${figures(row)}`).join("; "),
    x: {label: `${unit}${per ? ` per ${per}` : ""} (less is better)`, grid: true, zero: true, labelAnchor: "left", ticks: options.width < 500 ? 4 : 8},
    marks: [
      Plot.barX(rows, {y: "name", x: "median", insetTop: labelHeight, insetBottom: 7, fill: row => (row.ferry ? "var(--ferry)" : "var(--rival)")}),
      Plot.dot(runs, {...atBar, x: "value", r: 2, dy: 6, fill: "var(--ink)", fillOpacity: 0.45}),
      Plot.ruleY(rows, {y: "name", x1: "min", x2: "max", dy: 6, stroke: "var(--ink)", className: "error-bar"}),
      Plot.tickX(rows, {y: "name", x: "min", insetTop: labelHeight + 6, insetBottom: 13, stroke: "var(--ink)"}),
      Plot.tickX(rows, {y: "name", x: "max", insetTop: labelHeight + 6, insetBottom: 13, stroke: "var(--ink)"}),
      ...rowLabels(rows, figures),
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
  return Plot.plot({
    ...base(options),
    ...rowScale(rows, height),
    ariaLabel: "Processor time of each contender",
    ariaDescription: rows.map(row => `${row.name}: user ${number(row.user)} ${unit}, system ${number(row.system)} ${unit}`).join("; "),
    x: {label: `${unit} of processor time${per ? ` per ${per}` : ""}`, grid: true, zero: true, labelAnchor: "left", ticks: options.width < 500 ? 4 : 8},
    color: {domain: ["user", "system"], range: ["var(--user)", "var(--system)"]},
    marks: [
      Plot.barX(parts, {y: "name", x: "value", fill: "kind", order: ["user", "system"], insetTop: labelHeight, insetBottom: 7}),
      Plot.tickX(rows, {y: "name", x: "median", insetTop: labelHeight - 2, insetBottom: 5, stroke: "var(--ink)", strokeWidth: 2}),
      ...rowLabels(rows, figures),
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

// Bytes per second by bytes copied, both on logarithmic axes; error bars from the slowest to the quickest run.
export function throughputChart(points, options) {
  const names = [...new Set(points.map(point => point.name))];
  const range = names.map((_, i) => seriesColors[i % seriesColors.length]);
  const {marks, height} = legend(names.map((text, i) => ({text, color: range[i]})), options.width, 26, 60);
  const sizes = [...new Set(points.map(point => point.size))].sort((a, b) => a - b);
  return Plot.plot({
    ...base(options),
    ariaLabel: "Throughput by size",
    ariaDescription: points.map(point => `${point.name} at ${bytes(point.size)}: ${bytes(point.median)}/s`).join("; "),
    marginTop: height + 26,
    marginLeft: 64,
    marginRight: 24,
    marginBottom: 40,
    height: (options.width < 500 ? 280 : 360) + height,
    x: {type: "log", label: "size", grid: true, ticks: labelled(sizes, options.width), tickFormat: bytes},
    y: {type: "log", base: 2, label: "bytes per second (more is better)", labelAnchor: "top", labelOffset: 56, nice: true, grid: true, ticks: 6, tickFormat: bytes},
    color: {domain: names, range},
    marks: [
      Plot.ruleX(points, {x: "size", y1: "low", y2: "high", stroke: "name", strokeOpacity: 0.6, className: "error-bar"}),
      Plot.line(points, {x: "size", y: "median", stroke: "name", strokeWidth: 2, sort: "size"}),
      Plot.dot(points, {x: "size", y: "median", fill: "name", r: 4}),
      ...marks,
    ],
  });
}
