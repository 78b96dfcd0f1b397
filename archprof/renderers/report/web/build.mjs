// Builds ../static/report.js, report.css and THIRD_PARTY_LICENSES.txt; `node build.mjs FOLDER` builds into another folder.
import { build } from "esbuild";
import { mkdirSync, readFileSync, readdirSync, writeFileSync, existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(process.argv[2] ?? join(here, "..", "static"));
mkdirSync(out, { recursive: true });
const result = await build({
  absWorkingDir: here,
  entryPoints: ["src/main.tsx"],
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  charset: "ascii",
  legalComments: "none",
  jsx: "automatic",
  jsxImportSource: "preact",
  banner: { js: "/*! archprof report; third-party licences: THIRD_PARTY_LICENSES.txt in archprof (ISC and MIT: d3, Observable Plot, Preact, TanStack, dagre) */" },
  outfile: join(out, "report.js"),
  metafile: true,
});
await build({ absWorkingDir: here, entryPoints: ["src/report.css"], minify: true, target: "chrome123", outfile: join(out, "report.css") });

const packages = new Set();
for (const file of Object.keys(result.metafile.inputs)) {
  const found = file.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\//);
  if (found) packages.add(found[1]);
}
const parts = [...packages].sort().map((name) => {
  const home = join(here, "node_modules", name);
  const about = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));
  const file = readdirSync(home).find((entry) => /^licen[cs]e/i.test(entry));
  const text = file && existsSync(join(home, file)) ? readFileSync(join(home, file), "utf8").trim() : "(no licence file)";
  return `${about.name} ${about.version} (${about.license})\n\n${text}\n`;
});
writeFileSync(join(out, "THIRD_PARTY_LICENSES.txt"), parts.join(`\n${"-".repeat(100)}\n\n`));
