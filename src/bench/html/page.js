// Builds the page from the documents in its <script id="reports">, and draws the charts anew when the width changes.
import {processorChart, throughputChart, timesChart} from "./charts.js";
import {answer, bytes, intervalText, machine, number, outliers, perUnit, publishedText, ratioText, throughput, times} from "./model.js";

// element("p", {class: "quiet"}, "text", child...)
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter(child => child !== null && child !== undefined));
  return made;
}

// A figure whose chart is as wide as its place.
function figure(title, caption, draw) {
  const place = element("div");
  const made = element("figure", {}, element("h3", {}, title), place, element("figcaption", {}, caption));
  let width = 0;
  new ResizeObserver(() => {
    const wanted = Math.floor(place.clientWidth);
    if (wanted === width || wanted < 50) return;
    width = wanted;
    place.replaceChildren(draw({width}));
  }).observe(place);
  return made;
}

// [{name, value}], or {name, values} where one name has several.
const facts = list =>
  list.length === 0 ? null : element("dl", {}, ...list.flatMap(({name, value, values = [value]}) => [element("dt", {}, name), ...values.map(each => element("dd", {}, each))]));

const listed = object => Object.entries(object).map(([name, value]) => ({name, value}));

const row = (cells, {heading = false, ferry = false} = {}) =>
  element("tr", ferry ? {class: "ferry"} : {}, ...cells.map(text => element(heading ? "th" : "td", {}, text)));

const table = (head, rows) =>
  element("div", {class: "scroll"}, element("table", {}, element("thead", {}, row(head, {heading: true})), element("tbody", {}, ...rows)));

const failedRow = (contender, columns) =>
  element("tr", {}, element("td", {}, contender.name),
    element("td", {class: "error", colspan: columns - 1}, contender.error ? `FAILED: ${contender.error}` : "no round finished"));

function timesTable(group) {
  const {unit, rows} = times(group);
  const head = ["contender", `median ${unit}`, "time / ferry", "95% interval", "min", "max", "MAD", `${group.unit}/s`, "user", "system", "memory"];
  const body = group.contenders.map((contender, index) => {
    const found = rows.find(each => each.contender === contender);
    if (!found) return failedRow(contender, head.length);
    const share = value => `${Math.round((100 * value) / found.median)}%`;
    return row(
      [contender.name, number(found.median), ...(index === 0 ? ["1", ""] : [ratioText(contender), intervalText(contender)]), number(found.min), number(found.max),
        number(found.mad) + (contender.wall_seconds.outliers > 0 ? "!" : ""), Math.round(group.units_per_run / contender.wall_seconds.median).toLocaleString("en"),
        share(found.user), share(found.system), bytes(Math.max(...contender.runs.map(run => run.max_rss_bytes)))],
      {ferry: index === 0},
    );
  });
  const published = (group.published ?? []).map(({name, least_seconds: least, most_seconds: most}) =>
    row([`${name}, published`, publishedText(group, least, most), ...head.slice(2).map(() => "")]));
  return table(head, [...body, ...published]);
}

function countsTable(group) {
  const counted = group.contenders.filter(contender => Object.keys(contender.counts ?? {}).length > 0);
  if (counted.length === 0) return null;
  const names = [...new Set(counted.flatMap(contender => Object.keys(contender.counts)))];
  const plain = value => (value === undefined ? "" : String(+value.toFixed(3)));
  return element("div", {}, element("h3", {}, group.counted || "counts"),
    table(["", ...counted.map(contender => contender.name)],
      names.map(name => row([name, ...counted.map(contender => plain(contender.counts[name]))]))));
}

function charts(group) {
  const measured = times(group);
  if (measured.rows.length === 0) return null;
  const per = perUnit(group);
  const drawn = [
    figure("Time", "Bars are medians, dots single runs; error bars reach from the quickest run to the slowest.", options =>
      timesChart({...measured, per}, options)),
  ];
  if (measured.rows.some(each => each.user + each.system > 0)) {
    drawn.push(figure("Processor time", "Medians. More than the wall-clock time means more than one core.", options =>
      processorChart({...measured, per}, options)));
  }
  return element("div", {class: drawn.length > 1 ? "charts two" : "charts"}, ...drawn);
}

const warning = text => element("p", {class: "warning"}, text);

function section(group) {
  return element("section", {},
    element("h2", {}, group.name),
    facts(listed(group.facts)),
    outliers(group) ? warning("A round differs much from the others (marked !): something else was using this machine.") : null,
    group.deterministic ? null : charts(group),
    group.deterministic ? null : timesTable(group),
    countsTable(group),
    ...group.missing.map(({name, package: brings}) => element("p", {class: "quiet"}, `Missing: ${name}, brought by ${brings}.`)),
  );
}

const throughputSection = points =>
  element("section", {}, element("h2", {}, "Throughput by size"),
    element("div", {class: "charts"},
      figure("Bytes per second", "Medians; error bars from the slowest run to the quickest. Both axes are logarithmic.", options =>
        throughputChart(points, options))));

function versions(report) {
  const all = report.groups.flatMap(group => group.contenders.map(contender => contender.version)).filter(Boolean);
  return {name: "versions", values: [...new Set(all)]};
}

function page(report) {
  const points = throughput(report);
  return [
    element("h1", {}, report.title || `ferry bench ${report.suite}`),
    ...answer(report).map(line => element("p", {class: "answer"}, line)),
    report.interrupted ? warning("Interrupted: not everything was measured.") : null,
    facts([
      {name: "machine", value: machine(report)},
      ...(report.taken ? [{name: "measured", value: report.taken}] : []),
      ...listed(report.facts),
      versions(report),
    ]),
    element("code", {class: "command"}, report.command),
    points.length === 0 ? null : throughputSection(points),
    ...report.groups.map(section),
  ].filter(Boolean);
}

const reports = JSON.parse(document.getElementById("reports").textContent);
document.title = reports.map(report => report.title || `ferry bench ${report.suite}`).join("; ");
document.getElementById("page").replaceChildren(...reports.flatMap(page));
