/** mien/detection/decoding.py: a picture to the detector's network, its maps to boxes, scores and landmarks. */
import { type Candidate, type Place, bySureness, moved, nms, sizePx } from "./boxes";
import { type Picture, round } from "./picture";
import { resize } from "./resampling";
import { type Settings } from "./settings";

/** One map for each stride: values (channels, rows, columns). */
export interface DetectorMap {
  readonly data: Float32Array;
  readonly rows: number;
  readonly columns: number;
}
export type Network = (picture: Picture) => Promise<readonly DetectorMap[]>;

export function decode(maps: readonly DetectorMap[], scoreThreshold: number, settings: Settings): Candidate[] {
  const { strides, size, values } = settings.decoding;
  const logit = Math.log(scoreThreshold / (1 - scoreThreshold));
  const found: Candidate[] = [];
  maps.forEach(({ data, rows, columns }, index) => {
    const cells = rows * columns;
    if (data.length !== values * cells) throw new Error(`a map has ${data.length / cells} values, not ${values}`);
    for (let cell = 0; cell < cells; cell++) {
      if (data[cell]! > logit) found.push(decodeCell(data, cell, cells, columns, strides[index]!, size));
    }
  });
  return bySureness(found);
}

function decodeCell(
  data: Float32Array,
  cell: number,
  cells: number,
  columns: number,
  stride: number,
  size: number,
): Candidate {
  const value = (index: number): number => data[index * cells + cell]!;
  const x = ((cell % columns) + 0.5 + value(1)) * stride;
  const y = (Math.floor(cell / columns) + 0.5 + value(2)) * stride;
  const half = (index: number): number => (Math.exp(Math.min(value(index), 5)) * stride * size) / 2;
  const [halfWidth, halfHeight] = [half(3), half(4)];
  const landmarks: Place[] = [];
  for (let index = 5; index < 15; index += 2) {
    landmarks.push([x + value(index) * halfWidth, y + value(index + 1) * halfHeight]);
  }
  return {
    box: [x - halfWidth, y - halfHeight, x + halfWidth, y + halfHeight],
    score: 1 / (1 + Math.exp(-value(0))),
    landmarks,
  };
}

/** The faces in a picture, the surest first, by looks at the whole of it at one size: the fast way, for videos. */
export async function findFaces(picture: Picture, network: Network, settings: Settings): Promise<Candidate[]> {
  const { detector, looks } = settings;
  const heard = Math.min(detector.score_threshold, looks.voting_score);
  const found = await wholeLooks(picture, network, looks.longest_px, heard, settings);
  return nms(found, looks, detector.score_threshold);
}

/** Candidates, the surest first, by looks at the whole of a picture, each a third as fine as the one before. */
export async function wholeLooks(
  picture: Picture,
  network: Network,
  longestPx: number,
  scoreThreshold: number,
  settings: Settings,
): Promise<Candidate[]> {
  const rules = settings.looks;
  const { width, height } = picture;
  let scale = firstScale(width, height, longestPx, settings);
  const looks: Candidate[] = [];
  for (let look = 0; !look || Math.max(height, width) * scale * rules.times_smaller > rules.well_found_px; look++) {
    const [across, down] = [inputSide(width * scale, settings), inputSide(height * scale, settings)];
    picture = resize(picture, across, down, undefined, look ? 1 : 2);
    const found = decode(await network(picture), scoreThreshold, settings);
    for (const each of found) {
      if (!look || sizePx(each) >= rules.smallest_again_px) looks.push(moved(each, [width / across, height / down]));
    }
    scale /= rules.times_smaller;
  }
  return bySureness(looks);
}

/** By how much a picture is enlarged for the first look at it. */
export function firstScale(width: number, height: number, longestPx: number, settings: Settings): number {
  const rules = settings.looks;
  const [longer, shorter] = [Math.max(width, height), Math.min(width, height)];
  const wanted = Math.max(longestPx / longer, Math.min(1, rules.narrowest_px / shorter));
  return Math.min(rules.most_enlarged, rules.largest_px / longer, wanted);
}

/** The side of the network's input that is nearest to so many pixels. */
export function inputSide(sidePx: number, settings: Settings): number {
  const { multiple_px } = settings.decoding;
  return Math.max(1, round(sidePx / multiple_px)) * multiple_px;
}
