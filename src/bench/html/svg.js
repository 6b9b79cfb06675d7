// Draws the charts of saved runs as SVG files, for docs/PERFORMANCE.md: node charts.mjs DIRECTORY RUN.json...
// RUN.json gives RUN.svg, one below the other if it has several groups, or its throughput by size if that is what it has.
import {readFileSync, writeFileSync} from "node:fs";
import {basename, join} from "node:path";
import {parseHTML} from "linkedom";
import {throughputChart, timesChart} from "./charts.js";
import {perUnit, throughput, times} from "./model.js";

const style = `
  svg { --ink: #1c2127; --ferry: #0b7a75; --rival: #b4bdc5; --series-1: #3b76c4; --series-2: #d0702a; --series-3: #8d5bb5;
    --series-4: #b3872a; --series-5: #6c757d; font-family: system-ui, "DejaVu Sans", sans-serif; }
  @media (prefers-color-scheme: dark) { svg { --ink: #e6eaee; --ferry: #2fb5ad; --rival: #55616c; --series-1: #6a9fe6;
    --series-2: #ea9453; --series-3: #ba92dc; --series-4: #d8b45c; --series-5: #9aa4ad; } }`;
const width = 720;

function chart(report) {
  const {document} = parseHTML("<!doctype html><html><body></body></html>");
  const points = throughput(report);
  const charts = points.length > 0 ? [throughputChart(points, {width, document})]
    : report.groups.filter(group => !group.deterministic && times(group).rows.length > 0)
        .map(group => timesChart({...times(group), per: perUnit(group)}, {width, document}));
  if (charts.length === 0) return null;
  return charts;
}

const [directory, ...files] = process.argv.slice(2);
for (const file of files) {
  const charts = chart(JSON.parse(readFileSync(file, "utf8")));
  console.log(file, charts?.map(c => c.outerHTML.slice(0, 3000)));
}
