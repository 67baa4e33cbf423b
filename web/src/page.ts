/** What is shown when, and which button does what. */
import { fillChoices } from "./choices";
import { cameraFailure } from "./camera";
import { type Client } from "./client";
import { get, put } from "./elements";
import { Recorder, saveFrames, savePhotos, savePicture } from "./keeping";
import { type Live, Moving } from "./moving";
import { Panel } from "./panel";
import { type Item, Photos } from "./photos";
import { listenForFiles } from "./picked";
import { type Model, type Settings } from "./settings";
import { type ShownFace, counted, told } from "./shown";
import { Stage } from "./stage";
import { Strip } from "./strip";
import { peopleTable, photoTable } from "./table";
import { type Key, say, switchLanguage, translate } from "./texts";

/** Between two drawings of the timeline and the table of moving pictures. */
const REDRAW_MS = 300;
export class Page {
  private readonly photos: Photos;
  private readonly moving: Moving;
  private readonly stage: Stage;
  private readonly panel: Panel;
  private readonly notice = get("notice");
  private readonly strip = new Strip();
  private readonly recorder: Recorder;
  private item: Item | undefined;
  private chosen = 1;
  private live: Live | undefined;
  private drawnAt = 0;

  /** ready: once the networks are loaded; rejects where they cannot be. */
  constructor(
    private readonly settings: Settings,
    private model: Model,
    client: Client,
    private readonly ready: Promise<unknown>,
  ) {
    this.stage = new Stage(settings);
    this.panel = new Panel(get("cards"), settings);
    this.photos = new Photos(client, settings);
    this.moving = new Moving(this.stage.video, client, model, settings.tracking.half_life_s);
    this.recorder = new Recorder(this.stage.video, () => this.live?.faces ?? [], settings);
    ready.catch(() => this.tell(say("failedToLoad")));
    this.listen();
    this.speak();
    this.showState("start");
  }

  private listen(): void {
    const choose = (number: number): void => {
      this.chosen = number;
      this.show();
    };
    this.stage.onChoose = this.panel.onChoose = choose;
    this.strip.onPick = (item) => void this.select(item);
    this.photos.onChange = (item) => this.photoChanged(item);
    this.moving.onFrame = (live) => this.frameCame(live);
    this.moving.onFailure = (error) => this.tell(say("failed", { name: this.name, reason: String(error) }));
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
      this.speak();
      this.show();
    };
    const models = get<HTMLSelectElement>("model");
    models.onchange = () => void this.chooseModel(models.value);
    const smoothing = get<HTMLSelectElement>("smoothing");
    smoothing.onchange = () => (this.moving.halfLifeS = Number(smoothing.value));
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !(event.target instanceof HTMLSelectElement)) this.close();
    });
    this.stage.video.addEventListener("ended", () => void this.endRecording());
  }

  /** All texts, in the language of the page. */
  private speak(): void {
    translate();
    fillChoices(this.settings, this.model.name, this.moving.halfLifeS);
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
    this.strip.clear();
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
    this.strip.show(item);
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
    this.strip.mark(this.item);
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
    put(get("count"), !result ? this.waitingFor("looking") : (result.error ?? counted(count)));
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
    put(get("count"), live?.faces.length ? counted(live.faces.length) : this.waitingFor("noFaceYet"));
    put(get("speed"), live ? say("speedLive", { fps: live.fps.toFixed(live.fps < 10 ? 1 : 0), ...told(live.times) }) : "");
    put(get("progress"), "");
    timeline.draw(get<HTMLCanvasElement>("timeline"), this.settings);
    get("table").replaceChildren(peopleTable(timeline));
    this.allow(frames.length > 0, frames.length > 0);
  }

  /** What is waited for: at first, the networks. */
  private waitingFor(key: Key): string {
    return say(document.body.classList.contains("ready") ? key : "loading");
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
    return this.item?.file.name ?? "camera";
  }

  private saveText(kind: "csv" | "json"): void {
    if (this.isMoving) saveFrames(kind, this.moving, this.name);
    else savePhotos(kind, this.photos.results(), this.model);
  }

  private savePicture(): Promise<void> {
    const { isMoving, item, live, stage, settings } = this;
    const faces = isMoving ? live!.faces : item!.result!.faces;
    return savePicture(isMoving ? stage.video : item!.file, faces, this.name, settings);
  }

  private endRecording(): Promise<void> {
    this.moving.atSpeed = false;
    return this.recorder.finish(this.name);
  }

  private async record(): Promise<void> {
    if (this.recorder.isOn) return this.endRecording();
    this.moving.atSpeed = true;
    await this.recorder.start(this.moving.isCamera).catch(() => this.tell(say("cannotRecord")));
  }
}
