/** What the page and its worker say to each other. */
import { type Face, type Times } from "./recognizer";
import { type Settings } from "./settings";
import { type TrackedFace } from "./tracking";

export interface Load {
  readonly kind: "load";
  readonly settings: Settings;
  /** Address of the page. */
  readonly base: string;
  /** Address of the folder of the runtime. */
  readonly runtime: string;
  readonly model: string;
  readonly threads: number;
}
/** Makes a network ready. */
export interface Choose {
  readonly kind: "choose";
  readonly model: string;
}
export interface Photo {
  readonly kind: "photo";
  readonly file: Blob;
  readonly model: string;
}
export interface Frame {
  readonly kind: "frame";
  readonly bitmap: ImageBitmap;
  readonly model: string;
  readonly timeS: number;
  readonly halfLifeS: number;
  /** A new video, or another place in it: nobody is known. */
  readonly anew: boolean;
}
export type Request = Load | Choose | Photo | Frame;

export interface Faces {
  readonly width: number;
  readonly height: number;
  readonly faces: readonly Face[];
  readonly times: Times;
}
export interface Tracked {
  readonly tracked: readonly TrackedFace[];
  readonly times: Times;
}
export interface Answers {
  load: Record<string, never>;
  choose: Record<string, never>;
  photo: Faces;
  frame: Tracked;
}

/** Why a picture was refused. */
export type Refusal = "unreadable" | "too-large";
export interface Reply {
  readonly id: number;
  readonly answer?: Answers[Request["kind"]];
  readonly refusal?: Refusal;
  readonly failure?: string;
}
