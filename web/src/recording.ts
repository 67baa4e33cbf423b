/** An annotated copy of what is played: the frames with their boxes, and the video's sound. */
import { drawBoxes } from "./overlay";
import { type Settings } from "./settings";
import { type ShownFace } from "./shown";

const TYPES = ["video/mp4;codecs=avc1.640028,mp4a.40.2", "video/webm;codecs=vp9,opus", "video/webm;codecs=vp8,opus", "video/webm"];

export class Recording {
  private readonly canvas = document.createElement("canvas");
  private readonly pen = this.canvas.getContext("2d")!;
  private readonly recorder: MediaRecorder;
  private readonly parts: Blob[] = [];
  private going = true;

  /** faces: those to draw, now. Throws where the browser cannot record. */
  constructor(
    private readonly video: HTMLVideoElement,
    private readonly faces: () => readonly ShownFace[],
    private readonly mirrored: boolean,
    private readonly settings: Settings,
  ) {
    this.canvas.width = video.videoWidth;
    this.canvas.height = video.videoHeight;
    const stream = this.canvas.captureStream();
    for (const track of soundOf(video)) stream.addTrack(track);
    const mimeType = TYPES.find((type) => MediaRecorder.isTypeSupported(type));
    this.recorder = new MediaRecorder(stream, { ...(mimeType ? { mimeType } : {}), videoBitsPerSecond: 5_000_000 });
    this.recorder.ondataavailable = ({ data }) => this.parts.push(data);
    this.recorder.start(1000);
    this.draw();
  }

  private draw = (): void => {
    if (!this.going) return;
    const { pen, canvas, video } = this;
    const { width, height } = canvas;
    pen.save();
    if (this.mirrored) pen.setTransform(-1, 0, 0, 1, width, 0);
    pen.drawImage(video, 0, 0, width, height);
    pen.restore();
    const placing = { scale: 1, width, height, mirrored: this.mirrored, fontPx: Math.max(12, width / 42) };
    drawBoxes(pen, this.faces(), placing, 0, this.settings);
    requestAnimationFrame(this.draw);
  };

  /** The video so far. */
  finish(): Promise<{ content: Blob; ending: string }> {
    this.going = false;
    return new Promise((resolve) => {
      this.recorder.onstop = () => {
        const type = this.recorder.mimeType;
        resolve({ content: new Blob(this.parts, { type }), ending: type.startsWith("video/mp4") ? "mp4" : "webm" });
      };
      this.recorder.stop();
    });
  }
}

function soundOf(video: HTMLVideoElement): MediaStreamTrack[] {
  const capture = (video as { captureStream?: () => MediaStream }).captureStream;
  return video.srcObject || !capture ? [] : capture.call(video).getAudioTracks();
}
