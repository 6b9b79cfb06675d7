// Makes a C++ source of page.html, page.css and page.js with all it imports, and the program that draws the charts of
// docs/PERFORMANCE.md: node build.mjs PAGE.cpp CHARTS.mjs
import {readFileSync, writeFileSync} from "node:fs";
import {dirname, join} from "node:path";
import {fileURLToPath} from "node:url";
import {build} from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const [pageFile, chartsFile] = process.argv.slice(2);
const read = name => readFileSync(join(here, name), "utf8");

const common = {absWorkingDir: here, bundle: true, minify: true, legalComments: "none", logLevel: "warning", write: false, metafile: true};
const page = await build({...common, entryPoints: ["page.js"], format: "iife", target: "es2020"});
const charts = await build({
  ...common, entryPoints: ["svg.js"], format: "esm", platform: "node", target: "node18",
  external: ["canvas"],  // linkedom's, for <canvas>, which no chart has
});

// The licence of every package of which the page contains something; those with the same text in one.
function licences(metafile) {
  const inputs = Object.keys(metafile.inputs).map(path => /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]);
  const texts = new Map();
  for (const name of [...new Set(inputs)].filter(Boolean).sort()) {
    const {version} = JSON.parse(read(`node_modules/${name}/package.json`));
    const text = read(`node_modules/${name}/LICENSE`).trim();
    texts.set(text, [...(texts.get(text) ?? []), `${name} ${version}`]);
  }
  return [...texts].map(([text, names]) => `${names.join(", ")}\n\n${text}`).join("\n\n\n");
}

const escaped = text => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
// Inside <script>, nothing may look like its end or open a comment.
const script = page.outputFiles[0].text.trim().replaceAll("</script", "<\\/script").replaceAll("<!--", "<\\!--");
const html = read("page.html")
  .replace("/*STYLE*/", () => read("page.css"))
  .replace("<!--LICENCES-->", () => escaped(licences(page.metafile)))
  .replace("/*SCRIPT*/", () => script);

const delimiter = "ferry-page";
if (html.includes(`)${delimiter}"`) || html.split("/*REPORTS*/").length !== 2) throw new Error("the page contains a mark");
writeFileSync(pageFile, `#include "bench/page.hpp"

namespace {
constexpr char text[] = R"${delimiter}(${html})${delimiter}";
}

namespace ferry::bench {
constinit const std::string_view page_template(text, sizeof text - 1);
}
`);
writeFileSync(chartsFile, charts.outputFiles[0].contents);
