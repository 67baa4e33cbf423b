/**
 * Pillow's arithmetic, to the last bit: `Image.resize` (bilinear, with reducing_gap), `Image.reduce` and
 * `Image.transform` (affine), so that networks see here what they see in Python.
 */
import { type Box, type Picture } from "./picture";

const PRECISION_BITS = 22;

/** Which pixels of a line make each pixel of the new one, and with which weights (fixed point). */
interface Weights {
  readonly starts: Int32Array;
  readonly counts: Int32Array;
  readonly values: Int32Array;
  readonly most: number;
}

/** `Image.resize((width, height), BILINEAR, box, reducing_gap)`. */
export function resize(
  picture: Picture,
  width: number,
  height: number,
  box: Box = [0, 0, picture.width, picture.height],
  reducingGap?: number,
): Picture {
  const whole = box[0] === 0 && box[1] === 0 && box[2] === picture.width && box[3] === picture.height;
  if (whole && width === picture.width && height === picture.height) return picture;
  if (reducingGap !== undefined) {
    const scaleX = (box[2] - box[0]) / width;
    const scaleY = (box[3] - box[1]) / height;
    const stepX = Math.trunc(scaleX / reducingGap) || 1;
    const stepY = Math.trunc(scaleY / reducingGap) || 1;
    if (stepX > 1 || stepY > 1) {
      const [left, top, right, bottom] = [
        Math.max(0, Math.trunc(box[0] - 0.5 * scaleX)),
        Math.max(0, Math.trunc(box[1] - 0.5 * scaleY)),
        Math.min(picture.width, Math.ceil(box[2] + 0.5 * scaleX)),
        Math.min(picture.height, Math.ceil(box[3] + 0.5 * scaleY)),
      ];
      picture = reduce(picture, stepX, stepY, [left, top, right, bottom]);
      box = [(box[0] - left) / stepX, (box[1] - top) / stepY, (box[2] - left) / stepX, (box[3] - top) / stepY];
    }
  }
  return resample(picture, width, height, box);
}

function resample(picture: Picture, width: number, height: number, box: Box): Picture {
  const [x0, y0, x1, y1] = box.map(Math.fround) as unknown as Box;
  const rows = weights(picture.height, y0, y1, height);
  if (width !== picture.width || x0 !== 0 || x1 !== width) {
    const first = rows.starts[0]!;
    const last = rows.starts[height - 1]! + rows.counts[height - 1]!;
    picture = across(picture, width, weights(picture.width, x0, x1, width), first, last);
    for (let row = 0; row < height; row++) rows.starts[row]! -= first;
    return down(picture, height, rows);
  }
  return height !== picture.height || y0 !== 0 || y1 !== height ? down(picture, height, rows) : picture;
}

function weights(length: number, start: number, end: number, wanted: number): Weights {
  const scale = Math.fround(end - start) / wanted;
  const support = Math.max(scale, 1);
  const most = Math.ceil(support) * 2 + 1;
  const starts = new Int32Array(wanted);
  const counts = new Int32Array(wanted);
  const values = new Int32Array(wanted * most);
  const exact = new Float64Array(most);
  for (let place = 0; place < wanted; place++) {
    const centre = start + (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const count = Math.min(length, Math.trunc(centre + support + 0.5)) - first;
    let sum = 0;
    for (let index = 0; index < count; index++) {
      sum += exact[index] = Math.max(0, 1 - Math.abs((index + first - centre + 0.5) * (1 / support)));
    }
    for (let index = 0; index < count; index++) {
      const share = sum === 0 ? exact[index]! : exact[index]! / sum;
      values[place * most + index] = Math.trunc(0.5 + share * (1 << PRECISION_BITS));
    }
    starts[place] = first;
    counts[place] = count;
  }
  return { starts, counts, values, most };
}

function across(picture: Picture, width: number, columns: Weights, first: number, last: number): Picture {
  const { data, channels } = picture;
  const made = new Uint8ClampedArray(width * (last - first) * channels);
  const { starts, counts, values, most } = columns;
  let to = 0;
  for (let row = first; row < last; row++) {
    const line = row * picture.width;
    for (let column = 0; column < width; column++) {
      const weight = column * most;
      let from = (line + starts[column]!) * channels;
      const count = counts[column]!;
      let red = 1 << (PRECISION_BITS - 1);
      if (channels === 1) {
        for (let index = 0; index < count; index++) red += data[from++]! * values[weight + index]!;
        made[to++] = red >> PRECISION_BITS;
        continue;
      }
      let green = red;
      let blue = red;
      for (let index = 0; index < count; index++, from += 3) {
        const value = values[weight + index]!;
        red += data[from]! * value;
        green += data[from + 1]! * value;
        blue += data[from + 2]! * value;
      }
      made[to] = red >> PRECISION_BITS;
      made[to + 1] = green >> PRECISION_BITS;
      made[to + 2] = blue >> PRECISION_BITS;
      to += 3;
    }
  }
  return { data: made, width, height: last - first, channels };
}

function down(picture: Picture, height: number, rows: Weights): Picture {
  const { data, width, channels } = picture;
  const stride = width * channels;
  const made = new Uint8ClampedArray(stride * height);
  const sums = new Int32Array(stride);
  for (let row = 0; row < height; row++) {
    sums.fill(1 << (PRECISION_BITS - 1));
    for (let index = 0; index < rows.counts[row]!; index++) {
      const value = rows.values[row * rows.most + index]!;
      const from = (rows.starts[row]! + index) * stride;
      for (let place = 0; place < stride; place++) sums[place]! += data[from + place]! * value;
    }
    const to = row * stride;
    for (let place = 0; place < stride; place++) made[to + place] = sums[place]! >> PRECISION_BITS;
  }
  return { data: made, width, height, channels };
}

/** `Image.reduce((stepX, stepY), box)`: means of blocks; those at the right and lower edge may be smaller. */
export function reduce(
  picture: Picture,
  stepX: number,
  stepY: number,
  box: Box = [0, 0, picture.width, picture.height],
): Picture {
  const { data, channels } = picture;
  const [left, top, right, bottom] = box;
  const width = Math.ceil((right - left) / stepX);
  const height = Math.ceil((bottom - top) / stepY);
  const made = new Uint8Array(width * height * channels);
  let to = 0;
  for (let row = 0; row < height; row++) {
    const y0 = top + row * stepY;
    const y1 = Math.min(bottom, y0 + stepY);
    for (let column = 0; column < width; column++) {
      const x0 = left + column * stepX;
      const x1 = Math.min(right, x0 + stepX);
      const pixels = (x1 - x0) * (y1 - y0);
      const multiplier = Math.trunc(Math.fround(2 ** 32 / (256 * pixels)));
      for (let channel = 0; channel < channels; channel++) {
        let sum = pixels >> 1;
        for (let y = y0; y < y1; y++) {
          const end = (y * picture.width + x1) * channels;
          for (let from = (y * picture.width + x0) * channels + channel; from < end; from += channels) sum += data[from]!;
        }
        made[to++] = Math.floor((sum * multiplier) / 2 ** 24);
      }
    }
  }
  return { data: made, width, height, channels };
}
