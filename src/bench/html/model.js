// What the charts and tables need to know of a document written by `ferry bench --json` (docs/bench-json.md).

// One of ferry's own ways: the first one, and those whose version is a version of ferry.
const isFerry = (group, contender) => contender === group.contenders[0] || contender.version.startsWith("ferry ");

// Whether there are times of it.
export const timed = contender => contender.status === "ok" && contender.runs.length > 0;

const median = values => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

const units = [["s", 1], ["ms", 1e3], ["us", 1e6], ["ns", 1e9]];
const unitFor = seconds => units.find(([, perSecond]) => seconds * perSecond >= 1) ?? units.at(-1);

// Four digits that count, as in the table on a terminal.
export const number = value => value.toFixed(value >= 1000 ? 0 : value >= 100 ? 1 : value >= 10 ? 2 : 3);

export function bytes(value) {
  const names = ["B", "KiB", "MiB", "GiB", "TiB"];
  let power = 0;
  for (; power + 1 < names.length && value >= 1024; ++power) value /= 1024;
  return `${value >= 100 ? value.toFixed(0) : +value.toFixed(1)} ${names[power]}`;
}

// "copy" where times are those of one copy; else nothing.
export const perUnit = group => (!group.time_per_unit ? "" : group.unit.replace(/ies$/, "y").replace(/s$/, ""));

// The times of the contenders that were measured, in one unit, that of the quickest.
export function times(group) {
  const share = group.time_per_unit ? group.units_per_run : 1;
  const measured = group.contenders.filter(timed);
  const [unit, perSecond] = unitFor(Math.min(...measured.map(contender => contender.wall_seconds.median)) / share);
  const scale = perSecond / share;
  return {
    unit,
    rows: measured.map(contender => ({
      contender,
      name: contender.name,
      ferry: contender === group.contenders[0],  // whom the others are compared with
      own: isFerry(group, contender),
      median: contender.wall_seconds.median * scale,
      min: contender.wall_seconds.min * scale,
      max: contender.wall_seconds.max * scale,
      mad: contender.wall_seconds.mad * scale,
      runs: contender.runs.map(run => run.wall_ns * 1e-9 * scale),
      user: median(contender.runs.map(run => run.user_ns)) * 1e-9 * scale,
      system: median(contender.runs.map(run => run.system_ns)) * 1e-9 * scale,
      ratio: contender === group.contenders[0] ? "" : ratioText(contender),
    })),
  };
}

// A published time in the unit of the group's times.
export function publishedText(group, least, most) {
  const share = group.time_per_unit ? group.units_per_run : 1;
  const medians = group.contenders.filter(timed).map(contender => contender.wall_seconds.median);
  const [, perSecond] = unitFor((medians.length > 0 ? Math.min(...medians) : least * share) / share);
  return least === most ? number(most * perSecond) : `${number(least * perSecond)} - ${number(most * perSecond)}`;
}

const differs = ([low, high]) => low > 1 || high < 1;

// "2.50x", "no difference shown", or nothing where there is nothing to compare.
export function ratioText({time_ratio_to_ferry: ratio}) {
  if (!ratio) return "";
  return !ratio.confidence_95 || differs(ratio.confidence_95) ? `${ratio.value.toFixed(2)}x` : "no difference shown";
}

// Where the ratio lies with 95% confidence; empty after too few rounds to tell.
export const intervalText = ({time_ratio_to_ferry: ratio}) =>
  ratio?.confidence_95 ? ratio.confidence_95.map(end => end.toFixed(2)).join(" - ") : "";

// A line per group that says how ferry did against the quickest of the others.
export function answer(report) {
  const lines = [];
  for (const group of report.groups.filter(each => !each.deterministic)) {
    const [ferry, ...others] = group.contenders;
    const rivals = others.filter(each => timed(each) && !isFerry(group, each) && each.time_ratio_to_ferry);
    if (!ferry || !timed(ferry) || rivals.length === 0) continue;
    const best = rivals.reduce((a, b) => (b.time_ratio_to_ferry.value < a.time_ratio_to_ferry.value ? b : a));
    const {value, confidence_95} = best.time_ratio_to_ferry;
    const where = report.groups.length > 1 ? `${group.name}: ` : "";
    if (confidence_95 && !differs(confidence_95)) {
      lines.push(`${where}no difference shown between ${ferry.name} and ${best.name}, the quickest of the others.`);
    } else {
      const [quick, slow, times] = value >= 1 ? [ferry, best, value] : [best, ferry, 1 / value];
      lines.push(`${where}${slow.name} takes ${times.toFixed(2)} times as long as ${quick.name}.`);
    }
  }
  return lines.length > 6 ? [] : lines;
}

export const outliers = group => group.contenders.some(contender => timed(contender) && contender.wall_seconds.outliers > 0);

export function machine({machine: {cores, processor, memory_bytes, kernel, load_1_minute}}) {
  return `${cores} cores${processor ? `, ${processor}` : ""}, ${bytes(memory_bytes)} memory, ${kernel}, load ${load_1_minute.toFixed(2)}`;
}

// Bytes per second by file size, a point for each size of every contender that copied several. Empty if there is none.
export function throughput(report) {
  const points = [];
  for (const group of report.groups) {
    if (!group.size_bytes || group.deterministic) continue;
    for (const contender of group.contenders.filter(timed)) {
      const {median: middle, min, max} = contender.wall_seconds;
      const speed = seconds => group.size_bytes / seconds;
      if (points.some(point => point.name === contender.name && point.size === group.size_bytes)) continue;
      points.push({name: contender.name, size: group.size_bytes, median: speed(middle), low: speed(max), high: speed(min)});
    }
  }
  return points.filter(point => points.some(other => other.name === point.name && other.size !== point.size));
}
