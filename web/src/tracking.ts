/** mien/video/tracking.py: whose face is whose from frame to frame, and scores smoothed over seconds. */
import { area, iou } from "./boxes";
import { type Box } from "./picture";
import { type Face } from "./recognizer";
import { type TrackingRules } from "./settings";

/** A face of one frame and whose it is; `scores` are smoothed, `face.scores` are those of the frame. */
export interface TrackedFace {
  readonly person: number;
  readonly face: Face;
  readonly scores: readonly number[];
}

interface Person {
  /** 0 for a face that is not confirmed yet. */
  readonly number: number;
  readonly face: Face;
  /** Pixels a second. */
  readonly velocity: readonly [number, number];
  readonly firstS: number;
  readonly seenS: number;
  readonly scores: readonly number[];
  readonly looks: number;
}

export interface People {
  readonly persons: readonly Person[];
  readonly count: number;
  readonly lookedS: number;
}

export const NOBODY: People = { persons: [], count: 0, lookedS: -Infinity };

/** Takes up the faces of the next frame: the new state, and the confirmed faces with their persons. */
export function follow(
  people: People,
  faces: readonly Face[],
  timeS: number,
  rules: TrackingRules,
): [People, TrackedFace[]] {
  const known = people.persons.filter(
    (person) => person.seenS === people.lookedS || timeS - person.seenS <= rules.memory_s,
  );
  const placeOf = matches(known, people.lookedS, faces, timeS, rules);
  let count = people.count;
  const present = faces.map((face, index) => {
    const place = placeOf.get(index);
    const person: Person =
      place === undefined
        ? { number: 0, face, velocity: [0, 0], firstS: timeS, seenS: timeS, scores: face.scores, looks: 1 }
        : seenAgain(known[place]!, face, timeS, rules);
    return !person.number && isConfirmed(person, timeS, rules) ? { ...person, number: ++count } : person;
  });
  const tracked = present
    .filter((each) => each.number)
    .map((each) => ({ person: each.number, face: each.face, scores: each.scores }));
  const taken = new Set(placeOf.values());
  const absent = known.filter((person, place) => !taken.has(place) && person.number);
  return [{ persons: [...present, ...absent], count, lookedS: timeS }, tracked];
}

/** From indices of faces to indices of known persons; who was there in the look before comes first. */
function matches(
  known: readonly Person[],
  lookedS: number,
  faces: readonly Face[],
  timeS: number,
  rules: TrackingRules,
): Map<number, number> {
  const overlaps: number[][] = [];
  const ways: number[][] = [];
  known.forEach((person, place) => {
    const expected = predictedBox(person, timeS);
    const reach = rules.reach[0] + rules.reach[1] * (timeS - person.seenS);
    faces.forEach((face, index) => {
      const overlap = iou(expected, face.box);
      if (overlap >= rules.overlap) {
        overlaps.push([person.seenS < lookedS ? 1 : 0, -overlap, place, index]);
      } else if (person.number) {
        const off = besideTheWay(person, face, timeS, rules);
        if (off <= reach) ways.push([off, place, index]);
      }
    });
  });
  const found = new Map<number, number>();
  const taken = new Set<number>();
  for (const each of [...overlaps.sort(inOrder), ...ways.sort(inOrder)]) {
    const [place, index] = each.slice(-2) as [number, number];
    if (found.has(index) || taken.has(place)) continue;
    found.set(index, place);
    taken.add(place);
  }
  return found;
}

function inOrder(first: readonly number[], second: readonly number[]): number {
  const place = first.findIndex((value, index) => value !== second[index]);
  return place < 0 ? 0 : first[place]! - second[place]!;
}

/** How far a face is from the way between where a person was seen last and should be by now, in sizes of the face. */
function besideTheWay(person: Person, face: Face, timeS: number, rules: TrackingRules): number {
  const [smaller, larger] = [person.face.box, face.box].map((box) => Math.sqrt(area(box))).sort((a, b) => a - b);
  if (smaller! < rules.like_size * larger!) return Infinity;
  const [wayX, wayY] = movedPx(person, timeS);
  const [startX, startY] = middle(person.face.box);
  const [x, y] = middle(face.box);
  const [offX, offY] = [x - startX, y - startY];
  const squared = wayX ** 2 + wayY ** 2;
  const along = squared ? Math.min(1, Math.max(0, (offX * wayX + offY * wayY) / squared)) : 0;
  return Math.hypot(offX - along * wayX, offY - along * wayY) / larger!;
}

function isConfirmed(person: Person, timeS: number, rules: TrackingRules): boolean {
  const longEnough = timeS - person.firstS >= rules.confirmed_s - 1e-6;
  return longEnough && (person.looks >= rules.confirmed_looks || !rules.confirmed_s);
}

function predictedBox(person: Person, timeS: number): Box {
  const [right, down] = movedPx(person, timeS);
  const [x0, y0, x1, y1] = person.face.box;
  return [x0 + right, y0 + down, x1 + right, y1 + down];
}

function movedPx(person: Person, timeS: number): [number, number] {
  const passed = timeS - person.seenS;
  return [person.velocity[0] * passed, person.velocity[1] * passed];
}

function seenAgain(person: Person, face: Face, timeS: number, rules: TrackingRules): Person {
  const passed = timeS - person.seenS;
  let { velocity } = person;
  if (passed > 0) {
    const [now, then] = [middle(face.box), middle(person.face.box)];
    const kept = Math.min(0.5 ** (passed / rules.velocity_half_life_s), 1 - passed / (timeS - person.firstS));
    const mean = (axis: 0 | 1): number => kept * velocity[axis] + ((1 - kept) * (now[axis] - then[axis])) / passed;
    velocity = [mean(0), mean(1)];
  }
  const scores = smooth(person.scores, face.scores, passed, rules.half_life_s);
  return { ...person, face, velocity, seenS: timeS, scores, looks: person.looks + 1 };
}

function middle(box: Box): [number, number] {
  return [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
}

/** Exponential smoothing: what was counts half after each half-life. */
function smooth(before: readonly number[], now: readonly number[], passedS: number, halfLifeS: number): number[] {
  const kept = halfLifeS > 0 ? 0.5 ** (passedS / halfLifeS) : 0;
  return now.map((score, index) => kept * before[index]! + (1 - kept) * score);
}
