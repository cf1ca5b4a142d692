// Builds dist/ from src/: one script, one style sheet, the page and the icon. Called by `./dev dashboard`.
import { build } from "esbuild";
import { copyFile, mkdir } from "node:fs/promises";

await mkdir("dist", { recursive: true });
await build({
  entryPoints: { dashboard: "src/main.jsx" },
  outdir: "dist",
  bundle: true,
  minify: true,
  target: ["es2021"],
  format: "iife",
  legalComments: "inline",
  jsx: "automatic",
  jsxImportSource: "preact",
  logLevel: "info",
});
for (const file of ["index.html", "icon.svg"]) await copyFile(`src/${file}`, `dist/${file}`);
