/** mien/preprocessing.py: where crops are cut, and the one pre-processing of the recogniser. */
import { type Box, type Picture, grey } from "./picture";
import { resize } from "./resampling";
import { type Preprocessing, type Settings } from "./settings";
import { rotateSquare } from "./turning";

type Crops = Settings["crops"];

/** The upright square around a face's box, (S, S, C). */
export function cropFace(picture: Picture, box: Box, roll: number, network: Preprocessing, crops: Crops): Picture {
  const [x0, y0, x1, y1] = box;
  const side = Math.max(x1 - x0, y1 - y0) * (1 + 2 * network.margin);
  const [x, y] = [(x0 + x1) / 2, (y0 + y1) / 2];
  const { size_px, channels } = network;
  if (roll === 0) return cutSquare(picture, x, y, side, size_px, channels, crops);
  const widePx = 2 * Math.ceil(size_px * Math.sqrt(0.5)) + (size_px % 2);
  const wide = cutSquare(picture, x, y, (side * widePx) / size_px, widePx, channels, crops);
  return middleOf(rotateSquare(wide, roll), size_px);
}

function middleOf(picture: Picture, sizePx: number): Picture {
  const { channels, width, data } = picture;
  const offset = Math.floor((width - sizePx) / 2);
  const made = new Uint8Array(sizePx * sizePx * channels);
  for (let row = 0; row < sizePx; row++) {
    const from = ((row + offset) * width + offset) * channels;
    made.set(data.subarray(from, from + sizePx * channels), row * sizePx * channels);
  }
  return { data: made, width: sizePx, height: sizePx, channels };
}

function cutSquare(
  picture: Picture,
  centreX: number,
  centreY: number,
  side: number,
  sizePx: number,
  channels: number,
  crops: Crops,
): Picture {
  const [left, top] = [centreX - side / 2, centreY - side / 2];
  const [x0, y0] = [Math.floor(left), Math.floor(top)];
  const step = Math.max(1, Math.ceil(side / crops.largest_window_px));
  const seen = windowOf(picture, x0, y0, Math.ceil(left + side), Math.ceil(top + side), step);
  const window = channels === 1 ? grey(seen) : seen;
  const [x, y] = [(left - x0) / step, (top - y0) / step];
  const box: Box = [
    Math.max(x, 0),
    Math.max(y, 0),
    Math.min(x + side / step, window.width),
    Math.min(y + side / step, window.height),
  ];
  return resize(window, sizePx, sizePx, box);
}

/** Every `step`-th pixel between two corners; beyond the picture's edge, the edge's pixels again. */
function windowOf(picture: Picture, x0: number, y0: number, x1: number, y1: number, step: number): Picture {
  const { data, channels } = picture;
  const [width, height] = [Math.ceil((x1 - x0) / step), Math.ceil((y1 - y0) / step)];
  const inside = (place: number, length: number): number => Math.min(Math.max(place, 0), length - 1);
  const columns = Array.from({ length: width }, (_, index) => inside(x0 + index * step, picture.width) * channels);
  const made = new Uint8Array(width * height * channels);
  let to = 0;
  for (let row = 0; row < height; row++) {
    const line = inside(y0 + row * step, picture.height) * picture.width * channels;
    for (const column of columns) {
      for (let channel = 0; channel < channels; channel++) made[to++] = data[line + column + channel]!;
    }
  }
  return { data: made, width, height, channels };
}

/** Crops (S, S, C) as normalised float32 (N, C, S, S). */
export function toNetworkInput(faces: readonly Picture[], network: Preprocessing, crops: Crops): Float32Array {
  const plane = network.size_px ** 2;
  const inputs = new Float32Array(faces.length * network.channels * plane);
  faces.forEach(({ data, channels }, face) => {
    for (let channel = 0; channel < channels; channel++) {
      const start = (face * channels + channel) * plane;
      for (let pixel = 0; pixel < plane; pixel++) inputs[start + pixel] = data[pixel * channels + channel]! / 255;
      const [mean, std] = network.standardize
        ? light(inputs.subarray(start, start + plane), crops.flat_std)
        : [network.mean, network.std];
      for (let pixel = 0; pixel < plane; pixel++) inputs[start + pixel] = (inputs[start + pixel]! - mean) / std;
    }
  });
  return inputs;
}

/** A crop's own mean and its standard deviation, with the least that it is divided by. */
function light(plane: Float32Array, flatStd: number): [number, number] {
  const mean = plane.reduce((sum, value) => sum + value, 0) / plane.length;
  const variance = plane.reduce((sum, value) => sum + (value - mean) ** 2, 0) / plane.length;
  return [mean, Math.sqrt(variance) + flatStd];
}
