// Draws the charts of saved runs as SVG files, for docs/PERFORMANCE.md: node charts.mjs DIRECTORY RUN.json...
// RUN.json gives DIRECTORY/RUN.svg: throughput by size if its groups differ in that, else the times of each group, one
// below the other. Nothing is drawn of runs without times,
// nor of those with published figures beside them.
import {readFileSync, writeFileSync} from "node:fs";
import {basename, join} from "node:path";
import {parseHTML} from "linkedom";
import {throughputChart, timesChart} from "./charts.js";
import {perUnit, throughput, times} from "./model.js";

const width = 720;
const margin = 16;
const style = `
  svg { --ink: #1c2127; --paper: #fff; --ferry: #0b7a75; --rival: #b4bdc5; --series-1: #3b76c4; --series-2: #d0702a;
    --series-3: #8d5bb5; --series-4: #b3872a; --series-5: #6c757d; color: var(--ink);
    font-family: system-ui, "DejaVu Sans", sans-serif; }
  .title { font-size: 13px; font-weight: 600; fill: var(--ink); }
  @media (prefers-color-scheme: dark) {
    svg { --ink: #e6eaee; --paper: #14181c; --ferry: #2fb5ad; --rival: #55616c; --series-1: #6a9fe6; --series-2: #ea9453;
      --series-3: #ba92dc; --series-4: #d8b45c; --series-5: #9aa4ad; }
  }
`;

const escaped = text => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

function chartsOf(report, options) {
  if (report.groups.some(group => group.published)) return [];  // many small jobs: a table tells more
  const points = throughput(report);
  if (points.length > 0) return [{title: "", chart: throughputChart(points, options)}];
  const groups = report.groups.filter(group => !group.deterministic && times(group).rows.length > 0);
  return groups.map(group => ({
    title: groups.length > 1 ? group.name : "",
    chart: timesChart({...times(group), per: perUnit(group)}, options),
  }));
}

function drawing(report) {
  const {document} = parseHTML("<!doctype html><html><body></body></html>");
  let y = margin;
  const parts = chartsOf(report, {width: width - 2 * margin, document}).map(({title, chart}) => {
    const heading = title ? `<text class="title" x="${margin}" y="${y + 12}">${escaped(title)}</text>` : "";
    if (title) y += 22;
    const place = `translate(${margin},${y})`;
    y += Number(chart.getAttribute("height")) + margin;
    // A <g>, because Plot's own style for its <svg> is for the one at the top of a document.
    return `${heading}<g class="ferry-chart" transform="${place}" fill="currentColor" font-size="12" text-anchor="middle">${chart.innerHTML}</g>`;
  });
  if (parts.length === 0) return null;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y}" viewBox="0 0 ${width} ${y}">
<style>${style}</style>
<rect width="100%" height="100%" fill="var(--paper)"/>
${parts.join("\n")}
</svg>
`;
}

const [directory, ...files] = process.argv.slice(2);
for (const file of files) {
  const svg = drawing(JSON.parse(readFileSync(file, "utf8")));
  if (svg) writeFileSync(join(directory, `${basename(file, ".json")}.svg`), svg);
}
