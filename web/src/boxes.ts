/** mien/detection/boxes.py: candidates, intersection over union, non-maximum suppression, boxes of leaning faces. */
import { type Box, round } from "./picture";
import { type BoxRules, type LookRules } from "./settings";

export type Place = readonly [number, number];

export interface Candidate {
  readonly box: Box;
  readonly score: number;
  /** Left eye, right eye, nose tip, left and right mouth corner, as seen when the face stands upright. */
  readonly landmarks: readonly Place[];
}

export function area(box: Box): number {
  return (box[2] - box[0]) * (box[3] - box[1]);
}

/** The square root of a box's area. */
export function sizePx(candidate: Candidate): number {
  return Math.sqrt(area(candidate.box));
}

export function iou(first: Box, second: Box): number {
  const width = Math.max(0, Math.min(first[2], second[2]) - Math.max(first[0], second[0]));
  const height = Math.max(0, Math.min(first[3], second[3]) - Math.max(first[1], second[1]));
  const shared = width * height;
  return shared / (area(first) + area(second) - shared);
}

/** The surest first; of equals, the first one. */
export function bySureness(candidates: readonly Candidate[]): Candidate[] {
  return [...candidates].sort((first, second) => second.score - first.score);
}

/** In other pixels: x and y times a factor, plus an offset. */
export function moved(candidate: Candidate, factor: Place, offset: Place = [0, 0]): Candidate {
  const [x0, y0, x1, y1] = candidate.box;
  return {
    box: [
      x0 * factor[0] + offset[0],
      y0 * factor[1] + offset[1],
      x1 * factor[0] + offset[0],
      y1 * factor[1] + offset[1],
    ],
    score: candidate.score,
    landmarks: candidate.landmarks.map(([x, y]) => [x * factor[0] + offset[0], y * factor[1] + offset[1]]),
  };
}

/** Of candidates, the surest first, one of each face, with the mean landmarks of those that nearly agree with it. */
export function nms(candidates: readonly Candidate[], rules: LookRules, scoreThreshold: number): Candidate[] {
  const kept: Candidate[] = [];
  let left = [...candidates];
  while (left.length && left[0]!.score >= scoreThreshold) {
    const surest = left[0]!;
    const shared = left.map((other) => iou(surest.box, other.box));
    const heard = Math.min(rules.voting_score, surest.score);
    const agreeing = left.filter((other, index) => other.score >= heard && shared[index]! >= rules.voting_iou);
    kept.push({ ...surest, landmarks: meanLandmarks(agreeing) });
    left = left.filter((_, index) => index > 0 && shared[index]! <= rules.nms_iou);
  }
  return kept;
}

function meanLandmarks(candidates: readonly Candidate[]): Place[] {
  const total = candidates.reduce((sum, each) => sum + each.score, 0);
  return candidates[0]!.landmarks.map((_, index) => {
    const mean = (axis: 0 | 1): number =>
      candidates.reduce((sum, each) => sum + (each.score / total) * each.landmarks[index]![axis], 0);
    return [mean(0), mean(1)];
  });
}

/** How far a face leans clockwise, by its eyes. */
export function rollDegrees(landmarks: readonly Place[]): number {
  const [left, right] = landmarks;
  return (Math.atan2(right![1] - left![1], right![0] - left![0]) * 180) / Math.PI;
}

/** The box of a face that stood upright, from the box of it as it leans. */
export function uprightBox(box: Box, roll: number, rules: BoxRules): Box {
  const [x0, y0, x1, y1] = box;
  let wide = ((x1 - x0) / 2) ** 2;
  let high = ((y1 - y0) / 2) ** 2;
  const turns = round(roll / 90);
  const rest = Math.abs(roll - 90 * turns);
  if (turns % 2) [wide, high] = [high, wide];
  let shape = rules.shape;
  if (rest < 25) {
    const angle = (rest * Math.PI) / 180;
    const cosine = Math.cos(angle) ** 2;
    const sine = Math.sin(angle) ** 2;
    const width = Math.max(1e-9, wide * cosine - high * sine);
    const height = Math.max(1e-9, high * cosine - wide * sine);
    const own = Math.min(Math.max(Math.sqrt(height / width), rules.flattest), rules.longest);
    shape += (own - shape) * Math.min(1, (25 - rest) / 10);
  }
  const halfWidth = Math.sqrt((wide + high) / (1 + shape ** 2));
  const halfHeight = halfWidth * shape;
  const x = (x0 + x1) / 2;
  const y = (y0 + y1) / 2;
  return [x - halfWidth, y - halfHeight, x + halfWidth, y + halfHeight];
}
