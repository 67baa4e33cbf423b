/**
 * Processor time of each stage of a frame, on one thread of V8 with the page's own runtime; see stages.py beside.
 * Arguments: settings.json, the folder of the page's files, raw RGB, width, height, rounds.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Picture } from "../src/picture";
import { Recognizer, type Times, prepareRuntime } from "../src/recognizer";
import { type Settings } from "../src/settings";

const [settingsFile, folder, runtime, raw, width, height, rounds] = process.argv.slice(2) as string[];
const settings = JSON.parse(readFileSync(settingsFile!, "utf8")) as Settings;
// The page fetches weights; here they are files.
globalThis.fetch = (async (address: URL) => {
  return new Response(readFileSync(join(folder!, address.pathname)));
}) as unknown as typeof fetch;
// Processor time instead of time (stages.py has our calls of performance.now replaced by this): what else the machine
// does hardly matters.
Object.assign(globalThis, {
  processorMs: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
});

prepareRuntime(pathToFileURL(runtime!).href, 1);
const recognizer = await Recognizer.open(settings, "http://page/");
const picture: Picture = { data: new Uint8Array(readFileSync(raw!)), width: Number(width), height: Number(height), channels: 3 };
/** Until WebAssembly is compiled with all optimisations. */
const WARM_UP = 25;
const frames: Times[] = [];
for (let round = 0; round < WARM_UP + Number(rounds); round++) {
  const times: Times = { decode: 0, detect: 0, crop: 0, recognize: 0 };
  await recognizer.recognize(picture, settings.default_model, false, times);
  if (round >= WARM_UP) frames.push(times);
}
const median = (stage: keyof Times): number => frames.map((each) => each[stage]).sort((a, b) => a - b)[frames.length >> 1]!;
console.log(JSON.stringify({ detect: median("detect"), crop: median("crop"), recognize: median("recognize") }));
