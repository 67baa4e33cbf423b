/** Pillow's `Image.transform` (affine) and `Image.rotate`, with its rounding; black outside of the picture. */
import { type Picture } from "./picture";

export type Affine = readonly [number, number, number, number, number, number];
/** The value of one channel at a place of a picture, given in pixels from the middle of its first one. */
type Filter = (picture: Picture, x: number, y: number, channel: number) => number;

export function transform(picture: Picture, width: number, height: number, matrix: Affine, filter: Filter): Picture {
  const { channels } = picture;
  const [a, b, c, d, e, f] = matrix;
  const made = new Uint8Array(width * height * channels);
  let to = 0;
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++, to += channels) {
      const x = a * (column + 0.5) + b * (row + 0.5) + c;
      const y = d * (column + 0.5) + e * (row + 0.5) + f;
      if (x < 0 || x >= picture.width || y < 0 || y >= picture.height) continue;
      for (let channel = 0; channel < channels; channel++) {
        const value = filter(picture, x - 0.5, y - 0.5, channel);
        made[to + channel] = Math.min(255, Math.max(0, Math.trunc(value)));
      }
    }
  }
  return { data: made, width, height, channels };
}

function clip(place: number, length: number): number {
  return place < 0 ? 0 : place >= length ? length - 1 : place;
}

export const bilinear: Filter = (picture, x, y, channel) => {
  const { data, width, height, channels } = picture;
  const column = Math.floor(x);
  const row = Math.floor(y);
  const dx = x - column;
  const dy = y - row;
  const left = clip(column, width) * channels + channel;
  const right = clip(column + 1, width) * channels + channel;
  const line = (at: number): number => {
    const start = at * width * channels;
    return data[start + left]! * (1 - dx) + data[start + right]! * dx;
  };
  const first = line(clip(row, height));
  const second = row + 1 >= 0 && row + 1 < height ? line(row + 1) : first;
  return first * (1 - dy) + second * dy;
};

function cubic(before: number, start: number, end: number, after: number, share: number): number {
  const p2 = end - before;
  const p3 = 2 * (before - start) + end - after;
  const p4 = -before + start - end + after;
  return start + share * (p2 + share * (p3 + share * p4));
}

export const bicubic: Filter = (picture, x, y, channel) => {
  const { data, width, height, channels } = picture;
  const column = Math.floor(x);
  const row = Math.floor(y);
  const places = [-1, 0, 1, 2].map((step) => clip(column + step, width) * channels + channel);
  const line = (at: number): number => {
    const start = at * width * channels;
    const [v1, v2, v3, v4] = places.map((place) => data[start + place]!) as [number, number, number, number];
    return cubic(v1, v2, v3, v4, x - column);
  };
  const lines = [line(clip(row - 1, height))];
  for (const at of [row, row + 1, row + 2]) {
    lines.push(at >= 0 && at < height ? line(at) : lines[lines.length - 1]!);
  }
  return cubic(lines[0]!, lines[1]!, lines[2]!, lines[3]!, y - row);
};

/** `Image.rotate(degrees, BICUBIC)` of a square: counter-clockwise, within the same frame. */
export function rotateSquare(picture: Picture, degrees: number): Picture {
  const side = picture.width;
  const angle = (-(((degrees % 360) + 360) % 360) * Math.PI) / 180;
  const exact = (value: number): number => Math.round(value * 1e15) / 1e15;
  const cosine = exact(Math.cos(angle));
  const sine = exact(Math.sin(angle));
  const middle = side / 2;
  const right = cosine * -middle + sine * -middle + middle;
  const down = -sine * -middle + cosine * -middle + middle;
  return transform(picture, side, side, [cosine, sine, right, -sine, cosine, down], bicubic);
}
