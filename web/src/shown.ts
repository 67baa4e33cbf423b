/** What the page knows of a face that it shows: of a picture, or of a person in a moving one. */
import { type Face, type Times } from "./recognizer";
import { type Model } from "./settings";
import { say } from "./texts";
import { type TrackedFace } from "./tracking";

export interface ShownFace {
  /** Counted from 1; a person's stays from frame to frame. */
  readonly number: number;
  readonly face: Face;
  /** Smoothed, for a person. */
  readonly scores: readonly number[];
  readonly model: Model;
}

/** Expressions with their scores, the most probable first. */
export function ranked({ scores, model }: ShownFace): [string, number][] {
  return model.expressions
    .map((name, index): [string, number] => [name, scores[index]!])
    .sort((first, second) => second[1] - first[1]);
}

export function isUnsure({ face, scores, model }: ShownFace): boolean {
  return face.mouthCovered || Math.max(...scores) < model.unsure_below;
}

export function ofPhoto(faces: readonly Face[], model: Model): ShownFace[] {
  return faces.map((face, index) => ({ number: index + 1, face, scores: face.scores, model }));
}

export function ofFrame(tracked: readonly TrackedFace[], model: Model): ShownFace[] {
  return tracked.map(({ person, face, scores }) => ({ number: person, face, scores, model }));
}

/** The milliseconds of all stages and each, rounded, for a sentence. */
export function told(times: Times): Record<string, string> {
  const { decode, detect, crop, recognize } = times;
  const shown = (ms: number): string => (ms < 10 ? ms.toFixed(1) : ms.toFixed(0));
  return {
    ms: shown(decode + detect + crop + recognize),
    decode: shown(decode),
    detect: shown(detect),
    crop: shown(crop),
    recognize: shown(recognize),
  };
}

/** How many faces there are, in words. */
export function counted(count: number): string {
  if (!count) return say("noFace");
  return count === 1 ? say("oneFace") : say("faces", { count });
}

export function percent(share: number): string {
  return `${Math.round(share * 100)}%`;
}
