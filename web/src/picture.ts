/** Pixels as Pillow holds them: rows of interleaved values, 0 to 255. */
export interface Picture {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
  /** 1 for grey, 3 for RGB. */
  readonly channels: 1 | 3;
}

/** Left, top, right, bottom in float pixels. */
export type Box = readonly [number, number, number, number];

/** RGBA, as canvases give it, without its alpha. */
export function rgbOf(image: ImageData): Picture {
  const { data, width, height } = image;
  const rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < rgb.length; from += 4, to += 3) {
    rgb[to] = data[from]!;
    rgb[to + 1] = data[from + 1]!;
    rgb[to + 2] = data[from + 2]!;
  }
  return { data: rgb, width, height, channels: 3 };
}

/** ITU-R 601 luma, rounded as Pillow does. */
export function grey(picture: Picture): Picture {
  if (picture.channels === 1) return picture;
  const { data, width, height } = picture;
  const luma = new Uint8Array(width * height);
  for (let to = 0, from = 0; to < luma.length; to++, from += 3) {
    luma[to] = (data[from]! * 19595 + data[from + 1]! * 38470 + data[from + 2]! * 7471 + 0x8000) >> 16;
  }
  return { data: luma, width, height, channels: 1 };
}

/** The nearest whole number; halves go to the even one, as in Python. */
export function round(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
