/** mien/detection/turned_heads.py: faces that stand on their head are not read as if upright. */
import { iou } from "./boxes";
import { type Network, decode } from "./decoding";
import { type Box, type Picture } from "./picture";
import { reduce } from "./resampling";
import { type Settings } from "./settings";
import { bilinear, transform } from "./turning";

/** Whether a face, found with a score, is surer when it is turned by half a turn. */
export async function isUpsideDown(
  picture: Picture,
  upright: Box,
  roll: number,
  score: number,
  network: Network,
  settings: Settings,
): Promise<boolean> {
  const { again_px, doubted } = settings.turned_heads;
  const [x0, y0, x1, y1] = upright;
  const longer = Math.max(x1 - x0, y1 - y0);
  const [halfWidth, halfHeight] = [x1 - x0, y1 - y0].map((side) => ((side / longer) * again_px) / 4) as [number, number];
  const middle = again_px / 2;
  const box: Box = [middle - halfWidth, middle - halfHeight, middle + halfWidth, middle + halfHeight];
  const crop = cropAgain(picture, (x0 + x1) / 2, (y0 + y1) / 2, 2 * longer, roll, again_px);
  const turned = await best(halfTurned(crop), box, network, settings);
  return turned > doubted * score && turned > (await best(crop, box, network, settings));
}

/** The square around a place, turned upright; black outside of the picture. */
function cropAgain(picture: Picture, x: number, y: number, side: number, roll: number, againPx: number): Picture {
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

async function best(crop: Picture, box: Box, network: Network, settings: Settings): Promise<number> {
  const { least_score, same_place } = settings.turned_heads;
  const found = decode(await network(crop), least_score, settings);
  return Math.max(0, ...found.filter((each) => iou(box, each.box) > same_place).map((each) => each.score));
}
