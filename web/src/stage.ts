/** The picture or video in the middle of the page, with the boxes over it. */
import { get } from "./elements";
import { drawBoxes } from "./overlay";
import { type Settings } from "./settings";
import { type ShownFace } from "./shown";

const FONT_PX = 14;

export class Stage {
  readonly video = get<HTMLVideoElement>("video");
  private readonly image = get<HTMLImageElement>("photo");
  private readonly canvas = get<HTMLCanvasElement>("overlay");
  private readonly frame = get("frame");
  private faces: readonly ShownFace[] = [];
  private chosen = 0;
  private size = { width: 0, height: 0 };
  private mirrored = false;
  /** Called with the number of a face that was clicked. */
  onChoose: (number: number) => void = () => {};

  constructor(private readonly settings: Settings) {
    new ResizeObserver(() => this.draw()).observe(this.frame);
    this.canvas.onclick = (event) => this.click(event);
  }

  /** Shows a picture, without boxes for now. */
  showPhoto(url: string): void {
    this.image.src = url;
    this.turnTo("photo", false);
  }

  showVideo(isCamera: boolean): void {
    this.video.controls = !isCamera;
    this.turnTo("video", isCamera);
  }

  private turnTo(kind: "photo" | "video", mirrored: boolean): void {
    this.image.hidden = kind !== "photo";
    this.video.hidden = kind !== "video";
    this.canvas.classList.toggle("beneath", kind === "video" && !mirrored); // the video's controls stay reachable
    this.video.classList.toggle("mirrored", mirrored);
    this.mirrored = mirrored;
    this.show([], 0, 0, 0);
  }

  /** width, height: of the picture that the boxes are in pixels of. */
  show(faces: readonly ShownFace[], chosen: number, width: number, height: number): void {
    this.faces = faces;
    this.chosen = chosen;
    this.size = { width, height };
    this.draw();
  }

  private draw(): void {
    const { canvas, size } = this;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    const ratio = window.devicePixelRatio;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    if (!this.faces.length || !size.width) return;
    const pen = canvas.getContext("2d")!;
    pen.scale(ratio, ratio);
    const fontPx = Math.max(11, Math.min(FONT_PX, width / 32));
    const placing = { scale: width / size.width, width, height, mirrored: this.mirrored, fontPx };
    drawBoxes(pen, this.faces, placing, this.chosen, this.settings);
  }

  private click(event: MouseEvent): void {
    const scale = this.size.width / this.canvas.clientWidth;
    const x = (this.mirrored ? this.canvas.clientWidth - event.offsetX : event.offsetX) * scale;
    const y = event.offsetY * scale;
    const hit = this.faces.find(({ face: { box } }) => x >= box[0] && x <= box[2] && y >= box[1] && y <= box[3]);
    if (hit) this.onChoose(hit.number);
  }
}
