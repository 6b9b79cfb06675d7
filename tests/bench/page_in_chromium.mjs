// The page of `ferry bench report --html` in headless Chromium: at the width of a phone and of a desk, light and dark, it
// draws its charts, loads nothing, reports no error, and nothing sticks out. Screenshots stay in the current directory.
// Environment: FERRY, the program; PAGE_PACKAGES, the node_modules that has playwright-core.
import {execFileSync} from "node:child_process";
import {accessSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from "node:fs";
import {createRequire} from "node:module";
import {tmpdir} from "node:os";
import {dirname, join} from "node:path";
import {fileURLToPath} from "node:url";

const saved = join(dirname(fileURLToPath(import.meta.url)), "saved");
const widths = [390, 1280];
const schemes = ["light", "dark"];
const ferryColor = {light: [11, 122, 117], dark: [47, 181, 173]};  // --ferry in page.css

function skip(reason) {
  console.log(`skipped: ${reason}`);
  process.exit(77);
}

function findChromium() {
  const path = "/usr/bin/chromium";
  try {
    accessSync(path);
  } catch {
    skip("chromium is not installed");
  }
  return path;
}

function findPlaywright() {
  try {
    return createRequire(join(process.env.PAGE_PACKAGES, "here.js"))("playwright-core");
  } catch {
    return skip("npm's packages are not installed in src/bench/html (./dev setup)");
  }
}

// What is wrong with the page, asked inside the browser.
function findProblems() {
  const problems = [];
  const check = (right, problem) => right || problems.push(problem);
  const all = selector => [...document.querySelectorAll(selector)];
  const reports = JSON.parse(document.getElementById("reports").textContent);
  const groups = reports.flatMap(report => report.groups).filter(group => !group.deterministic);

  const wide = document.documentElement.scrollWidth;
  check(wide <= window.innerWidth, `the page is ${wide} wide, the window ${window.innerWidth}`);
  for (const element of all("main *")) {
    const {right, left, width} = element.getBoundingClientRect();
    const scrolls = element.closest(".scroll");
    check(scrolls || width === 0 || (left >= -1 && right <= window.innerWidth + 1), `${element.tagName} '${element.textContent.slice(0, 30)}' sticks out`);
  }

  const charts = all("svg.ferry-chart");
  const drawn = charts.map(chart => chart.getAttribute("aria-label"));
  const count = label => drawn.filter(each => each === label).length;
  check(count("Time of each contender") === groups.length, `${count("Time of each contender")} charts of times for ${groups.length} groups`);
  check(count("Processor time of each contender") === groups.length, "not every group has a chart of processor time");
  check(count("Throughput by size") === 1, "no chart of throughput");
  charts.forEach((chart, i) => {
    const name = `chart ${i} (${drawn[i]})`;
    const box = chart.getBoundingClientRect();
    check(box.width > 200 && box.height > 80, `${name} is ${box.width} by ${box.height}`);
    const texts = [...chart.querySelectorAll("text")].map(text => ({text: text.textContent, box: text.getBoundingClientRect()}));
    for (const {text, box: own} of texts) {
      check(own.left >= box.left - 2 && own.right <= box.right + 2 && own.top >= box.top - 2 && own.bottom <= box.bottom + 2, `${name}: '${text}' is cut off`);
      check(!/NaN|undefined|Infinity/.test(text), `${name}: '${text}'`);
    }
    texts.forEach((a, j) => texts.slice(j + 1).forEach(b => {
      const apart = a.box.right <= b.box.left + 1 || b.box.right <= a.box.left + 1 || a.box.bottom <= b.box.top + 3 || b.box.bottom <= a.box.top + 3;
      check(apart || a.text === "" || b.text === "", `${name}: '${a.text}' and '${b.text}' overlap`);
    }));
  });

  for (const chart of charts.filter((_, i) => drawn[i] !== "Throughput by size")) {
    const bars = [...chart.querySelectorAll("[aria-label=bar] rect")];
    check(bars.length > 0 && bars.every(bar => bar.getBoundingClientRect().width > 0), "a chart has no bars");
  }
  for (const chart of charts.filter((_, i) => drawn[i] === "Time of each contender")) {
    const bars = chart.querySelectorAll("[aria-label=bar] rect").length;
    const errorBars = [...chart.querySelectorAll("g.error-bar line")].filter(line => line.getBoundingClientRect().width > 1);
    check(errorBars.length === bars, `${errorBars.length} error bars for ${bars} bars`);
    check(chart.querySelectorAll("[aria-label=dot] circle").length >= 5 * bars, "not every run has its dot");
  }
  const lines = all("[aria-label=line] path").filter(path => path.getTotalLength() > 100);
  check(lines.length >= 2, "the throughput has no lines");
  check(all("td.error").some(cell => cell.textContent.includes("</script>")), "the failed contender is not shown as it is");
  check(all("details pre")[0]?.textContent.includes("@observablehq/plot"), "no licences");

  const luminance = color => {
    const [r, g, b] = color.match(/[\d.]+/g).slice(0, 3).map(part => (part /= 255) <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = luminance(getComputedStyle(document.body).backgroundColor);
  for (const selector of ["body", ".quiet", "dt", "td.error", "figcaption"]) {
    const ink = luminance(getComputedStyle(document.querySelector(selector)).color);
    const contrast = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    check(contrast >= 4.5, `${selector} has a contrast of ${contrast.toFixed(1)} (WCAG 2.2: at least 4.5)`);
  }
  return {problems, paper};
}

// How many pixels of the screenshot have the colour.
async function pixelsOf(browser, png, color) {
  const page = await browser.newPage();
  const counted = await page.evaluate(async ({data, wanted}) => {
    const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${data}`)).blob());
    const canvas = new OffscreenCanvas(image.width, image.height);
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const pixels = context.getImageData(0, 0, image.width, image.height).data;
    let found = 0;
    for (let i = 0; i < pixels.length; i += 4) found += wanted.every((part, j) => Math.abs(part - pixels[i + j]) <= 2);
    return found;
  }, {data: png.toString("base64"), wanted: color});
  await page.close();
  return counted;
}

async function look(browser, address, width, colorScheme) {
  const context = await browser.newContext({viewport: {width, height: 900}, colorScheme});
  const page = await context.newPage();
  const problems = [];
  page.on("console", message => problems.push(`console: ${message.text()}`));
  page.on("pageerror", error => problems.push(`error: ${error.message}`));
  page.on("request", request => request.url() === address || request.url().startsWith("data:") || problems.push(`loads ${request.url()}`));
  await page.goto(address);
  await page.waitForFunction(() => document.querySelectorAll("figure").length > 0 && [...document.querySelectorAll("figure")].every(figure => figure.querySelector("svg")), null, {timeout: 20000});
  const found = await page.evaluate(findProblems);
  const png = await page.screenshot({fullPage: true, path: `page-${width}-${colorScheme}.png`});
  const pixels = await pixelsOf(browser, png, ferryColor[colorScheme]);
  if (pixels < 1000) problems.push(`only ${pixels} pixels have ferry's colour`);
  await context.close();
  return {problems: [...problems, ...found.problems], paper: found.paper};
}

const executablePath = findChromium();
const {chromium} = findPlaywright();
const scratch = mkdtempSync(join(tmpdir(), "ferry-page-"));
let failed = 0;
try {
  const file = join(scratch, "page.html");
  try {
    execFileSync(process.env.FERRY, ["bench", "report", join(saved, "tree.json"), join(saved, "sizes.json"), "--html", file], {stdio: ["ignore", "inherit", "pipe"]});
  } catch (error) {
    if (String(error.stderr).includes("built without the page")) skip("this ferry was built without the page");
    throw error;
  }
  if (/(?:src|href)="(?!data:)|url\(|@import/.test(readFileSync(file, "utf8").split("<script")[0])) throw new Error("the page refers to other files");
  const browser = await chromium.launch({executablePath, args: ["--no-sandbox", "--disable-gpu"]});
  try {
    const papers = new Map();
    for (const width of widths) {
      for (const scheme of schemes) {
        const {problems, paper} = await look(browser, `file://${file}`, width, scheme);
        papers.set(scheme, paper);
        for (const problem of problems) console.log(`${width} ${scheme}: ${problem}`);
        failed += problems.length;
        console.log(`${width} ${scheme}: ${problems.length} problems`);
      }
    }
    if (!(papers.get("light") > 0.8 && papers.get("dark") < 0.1)) throw new Error("light and dark do not differ");
  } finally {
    await browser.close();
  }
} finally {
  rmSync(scratch, {recursive: true});
}
process.exit(failed ? 1 : 0);
