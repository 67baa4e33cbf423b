/** Builds the page into src/mien/web/static; called by scripts/web after `npm ci`. */
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const root = join(import.meta.dirname, "..");
const out = process.argv[2] ?? join(root, "src", "mien", "web", "static");
const runtime = join(import.meta.dirname, "node_modules", "onnxruntime-web");
const locked = JSON.parse(readFileSync(join(import.meta.dirname, "package-lock.json"), "utf8")).packages;

const digest = (content) => createHash("sha256").update(content).digest("hex");
const write = (name, content) => {
  mkdirSync(join(out, name, ".."), { recursive: true });
  writeFileSync(join(out, name), content);
  return name;
};
/** A name that changes with the content. */
const writeAsset = (name, ending, content) => write(`assets/${name}-${digest(content).slice(0, 10)}.${ending}`, content);

async function bundled(entry, define = {}) {
  const found = await build({
    absWorkingDir: import.meta.dirname,
    entryPoints: [`src/${entry}`],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    conditions: ["onnxruntime-web-use-extern-wasm"],
    legalComments: "eof",
    define: Object.fromEntries(Object.entries(define).map(([name, value]) => [name, JSON.stringify(value)])),
    write: false,
  });
  return Buffer.from(found.outputFiles[0].contents);
}

rmSync(out, { recursive: true, force: true });

const { version, integrity, license } = locked["node_modules/onnxruntime-web"];
const folder = `runtime/${version}/`;
const runtimeFiles = ["ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"].map((name) => {
  const content = readFileSync(join(runtime, "dist", name));
  const compressed = name.endsWith(".wasm");
  write(`${folder}${name}${compressed ? ".gz" : ""}`, compressed ? gzipSync(content, { level: 9 }) : content);
  return { address: folder + name, sha256: digest(content), bytes: content.length };
});

const worker = writeAsset("worker", "js", await bundled("worker.ts"));
const main = writeAsset("main", "js", await bundled("main.ts", { WORKER: worker, RUNTIME: folder }));
const styles = await build({ entryPoints: [join(import.meta.dirname, "page/style.css")], minify: true, write: false });
const style = writeAsset("style", "css", Buffer.from(styles.outputFiles[0].contents));
const page = readFileSync(join(import.meta.dirname, "page/index.html"), "utf8");
write("index.html", page.replace("{{STYLE}}", style).replace("{{MAIN}}", main));
for (const name of ["icon.svg", "icon-192.png", "icon-512.png", "manifest.webmanifest", "licences.txt"]) {
  cpSync(join(import.meta.dirname, "page", name), join(out, name));
}
for (const name of readdirSync(join(root, "examples")).filter((each) => each.endsWith(".jpg"))) {
  write(`examples/${name}`, readFileSync(join(root, "examples", name)));
}

const kept = readdirSync(out, { recursive: true, withFileTypes: true })
  .filter((each) => each.isFile())
  .map((each) => join(each.parentPath, each.name).slice(out.length + 1).replace(/\.gz$/, ""))
  .filter((name) => name !== "index.html")
  .sort();
const built = digest(kept.map((name) => name + digest(readFileSync(join(out, name + (name.endsWith(".wasm") ? ".gz" : ""))))).join());
write("service-worker.js", await bundled("service-worker.ts", { BUILD: built.slice(0, 12), FILES: kept }));
write("runtime.json", `${JSON.stringify({ package: "onnxruntime-web", version, integrity, license, files: runtimeFiles }, null, 1)}\n`);
