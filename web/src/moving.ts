/** A video or the camera: one frame at a time through the worker, while the tab is seen. */
import { openCamera } from "./camera";
import { type Client } from "./client";
import { type FrameResult } from "./downloads";
import { type Times } from "./recognizer";
import { type Model } from "./settings";
import { type ShownFace, ofFrame } from "./shown";
import { Timeline } from "./timeline";

/** Where fewer frames a second are recognised, videos play slower, but at most so much. */
const LEAST_FPS = 10;
const SLOWEST = 0.0625;

export interface Live {
  readonly faces: readonly ShownFace[];
  readonly times: Times;
  readonly fps: number;
}

export class Moving {
  frames: FrameResult[] = [];
  timeline: Timeline;
  halfLifeS: number;
  /** Videos play at their own speed, as for a recording. */
  atSpeed = false;
  private stream: MediaStream | undefined;
  private round = 0;
  private anew = true;
  /** Called for each frame that was recognised. */
  onFrame: (live: Live) => void = () => {};
  /** Called where frames cannot be recognised any more. */
  onFailure: (error: unknown) => void = () => {};

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly client: Client,
    public model: Model,
    halfLifeS: number,
  ) {
    this.halfLifeS = halfLifeS;
    this.timeline = new Timeline(model, 0);
    video.addEventListener("seeking", () => this.running && this.restart());
  }

  get running(): boolean {
    return this.video.src !== "" || this.stream !== undefined;
  }

  get isCamera(): boolean {
    return this.stream !== undefined;
  }

  /** Starts a video; rejects where the browser cannot play it. */
  async openVideo(url: string): Promise<void> {
    this.stop();
    this.video.src = url;
    await new Promise<void>((resolve, reject) => {
      this.video.onloadeddata = () => resolve();
      this.video.onerror = () => reject(new Error(this.video.error?.message || "video"));
    });
    this.video.onerror = null;
    this.video.playbackRate = SLOWEST; // until it is known how fast frames are recognised
    this.begin();
    await this.video.play().catch(() => undefined); // where playing must be asked for, its own button does
  }

  /** Starts the camera; rejects where there is none (camera.ts). */
  async openCamera(): Promise<void> {
    this.stop();
    this.stream = await openCamera();
    this.video.srcObject = this.stream;
    this.begin();
    await this.video.play();
  }

  /** Releases the camera; what was found stays. */
  stop(): void {
    this.round++;
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = undefined;
    this.video.onerror = null;
    this.video.pause();
    this.video.srcObject = null;
    this.video.removeAttribute("src");
    this.video.load();
  }

  /** Nobody is known any more, and the timeline is empty. */
  restart(model: Model = this.model): void {
    this.model = model;
    this.anew = true;
    this.frames = [];
    this.timeline = new Timeline(model, this.isCamera ? 0 : this.video.duration || 0);
  }

  private begin(): void {
    this.restart();
    this.run(++this.round).catch((error: unknown) => this.onFailure(error));
  }

  private async run(round: number): Promise<void> {
    const pace = new Pace();
    const start = performance.now();
    let mediaS = await nextFrame(this.video);
    for (; round === this.round; mediaS = await nextFrame(this.video)) {
      const timeS = this.isCamera ? (performance.now() - start) / 1000 : mediaS;
      const isNew = this.anew || timeS > (this.frames.at(-1)?.timeS ?? -1);
      if (document.hidden || !isNew) continue;
      const live = await this.recognize(timeS, pace);
      if (round !== this.round) return;
      if (live) this.onFrame(live);
      if (!this.isCamera) this.video.playbackRate = this.atSpeed ? 1 : pace.playbackRate;
    }
  }

  /** The people of the frame that is shown; undefined where another video or network was chosen meanwhile. */
  private async recognize(timeS: number, pace: Pace): Promise<Live | undefined> {
    const { anew, model, halfLifeS } = this;
    const begun = performance.now();
    this.anew = false;
    const bitmap = await createImageBitmap(this.video, { colorSpaceConversion: "none" });
    const request = { kind: "frame", bitmap, model: model.name, timeS, halfLifeS, anew } as const;
    const { tracked, times } = await this.client.ask(request, [bitmap]);
    if (model !== this.model || this.anew) return undefined;
    const faces = ofFrame(tracked, model);
    this.frames.push({ frame: this.frames.length, timeS, faces });
    this.timeline.add(timeS, faces);
    pace.add(begun, performance.now());
    return { faces, times, fps: pace.fps };
  }
}

/** How many frames a second come, and how many could. */
class Pace {
  fps = 0;
  private couldBe = 0;
  private last = -Infinity;

  /** A frame that was begun and done at these times, in milliseconds. */
  add(begun: number, done: number): void {
    const mean = (before: number, ms: number): number => (before ? 0.9 * before + 100 / ms : 1000 / ms);
    this.couldBe = mean(this.couldBe, done - begun);
    this.fps = Number.isFinite(this.last) ? mean(this.fps, done - this.last) : this.couldBe;
    this.last = done;
  }

  /** Slower where fewer frames than `LEAST_FPS` could come. */
  get playbackRate(): number {
    return Math.min(1, Math.max(SLOWEST, this.couldBe / LEAST_FPS));
  }
}

/** Waits until a video shows a new frame; its time in the video. */
function nextFrame(video: HTMLVideoElement): Promise<number> {
  return new Promise((resolve) => {
    if ("requestVideoFrameCallback" in video) {
      video.requestVideoFrameCallback((_, { mediaTime }) => resolve(mediaTime));
    } else {
      requestAnimationFrame(() => resolve((video as HTMLVideoElement).currentTime));
    }
  });
}
