/** Everything that takes time: decoding, detection and recognition, one request after the other. */
import { type Answers, type Frame, type Load, type Photo, type Refusal, type Reply, type Request } from "./messages";
import { rgbOf } from "./picture";
import { Recognizer, type Times, prepareRuntime } from "./recognizer";
import { type Settings } from "./settings";
import { NOBODY, follow } from "./tracking";

let settings: Settings;
let recognizer: Recognizer;
let people = NOBODY;
let queue: Promise<void> = Promise.resolve();

class Refused extends Error {
  constructor(readonly refusal: Refusal) {
    super(refusal);
  }
}

self.onmessage = ({ data }: MessageEvent<{ id: number; request: Request }>) => {
  queue = queue.then(() => answer(data.id, data.request));
};

async function answer(id: number, request: Request): Promise<void> {
  let reply: Reply;
  try {
    reply = { id, answer: await handle(request) };
  } catch (error) {
    reply = error instanceof Refused ? { id, refusal: error.refusal } : { id, failure: String(error) };
  }
  self.postMessage(reply);
}

async function handle(request: Request): Promise<Answers[Request["kind"]]> {
  switch (request.kind) {
    case "load":
      return load(request);
    case "choose":
      await recognizer.scorer(request.model);
      return {};
    case "photo":
      return photo(request);
    case "frame":
      return frame(request);
  }
}

async function load(request: Load): Promise<Record<string, never>> {
  settings = request.settings;
  prepareRuntime(request.runtime, request.threads);
  recognizer = await Recognizer.open(settings, request.base);
  await recognizer.scorer(request.model);
  return {};
}

async function photo(request: Photo): Promise<Answers["photo"]> {
  const times: Times = { decode: 0, detect: 0, crop: 0, recognize: 0 };
  const start = performance.now();
  const bitmap = await decoded(request.file);
  const { width, height } = bitmap;
  const picture = rgbOf(pixelsOf(bitmap));
  times.decode = performance.now() - start;
  const faces = await recognizer.recognize(picture, request.model, true, times);
  return { width, height, faces, times };
}

/** As Pillow reads it: turned as its EXIF says, colours as they are stored. */
async function decoded(file: Blob): Promise<ImageBitmap> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  } catch {
    throw new Refused("unreadable");
  }
  if (bitmap.width * bitmap.height > settings.max_pixels) throw new Refused("too-large");
  return bitmap;
}

/** What is transparent becomes white. */
function pixelsOf(bitmap: ImageBitmap): ImageData {
  const { width, height } = bitmap;
  const pen = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true })!;
  pen.fillStyle = "white";
  pen.fillRect(0, 0, width, height);
  pen.drawImage(bitmap, 0, 0);
  bitmap.close();
  return pen.getImageData(0, 0, width, height);
}

async function frame(request: Frame): Promise<Answers["frame"]> {
  const times: Times = { decode: 0, detect: 0, crop: 0, recognize: 0 };
  const start = performance.now();
  const picture = rgbOf(pixelsOf(request.bitmap));
  times.decode = performance.now() - start;
  const faces = await recognizer.recognize(picture, request.model, false, times);
  const rules = { ...settings.tracking, half_life_s: request.halfLifeS };
  const [next, tracked] = follow(request.anew ? NOBODY : people, faces, request.timeS, rules);
  people = next;
  return { tracked, times };
}
