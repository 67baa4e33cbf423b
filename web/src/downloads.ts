/** Results as files, with the columns and names of `mien predict` and `mien video`. */
import { make } from "./elements";
import { type Model } from "./settings";
import { type ShownFace, isUnsure, ranked } from "./shown";

export interface PhotoResult {
  readonly source: string;
  readonly width: number;
  readonly height: number;
  readonly faces: readonly ShownFace[];
  readonly error?: string;
}
export interface FrameResult {
  readonly frame: number;
  readonly timeS: number;
  readonly faces: readonly ShownFace[];
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

function faceRecord(shown: ShownFace): object {
  const rows = ranked(shown);
  return {
    box_xyxy: shown.face.box.map((side) => rounded(side, 2)),
    detection_score: rounded(shown.face.detectionScore, 4),
    landmarks_xy: shown.face.landmarks.map((place) => place.map((side) => rounded(side, 2))),
    expression: rows[0]![0],
    confidence: rounded(rows[0]![1], 6),
    unsure: isUnsure(shown),
    mouth_covered: shown.face.mouthCovered,
    scores: Object.fromEntries(rows.map(([name, score]) => [name, rounded(score, 6)])),
  };
}

/** A line of JSON for each picture. */
export function photoJson(results: readonly PhotoResult[]): string {
  return lines(results.map(({ source, width, height, faces, error }) => {
    const record = error ? { source, error } : { source, width, height, faces: faces.map(faceRecord) };
    return JSON.stringify(record);
  }));
}

/** A line of JSON for each frame. */
export function frameJson(results: readonly FrameResult[]): string {
  return lines(results.map(({ frame, timeS, faces }) => {
    const records = faces.map((each) => ({
      person: each.number,
      ...faceRecord(each),
      raw_scores: Object.fromEntries(
        each.model.expressions.map((name, index) => [name, rounded(each.face.scores[index]!, 6)]),
      ),
    }));
    return JSON.stringify({ frame, time_s: rounded(timeS, 4), faces: records });
  }));
}

/** A row for each face. */
export function photoCsv(results: readonly PhotoResult[], model: Model): string {
  const { expressions } = model;
  const place = ["source", "width", "height", "face", "x0", "y0", "x1", "y1", "detection_score", "expression"];
  const rows: (string | number)[][] = [[...place, ...expressions, "error", "unsure", "mouth_covered"]];
  for (const { source, width, height, faces, error } of results) {
    if (!faces.length) {
      const size = error ? ["", ""] : [width, height];
      rows.push([source, ...size, ...Array<string>(7 + expressions.length).fill(""), error ?? "", "", ""]);
    }
    faces.forEach((each, index) => {
      const { face, scores } = each;
      const box = face.box.map((side) => rounded(side, 2));
      const shares = scores.map((score) => rounded(score, 6));
      const found = [...box, rounded(face.detectionScore, 4), ranked(each)[0]![0], ...shares];
      rows.push([source, width, height, index, ...found, "", String(isUnsure(each)), String(face.mouthCovered)]);
    });
  }
  return csv(rows);
}

/** A row for each face of each frame. */
export function frameCsv(results: readonly FrameResult[], model: Model): string {
  const { expressions } = model;
  const place = ["time_s", "frame", "person", "x0", "y0", "x1", "y1", "detection_score", "expression"];
  const rows: (string | number)[][] = [[...place, ...expressions, ...expressions.map((name) => `raw ${name}`)]];
  for (const { frame, timeS, faces } of results) {
    for (const each of faces) {
      const { face, scores, number } = each;
      const box = face.box.map((side) => side.toFixed(2));
      const shares = [...scores, ...face.scores].map((score) => score.toFixed(6));
      rows.push([timeS.toFixed(4), frame, number, ...box, face.detectionScore.toFixed(4), ranked(each)[0]![0], ...shares]);
    }
  }
  return csv(rows);
}

function csv(rows: readonly (string | number)[][]): string {
  const cell = (value: string | number): string => {
    const text = String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

function lines(records: readonly string[]): string {
  return records.map((record) => `${record}\n`).join("");
}

/** Hands a file to the visitor. */
export function save(content: Blob, name: string): void {
  const link = make("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
