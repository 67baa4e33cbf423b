/** mien/detection/turned_heads.py: faces that stand on their head are not read as if upright. */
import { type Candidate, iou } from "./boxes";
import { type Network, decode } from "./decoding";
import { type Box, type Picture } from "./picture";
import { reduce } from "./resampling";
import { type Settings } from "./settings";
import { bilinear, transform } from "./turning";

/** A face with the way it stands. */
export interface Standing extends Candidate {
  readonly roll: number;
  readonly upright: Box;
}

/** Whether each face is surer when it is turned by half a turn. */
export async function areUpsideDown(
  picture: Picture,
  faces: readonly Standing[],
  network: Network,
  settings: Settings,
): Promise<boolean[]> {
  const { upside_down_from, upside_down_px, doubted_share } = settings.looks;
  const looked = faces.filter((face) => face.score >= upside_down_from);
  const crops = looked.map((face) => cropAgain(picture, face, upside_down_px));
  const turned = await best(crops.map(halfTurned), looked, network, settings);
  const doubtful = [...looked.keys()].filter((place) => turned[place]! > doubted_share * looked[place]!.score);
  const again = await best(doubtful.map((place) => crops[place]!), doubtful.map((place) => looked[place]!), network, settings);
  const refused = new Set(doubtful.filter((place, index) => turned[place]! > again[index]!).map((place) => looked[place]));
  return faces.map((face) => refused.has(face));
}

/** The square around a face, turned upright; black outside of the picture. */
function cropAgain(picture: Picture, { upright: [x0, y0, x1, y1], roll }: Standing, againPx: number): Picture {
  const [x, y, side] = [(x0 + x1) / 2, (y0 + y1) / 2, 2 * Math.max(x1 - x0, y1 - y0)];
  const reach = side * Math.sqrt(0.5) + 1;
  const [left, top] = [Math.max(0, Math.floor(x - reach)), Math.max(0, Math.floor(y - reach))];
  const right = Math.min(picture.width, Math.ceil(x + reach));
  const bottom = Math.min(picture.height, Math.ceil(y + reach));
  const step = Math.max(1, Math.trunc(side / againPx));
  const window = reduce(picture, step, step, [left, top, right, bottom]);
  const pixel = side / againPx / step;
  const angle = (roll * Math.PI) / 180;
  const [cosine, sine] = [pixel * Math.cos(angle), pixel * Math.sin(angle)];
  const middle = againPx / 2;
  const across = (x - left) / step - (cosine - sine) * middle;
  const down = (y - top) / step - (sine + cosine) * middle;
  return transform(window, againPx, againPx, [cosine, -sine, across, sine, cosine, down], bilinear);
}

function halfTurned(picture: Picture): Picture {
  const { data, channels } = picture;
  const made = new Uint8Array(data.length);
  for (let from = 0, to = data.length - channels; from < data.length; from += channels, to -= channels) {
    for (let channel = 0; channel < channels; channel++) made[to + channel] = data[from + channel]!;
  }
  return { ...picture, data: made };
}

/** The best score of a candidate in the place of each face; 0 where there is none. Many crops are one picture. */
async function best(
  crops: readonly Picture[],
  faces: readonly Standing[],
  network: Network,
  settings: Settings,
): Promise<number[]> {
  const { upside_down_px: side, upside_down_score, upside_down_iou } = settings.looks;
  const { at_once } = settings.turned_heads;
  const found: number[] = [];
  for (let start = 0; start < crops.length; start += at_once) {
    const part = crops.slice(start, start + at_once);
    const columns = Math.min(part.length, settings.turned_heads.columns);
    const candidates = decode(await network(sideBySide(part, columns, side)), upside_down_score, settings);
    part.forEach((_, index) => {
      const box = boxInCrop(faces[start + index]!, side, (index % columns) * side, Math.floor(index / columns) * side);
      const near = candidates.filter((each) => iou(box, each.box) > upside_down_iou);
      found.push(Math.max(0, ...near.map((each) => each.score)));
    });
  }
  return found;
}

function sideBySide(crops: readonly Picture[], columns: number, side: number): Picture {
  const width = columns * side;
  const height = Math.ceil(crops.length / columns) * side;
  const made = new Uint8Array(width * height * 3);
  crops.forEach(({ data }, index) => {
    const [x, y] = [(index % columns) * side, Math.floor(index / columns) * side];
    for (let row = 0; row < side; row++) {
      made.set(data.subarray(row * side * 3, (row + 1) * side * 3), ((y + row) * width + x) * 3);
    }
  });
  return { data: made, width, height, channels: 3 };
}

/** The box of a face in its square, whose corner is at a place. */
function boxInCrop({ upright: [x0, y0, x1, y1] }: Standing, side: number, x: number, y: number): Box {
  const longer = Math.max(x1 - x0, y1 - y0);
  const halfWidth = (((x1 - x0) / longer) * side) / 4;
  const halfHeight = (((y1 - y0) / longer) * side) / 4;
  const middle = side / 2;
  return [x + middle - halfWidth, y + middle - halfHeight, x + middle + halfWidth, y + middle + halfHeight];
}
