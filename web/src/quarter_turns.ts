/** Pictures turned by quarters, and what was found in them back in the pixels of the picture before. */
import { type Candidate, type Place } from "./boxes";
import { type Picture } from "./picture";

/** Counter-clockwise, as `numpy.rot90`. */
export function quarterTurned(picture: Picture, turns: number): Picture {
  const { data, width, height, channels } = picture;
  const [wide, high] = turns % 2 ? [height, width] : [width, height];
  const made = new Uint8Array(data.length);
  let to = 0;
  for (let row = 0; row < high; row++) {
    for (let column = 0; column < wide; column++) {
      const [x, y] = [
        [column, row],
        [width - 1 - row, column],
        [width - 1 - column, height - 1 - row],
        [row, height - 1 - column],
      ][turns] as [number, number];
      const from = (y * width + x) * channels;
      for (let channel = 0; channel < channels; channel++) made[to++] = data[from + channel]!;
    }
  }
  return { data: made, width: wide, height: high, channels };
}

/** width, height: of the picture before. */
export function turnedBack(found: Candidate, turns: number, width: number, height: number): Candidate {
  const back = ([x, y]: Place): Place =>
    [
      [x, y] as const,
      [width - y, x] as const,
      [width - x, height - y] as const,
      [y, height - x] as const,
    ][turns]!;
  const [x0, y0, x1, y1] = found.box;
  const [first, second] = [back([x0, y0]), back([x1, y1])];
  return {
    box: [
      Math.min(first[0], second[0]),
      Math.min(first[1], second[1]),
      Math.max(first[0], second[0]),
      Math.max(first[1], second[1]),
    ],
    score: found.score,
    landmarks: found.landmarks.map(back),
  };
}
