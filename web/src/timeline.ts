/** What people expressed over time: a row for each, of stacked shares (mien/video/timeline.py). */
import { colourOf } from "./overlay";
import { type Model, type Settings } from "./settings";
import { type ShownFace } from "./shown";
import { say, sayExpression } from "./texts";

const MOST_BINS = 480;
const LONGEST_GAP_S = 1;
const ROW_PX = 56;
const GAP_PX = 10;
const AXIS_PX = 22;
const LEFT_PX = 34;
const STEPS_S = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];

interface Row {
  readonly bins: Map<number, number[]>;
  /** For each expression, how long it was the strongest. */
  readonly seconds: number[];
}

export class Timeline {
  readonly rows = new Map<number, Row>();
  private binS = 0.05;
  private startS = 0;
  private endS = 0;
  private before: { timeS: number; faces: readonly ShownFace[] } | undefined;

  /** lengthS: of the video; 0 where it is not known. */
  constructor(
    private readonly model: Model,
    private readonly lengthS: number,
  ) {}

  /** The people of a frame; they count until the next one. */
  add(timeS: number, faces: readonly ShownFace[]): void {
    if (!this.before) this.startS = this.lengthS ? 0 : timeS;
    this.endS = Math.max(this.endS, timeS, this.startS + this.lengthS);
    while ((this.endS - this.startS) / this.binS > MOST_BINS) this.coarsen();
    if (this.before) this.settle(this.before.timeS, Math.min(timeS, this.before.timeS + LONGEST_GAP_S), this.before.faces);
    this.before = { timeS, faces };
    for (const { number, scores } of faces) {
      if (!this.rows.has(number)) this.rows.set(number, { bins: new Map(), seconds: scores.map(() => 0) });
    }
  }

  private settle(sinceS: number, untilS: number, faces: readonly ShownFace[]): void {
    const [first, last] = [(sinceS - this.startS) / this.binS, (untilS - this.startS) / this.binS];
    for (const { number, scores } of faces) {
      const { bins, seconds } = this.rows.get(number)!;
      seconds[scores.indexOf(Math.max(...scores))]! += untilS - sinceS;
      for (let place = Math.floor(first); place < Math.ceil(last); place++) {
        const share = Math.min(last, place + 1) - Math.max(first, place);
        const sums = bins.get(place) ?? scores.map(() => 0);
        bins.set(place, sums.map((sum, index) => sum + share * scores[index]!));
      }
    }
  }

  private coarsen(): void {
    this.binS *= 2;
    for (const row of this.rows.values()) {
      const old = [...row.bins];
      row.bins.clear();
      for (const [place, sums] of old) {
        const half = Math.floor(place / 2);
        const there = row.bins.get(half) ?? sums.map(() => 0);
        row.bins.set(half, there.map((sum, index) => sum + sums[index]!));
      }
    }
  }

  /** The expression that was strongest for longest, and for how long a person was seen. */
  summary(number: number): { expression: string; seconds: number } {
    const { seconds } = this.rows.get(number)!;
    const most = seconds.indexOf(Math.max(...seconds));
    return { expression: this.model.expressions[most]!, seconds: seconds.reduce((sum, each) => sum + each, 0) };
  }

  /** Draws all rows and an axis; the canvas becomes as high as they need. */
  draw(canvas: HTMLCanvasElement, settings: Settings): void {
    const ratio = window.devicePixelRatio;
    const width = canvas.clientWidth;
    const height = Math.max(1, this.rows.size) * (ROW_PX + GAP_PX) + AXIS_PX;
    canvas.style.height = `${height}px`;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const pen = canvas.getContext("2d")!;
    const style = getComputedStyle(canvas);
    pen.scale(ratio, ratio);
    pen.font = `13px ${style.fontFamily}`;
    pen.textBaseline = "middle";
    const bins = Math.max(1, (this.endS - this.startS) / this.binS);
    const step = (width - LEFT_PX) / bins;
    [...this.rows.keys()].sort((a, b) => a - b).forEach((number, index) => {
      const top = index * (ROW_PX + GAP_PX);
      pen.fillStyle = style.color;
      pen.fillText(String(number), 8, top + ROW_PX / 2);
      pen.fillStyle = style.getPropertyValue("--track");
      pen.fillRect(LEFT_PX, top, width - LEFT_PX, ROW_PX);
      this.drawRow(pen, this.rows.get(number)!, top, step, settings);
    });
    this.drawAxis(pen, height - AXIS_PX, width, style);
    canvas.setAttribute("aria-label", this.inWords());
  }

  private drawRow(pen: CanvasRenderingContext2D, row: Row, top: number, step: number, settings: Settings): void {
    for (const [place, sums] of row.bins) {
      const total = sums.reduce((sum, each) => sum + each, 0);
      let bottom = top + ROW_PX;
      sums.forEach((sum, index) => {
        const high = (ROW_PX * sum) / total;
        pen.fillStyle = colourOf(this.model.expressions[index]!, settings);
        pen.fillRect(LEFT_PX + place * step, bottom - high, step + 0.6, high);
        bottom -= high;
      });
    }
  }

  private drawAxis(pen: CanvasRenderingContext2D, top: number, width: number, style: CSSStyleDeclaration): void {
    const length = Math.max(this.binS, this.endS - this.startS);
    const most = Math.max(2, (width - LEFT_PX) / 70);
    const step = STEPS_S.find((each) => length / each <= most) ?? length / most;
    pen.fillStyle = style.getPropertyValue("--quiet");
    pen.font = `11px ${style.fontFamily}`;
    for (let passed = 0; passed <= length * 0.97; passed += step) {
      pen.fillText(clock(passed, step), LEFT_PX + ((width - LEFT_PX) * passed) / length, top + AXIS_PX / 2);
    }
  }

  private inWords(): string {
    const rows = [...this.rows.keys()].map((number) => {
      const { expression, seconds } = this.summary(number);
      return `${say("person", { number })}: ${sayExpression(expression)}, ${say("seconds", { seconds: seconds.toFixed(1) })}`;
    });
    return [say("timelineLabel"), ...rows].join(". ");
  }
}

function clock(seconds: number, step: number): string {
  if (step < 1) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}
