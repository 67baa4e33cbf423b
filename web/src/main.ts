/** The page: what is shown when, and which button does what. */
import { Client } from "./client";
import { type PhotoResult, frameCsv, frameJson, photoCsv, photoJson, save } from "./downloads";
import { get, make, put } from "./elements";
import { type Live, Moving } from "./moving";
import { chartFontPx, drawCharts } from "./overlay";
import { Panel } from "./panel";
import { type Item, Photos } from "./photos";
import { listenForFiles } from "./picked";
import { Recording } from "./recording";
import { type Model, type Settings } from "./settings";
import { type ShownFace, told } from "./shown";
import { Stage } from "./stage";
import { peopleTable, photoTable } from "./table";
import { type Key, say, switchLanguage, translate } from "./texts";

declare const RUNTIME: string;

/** Between two drawings of the timeline and the table of moving pictures. */
const REDRAW_MS = 300;
/** More threads gain nothing for networks of this size. */
const MOST_THREADS = 4;

class Page {
  private readonly client = new Client();
  private readonly photos: Photos;
  private readonly moving: Moving;
  private readonly stage: Stage;
  private readonly panel: Panel;
  private readonly ready: Promise<unknown>;
  private readonly notice = get("notice");
  private readonly thumbnails = new Map<Item, HTMLButtonElement>();
  private model: Model;
  private item: Item | undefined;
  private chosen = 1;
  private live: Live | undefined;
  private recording: Recording | undefined;
  private drawnAt = 0;

  constructor(private readonly settings: Settings) {
    this.model = settings.models.find((each) => each.name === settings.default_model)!;
    this.stage = new Stage(settings);
    this.panel = new Panel(get("cards"), settings);
    this.photos = new Photos(this.client, settings);
    this.moving = new Moving(this.stage.video, this.client, this.model, settings.tracking.half_life_s);
    this.ready = this.load();
    this.listen();
    this.fillChoices();
    this.showState("start");
  }

  private load(): Promise<unknown> {
    const cores = Math.floor((navigator.hardwareConcurrency || 1) / 2);
    const threads = crossOriginIsolated ? Math.max(1, Math.min(MOST_THREADS, cores)) : 1;
    const runtime = new URL(RUNTIME, document.baseURI).href;
    const { settings, model } = this;
    return this.client.ask({ kind: "load", settings, base: document.baseURI, runtime, model: model.name, threads }).then(
      () => {
        document.body.classList.add("ready");
        keepForOffline();
      },
      () => this.tell(say("failedToLoad")),
    );
  }

  private listen(): void {
    const choose = (number: number): void => {
      this.chosen = number;
      this.show();
    };
    this.stage.onChoose = this.panel.onChoose = choose;
    this.photos.onChange = (item) => this.photoChanged(item);
    this.moving.onFrame = (live) => this.frameCame(live);
    this.moving.onFailure = (error) => this.tell(say("failed", { name: say("camera"), reason: String(error) }));
    listenForFiles((files) => void this.open(files), () => this.tell(say("nothingToPaste")));
    for (const each of document.querySelectorAll<HTMLButtonElement>("[data-example]")) {
      each.onclick = () => void this.openExample(each.dataset.example!);
    }
    for (const each of document.querySelectorAll<HTMLElement>("[data-camera]")) each.onclick = () => void this.openCamera();
    get("stop").onclick = () => this.stopCamera();
    get("close").onclick = () => this.close();
    get("csv").onclick = () => this.saveText("csv");
    get("json").onclick = () => this.saveText("json");
    get("annotated").onclick = () => void this.savePicture();
    get("record").onclick = () => void this.record();
    get("language").onclick = () => {
      switchLanguage();
      this.fillChoices();
      this.show();
    };
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.close();
    });
    this.stage.video.addEventListener("ended", () => void this.endRecording());
  }

  private fillChoices(): void {
    translate();
    const models = get<HTMLSelectElement>("model");
    models.replaceChildren(
      ...this.settings.models.map(({ name, expressions }) => {
        return new Option(say("classes", { name, count: expressions.length }), name, false, name === this.model.name);
      }),
    );
    models.onchange = () => void this.chooseModel(models.value);
    const smoothing = get<HTMLSelectElement>("smoothing");
    const usual = this.settings.tracking.half_life_s;
    const options = [...new Set([0, 0.1, usual, 1])].sort((a, b) => a - b);
    smoothing.replaceChildren(
      ...options.map((seconds) => {
        const text = seconds ? say("seconds", { seconds }) : say("smoothingNone");
        return new Option(text, String(seconds), false, seconds === this.moving.halfLifeS);
      }),
    );
    smoothing.onchange = () => (this.moving.halfLifeS = Number(smoothing.value));
    for (const each of document.querySelectorAll<HTMLElement>("[data-example]")) {
      each.setAttribute("aria-label", say("example", { name: each.dataset.name! }));
    }
  }

  private async chooseModel(name: string): Promise<void> {
    this.model = this.settings.models.find((each) => each.name === name)!;
    this.photos.forget();
    this.moving.restart(this.model);
    this.show();
    await this.ready;
    await this.photos.recognize(this.model);
  }

  private async open(files: File[]): Promise<void> {
    this.tell("");
    const [first] = this.photos.add(files);
    await this.select(first!);
    await this.ready;
    await this.photos.recognize(this.model);
  }

  private async openExample(address: string): Promise<void> {
    const answer = await fetch(address);
    const content = await answer.blob();
    await this.open([new File([content], address.split("/").pop()!, { type: content.type })]);
  }

  private async openCamera(): Promise<void> {
    this.tell("");
    if (!navigator.mediaDevices) return this.tell(say("cameraInsecure"));
    await this.ready;
    try {
      await this.moving.openCamera();
    } catch (error) {
      this.moving.stop();
      return this.tell(say(cameraFailure(error)));
    }
    this.item = undefined;
    this.live = undefined;
    this.stage.showVideo(true);
    this.showState("camera");
    this.show();
  }

  private stopCamera(): void {
    void this.endRecording();
    this.moving.stop();
    this.showState("stopped");
    this.show();
  }

  private async select(item: Item): Promise<void> {
    void this.endRecording();
    this.moving.stop();
    this.item = item;
    this.chosen = 1;
    this.live = undefined;
    if (!item.isVideo) {
      this.stage.showPhoto(item.url);
      this.showState("photo");
      return this.show();
    }
    this.stage.showVideo(false);
    this.showState("video");
    this.show();
    await this.ready;
    try {
      await this.moving.openVideo(item.url);
    } catch {
      item.result = { source: item.file.name, width: 0, height: 0, faces: [], error: say("unreadable", { name: item.file.name }) };
      this.show();
    }
  }

  private close(): void {
    if (document.body.dataset.state === "start") return;
    void this.endRecording();
    this.moving.stop();
    this.photos.clear();
    for (const each of this.thumbnails.values()) each.remove();
    this.thumbnails.clear();
    this.item = this.live = undefined;
    this.tell("");
    this.showState("start");
    get("choose").focus();
  }

  /** start, photo, video, camera, or stopped: after a camera. */
  private showState(state: string): void {
    document.body.dataset.state = state;
    window.scrollTo({ top: 0 });
  }

  private photoChanged(item: Item): void {
    let button = this.thumbnails.get(item);
    if (!button) {
      button = make("button", "thumbnail");
      button.type = "button";
      button.title = item.file.name;
      button.onclick = () => void this.select(item);
      if (item.isVideo) button.append(make("span", "play", "▶"));
      else {
        const image = make("img");
        image.src = item.url;
        image.alt = item.file.name;
        image.loading = "lazy";
        image.decoding = "async";
        button.append(image);
      }
      this.thumbnails.set(item, button);
      get("strip").append(button);
    }
    button.classList.toggle("failed", item.result?.error !== undefined);
    button.classList.toggle("waiting", !item.isVideo && !item.result);
    this.show();
  }

  private frameCame(live: Live): void {
    this.live = live;
    this.showFaces(live.faces, this.stage.video.videoWidth, this.stage.video.videoHeight, true);
    const now = performance.now();
    if (now - this.drawnAt < REDRAW_MS) return;
    this.drawnAt = now;
    this.showMoving();
  }

  private get isMoving(): boolean {
    return !this.item || this.item.isVideo;
  }

  /** Everything anew, as after another choice. */
  private show(): void {
    for (const [item, button] of this.thumbnails) {
      button.setAttribute("aria-current", String(item === this.item));
    }
    get("strip").hidden = this.photos.items.length < 2;
    if (document.body.dataset.state === "start") return;
    if (this.isMoving && !this.item?.result) {
      const { videoWidth, videoHeight } = this.stage.video;
      this.showFaces(this.live?.faces ?? [], videoWidth, videoHeight, true);
      this.showMoving();
    } else {
      this.showPhoto();
    }
  }

  private showPhoto(): void {
    const { result, times } = this.item!;
    this.showFaces(result?.faces ?? [], result?.width ?? 0, result?.height ?? 0, false);
    const count = result?.faces.length ?? 0;
    put(get("count"), !result ? say("looking") : (result.error ?? counted(count)));
    put(get("speed"), times && !result?.error ? say("speed", told(times)) : "");
    const results = this.photos.results();
    const total = this.photos.items.filter((each) => !each.isVideo).length;
    put(get("progress"), results.length < total ? say("progress", { done: results.length, count: total }) : "");
    get("table").replaceChildren(photoTable(results));
    this.allow(count > 0, results.length > 0);
  }

  private showMoving(): void {
    const { timeline, frames } = this.moving;
    const { live } = this;
    put(get("count"), live?.faces.length ? counted(live.faces.length) : say("noFaceYet"));
    put(get("speed"), live ? say("speedLive", { fps: live.fps.toFixed(0), ...told(live.times) }) : "");
    put(get("progress"), "");
    timeline.draw(get<HTMLCanvasElement>("timeline"), this.settings);
    get("table").replaceChildren(peopleTable(timeline));
    this.allow(frames.length > 0, frames.length > 0);
  }

  private showFaces(faces: readonly ShownFace[], width: number, height: number, people: boolean): void {
    this.stage.show(faces, faces.length > 1 ? this.chosen : 0, width, height);
    this.panel.show(faces, this.chosen, people);
  }

  private allow(picture: boolean, text: boolean): void {
    get<HTMLButtonElement>("annotated").disabled = !picture;
    for (const id of ["csv", "json"]) get<HTMLButtonElement>(id).disabled = !text;
  }

  private tell(text: string): void {
    put(this.notice, text);
    this.notice.hidden = !text;
  }

  private get name(): string {
    return this.item ? this.item.file.name.replace(/\.\w+$/, "") : "camera";
  }

  private saveText(kind: "csv" | "json"): void {
    const photos: PhotoResult[] = this.photos.results();
    const { frames } = this.moving;
    const name = this.isMoving || photos.length === 1 ? this.name : "expressions";
    if (kind === "csv") {
      const text = this.isMoving ? frameCsv(frames, this.model) : photoCsv(photos, this.model);
      save(new Blob([text], { type: "text/csv" }), `${name}.csv`);
    } else {
      const text = this.isMoving ? frameJson(frames) : photoJson(photos);
      const several = this.isMoving || photos.length > 1;
      save(new Blob([text], { type: "application/json" }), `${name}.${several ? "jsonl" : "json"}`);
    }
  }

  private async savePicture(): Promise<void> {
    const { video } = this.stage;
    const faces = this.isMoving ? this.live!.faces : this.item!.result!.faces;
    const picture = await createImageBitmap(this.isMoving ? video : this.item!.file);
    const { width, height } = picture;
    const canvas = new OffscreenCanvas(width, height);
    const pen = canvas.getContext("2d")!;
    pen.drawImage(picture, 0, 0);
    drawCharts(pen, faces, { scale: 1, width, height, mirrored: false, fontPx: chartFontPx(width, height) }, this.settings);
    save(await canvas.convertToBlob({ type: "image/png" }), `${this.name}-annotated.png`);
  }

  private async record(): Promise<void> {
    if (this.recording) return this.endRecording();
    const { video } = this.stage;
    const { isCamera } = this.moving;
    try {
      this.recording = new Recording(video, () => this.live?.faces ?? [], isCamera, this.settings);
    } catch {
      return this.tell(say("cannotRecord"));
    }
    this.showRecording();
    if (isCamera) return;
    video.currentTime = 0;
    await video.play();
  }

  private async endRecording(): Promise<void> {
    const { recording, name } = this;
    this.recording = undefined;
    this.showRecording();
    if (!recording) return;
    const { content, ending } = await recording.finish();
    save(content, `${name}-annotated.${ending}`);
  }

  private showRecording(): void {
    const button = get("record");
    button.dataset.text = this.recording ? "recording" : "record";
    button.classList.toggle("active", this.recording !== undefined);
    translate();
  }
}

function counted(count: number): string {
  if (!count) return say("noFace");
  return count === 1 ? say("oneFace") : say("faces", { count });
}

function cameraFailure(error: unknown): Key {
  const { name } = error as DOMException;
  if (name === "NotAllowedError") return "cameraDenied";
  return name === "NotFoundError" || name === "OverconstrainedError" ? "cameraMissing" : "cameraBusy";
}

/** Only now, so that what was loaded comes from the browser's cache. */
function keepForOffline(): void {
  if (!("serviceWorker" in navigator) || !isSecureContext) return;
  navigator.serviceWorker.register("service-worker.js").catch(() => undefined); // only the offline copy is missing
}

translate();
void fetch("settings.json")
  .then((answer) => answer.json())
  .then((settings: Settings) => new Page(settings));
