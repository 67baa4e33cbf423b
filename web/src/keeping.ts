/** What visitors take along: results, annotated pictures and videos, as files. */
import { type PhotoResult, frameCsv, frameJson, photoCsv, photoJson, save } from "./downloads";
import { get } from "./elements";
import { type Moving } from "./moving";
import { chartFontPx, drawCharts } from "./overlay";
import { Recording } from "./recording";
import { type Model, type Settings } from "./settings";
import { type ShownFace } from "./shown";
import { translate } from "./texts";

export function savePhotos(kind: "csv" | "json", results: readonly PhotoResult[], model: Model): void {
  const [only] = results;
  const name = results.length === 1 ? stem(only!.source) : "expressions";
  if (kind === "csv") saveText(photoCsv(results, model), `${name}.csv`);
  else saveText(photoJson(results), `${name}.${results.length > 1 ? "jsonl" : "json"}`);
}

export function saveFrames(kind: "csv" | "json", moving: Moving, name: string): void {
  if (kind === "csv") saveText(frameCsv(moving.frames, moving.model), `${stem(name)}.csv`);
  else saveText(frameJson(moving.frames), `${stem(name)}.jsonl`);
}

function saveText(text: string, name: string): void {
  save(new Blob([text], { type: name.endsWith(".csv") ? "text/csv" : "application/json" }), name);
}

/** A file's name without its ending. */
function stem(name: string): string {
  return name.replace(/\.\w+$/, "");
}

/** A picture, or what a video shows now, with boxes and bars. */
export async function savePicture(
  source: ImageBitmapSource,
  faces: readonly ShownFace[],
  name: string,
  settings: Settings,
): Promise<void> {
  const picture = await createImageBitmap(source);
  const { width, height } = picture;
  const canvas = new OffscreenCanvas(width, height);
  const pen = canvas.getContext("2d")!;
  pen.drawImage(picture, 0, 0);
  drawCharts(pen, faces, { scale: 1, width, height, mirrored: false, fontPx: chartFontPx(width, height) }, settings);
  save(await canvas.convertToBlob({ type: "image/png" }), `${stem(name)}-annotated.png`);
}

/** The button that records and saves. */
export class Recorder {
  private readonly button = get("record");
  private recording: Recording | undefined;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly faces: () => readonly ShownFace[],
    private readonly settings: Settings,
  ) {}

  get isOn(): boolean {
    return this.recording !== undefined;
  }

  /** From the video's beginning, or the camera from now on; throws where the browser cannot record. */
  async start(isCamera: boolean): Promise<void> {
    if (!isCamera) await rewound(this.video);
    this.recording = new Recording(this.video, this.faces, isCamera, this.settings);
    this.show();
    await this.video.play();
  }

  /** Saves what was recorded, if anything was. */
  async finish(name: string): Promise<void> {
    const { recording } = this;
    this.recording = undefined;
    this.show();
    if (!recording) return;
    const { content, ending } = await recording.finish();
    save(content, `${stem(name)}-annotated.${ending}`);
  }

  private show(): void {
    this.button.dataset.text = this.isOn ? "recording" : "record";
    this.button.classList.toggle("active", this.isOn);
    translate();
  }
}

function rewound(video: HTMLVideoElement): Promise<void> {
  return new Promise((resolve) => {
    video.addEventListener("seeked", () => resolve(), { once: true });
    video.currentTime = 0;
  });
}
