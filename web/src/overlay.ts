/** Boxes with numbers and names over a picture on the screen, and bar charts beside faces in pictures to keep. */
import { type Box } from "./picture";
import { type Settings } from "./settings";
import { type ShownFace, isUnsure, percent, ranked } from "./shown";
import { sayExpression } from "./texts";

type Pen = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;
const FONT = "system-ui, -apple-system, 'Segoe UI', 'Noto Sans', 'Noto Sans CJK SC', sans-serif";

export function colourOf(expression: string, settings: Settings): string {
  return settings.colours[expression] ?? settings.other_colour;
}

/** How a picture's pixels come onto a canvas. */
export interface Placing {
  readonly scale: number;
  readonly width: number;
  readonly height: number;
  readonly mirrored: boolean;
  /** Size of the writing, in pixels of the canvas. */
  readonly fontPx: number;
}

function placed([x0, y0, x1, y1]: Box, { scale, width, mirrored }: Placing): Box {
  const [left, right] = mirrored ? [width - x1 * scale, width - x0 * scale] : [x0 * scale, x1 * scale];
  return [left, y0 * scale, right, y1 * scale];
}

/** A box around each face, and over it a label with number and expression; the chosen face's line is thicker. */
export function drawBoxes(pen: Pen, faces: readonly ShownFace[], placing: Placing, chosen: number, settings: Settings) {
  for (const each of faces) {
    const box = placed(each.face.box, placing);
    const expression = ranked(each)[0]![0];
    outline(pen, box, placing.fontPx, each.number === chosen, colourOf(expression, settings));
    const doubt = isUnsure(each) ? "?" : "";
    label(pen, box, `${each.number}  ${sayExpression(expression)}${doubt}`, placing, colourOf(expression, settings));
  }
}

function outline(pen: Pen, [x0, y0, x1, y1]: Box, fontPx: number, thick: boolean, colour: string): void {
  const line = Math.max(2, fontPx / 7) * (thick ? 1.6 : 1);
  const radius = Math.min(x1 - x0, y1 - y0) * 0.08;
  for (const [style, width] of [
    ["rgb(0 0 0 / 45%)", line * 2],
    [colour, line],
  ] as const) {
    pen.strokeStyle = style;
    pen.lineWidth = width;
    pen.beginPath();
    pen.roundRect(x0, y0, x1 - x0, y1 - y0, radius);
    pen.stroke();
  }
}

function label(pen: Pen, [x0, y0, , y1]: Box, text: string, placing: Placing, colour: string): void {
  const { fontPx, width, height } = placing;
  pen.font = `600 ${fontPx}px ${FONT}`;
  const wide = pen.measureText(text).width + fontPx * 1.8;
  const high = fontPx * 1.7;
  const left = Math.max(2, Math.min(x0, width - wide - 2));
  const above = y0 - high - fontPx * 0.35;
  const top = above >= 2 ? above : Math.min(y1 + fontPx * 0.35, height - high - 2);
  pen.fillStyle = "rgb(16 20 24 / 82%)";
  pen.beginPath();
  pen.roundRect(left, top, wide, high, high / 2);
  pen.fill();
  pen.fillStyle = colour;
  pen.beginPath();
  pen.arc(left + fontPx * 0.8, top + high / 2, fontPx * 0.26, 0, 2 * Math.PI);
  pen.fill();
  pen.fillStyle = "white";
  pen.textBaseline = "middle";
  pen.fillText(text, left + fontPx * 1.35, top + high / 2 + fontPx * 0.04);
}

/** Boxes, and a bar chart beside each face where it hides least, as in `mien predict --out`. */
export function drawCharts(pen: Pen, faces: readonly ShownFace[], placing: Placing, settings: Settings): void {
  const boxes = faces.map((each) => placed(each.face.box, placing));
  faces.forEach((each, index) => {
    outline(pen, boxes[index]!, placing.fontPx, false, colourOf(ranked(each)[0]![0], settings));
  });
  const occupied = [...boxes];
  faces.forEach((each, index) => {
    const chart = new Chart(pen, each, placing, settings);
    const place = chart.place(boxes[index]!, occupied);
    chart.draw(place);
    occupied.push(place);
  });
}

class Chart {
  private readonly rows: [string, string, number][];
  private readonly width: number;
  private readonly height: number;
  private readonly names: number;

  constructor(
    private readonly pen: Pen,
    private readonly shown: ShownFace,
    private readonly placing: Placing,
    private readonly settings: Settings,
  ) {
    const { fontPx } = placing;
    pen.font = `${fontPx}px ${FONT}`;
    const doubt = isUnsure(shown) ? "?" : "";
    const most = Math.max(1, Math.floor(placing.height / (fontPx * 1.3) - 2));
    this.rows = ranked(shown)
      .slice(0, most)
      .map(([name, score], index) => [`${sayExpression(name)}${index ? "" : doubt}`, name, score]);
    this.names = Math.max(...this.rows.map(([text]) => pen.measureText(text).width));
    this.width = this.names + fontPx * 8;
    this.height = (this.rows.length + 1.6) * fontPx * 1.3;
  }

  place([x0, y0, x1, y1]: Box, occupied: readonly Box[]): Box {
    const { width, height } = this;
    const gap = this.placing.fontPx * 0.4;
    const corners = [
      [x1 + gap, y0],
      [x0 - gap - width, y0],
      [x0, y1 + gap],
      [x0, y0 - gap - height],
      [x1 + gap, y1 - height],
      [x0 - gap - width, y1 - height],
    ] as const;
    const inside = (value: number, most: number): number => Math.min(Math.max(0, value), Math.max(0, most));
    const places = corners.map(([x, y]): Box => {
      const [left, top] = [inside(x, this.placing.width - width), inside(y, this.placing.height - height)];
      return [left, top, left + width, top + height];
    });
    const hidden = (place: Box): number => occupied.reduce((sum, other) => sum + sharedArea(place, other), 0);
    return places.reduce((best, place) => (hidden(place) < hidden(best) ? place : best));
  }

  draw([left, top]: Box): void {
    const { pen } = this;
    const { fontPx } = this.placing;
    const row = fontPx * 1.3;
    pen.fillStyle = "rgb(16 20 24 / 75%)";
    pen.beginPath();
    pen.roundRect(left, top, this.width, this.height, fontPx * 0.4);
    pen.fill();
    pen.textBaseline = "middle";
    pen.fillStyle = "white";
    pen.font = `600 ${fontPx}px ${FONT}`;
    pen.fillText(String(this.shown.number), left + fontPx * 0.5, top + row * 0.8);
    pen.font = `${fontPx}px ${FONT}`;
    this.rows.forEach(([text, name, score], index) => {
      const y = top + row * (index + 1.8);
      const bar = left + this.names + fontPx;
      pen.fillStyle = index ? "#c8d0d8" : "white";
      pen.fillText(text, left + fontPx * 0.5, y);
      pen.fillText(percent(score), bar + fontPx * 4.5, y);
      pen.fillStyle = "rgb(255 255 255 / 16%)";
      pen.fillRect(bar, y - fontPx * 0.3, fontPx * 4, fontPx * 0.6);
      pen.fillStyle = colourOf(name, this.settings);
      pen.fillRect(bar, y - fontPx * 0.3, fontPx * 4 * score, fontPx * 0.6);
    });
  }
}

function sharedArea(first: Box, second: Box): number {
  const width = Math.min(first[2], second[2]) - Math.max(first[0], second[0]);
  const height = Math.min(first[3], second[3]) - Math.max(first[1], second[1]);
  return Math.max(0, width) * Math.max(0, height);
}

/** Size of the writing in a picture to keep, so that it is readable at the picture's usual size. */
export function chartFontPx(width: number, height: number): number {
  return Math.max(11, Math.max(width, height) / 65);
}
