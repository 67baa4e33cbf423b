/** All that was found, as a table: of pictures a row for each face, of moving ones a row for each person. */
import { type PhotoResult } from "./downloads";
import { make } from "./elements";
import { isUnsure, percent, ranked } from "./shown";
import { type Key, say, sayExpression } from "./texts";
import { type Timeline } from "./timeline";

export function photoTable(results: readonly PhotoResult[]): HTMLTableElement {
  const rows = results.flatMap(({ source, faces, error }) =>
    faces.length
      ? faces.map((each) => {
          const [expression, score] = ranked(each)[0]!;
          const doubt = isUnsure(each) ? ` (${say(each.face.mouthCovered ? "covered" : "unsure")})` : "";
          const box = each.face.box.map((side) => Math.round(side)).join(", ");
          const certainty = percent(each.face.detectionScore);
          return [source, String(each.number), sayExpression(expression) + doubt, percent(score), certainty, box];
        })
      : [[source, "", error ?? say("noFace"), "", "", ""]],
  );
  return table(["source", "number", "expression", "confidence", "detection", "box"], rows);
}

export function peopleTable(timeline: Timeline): HTMLTableElement {
  const rows = [...timeline.rows.keys()].sort((a, b) => a - b).map((number) => {
    const { expression, seconds } = timeline.summary(number);
    return [say("person", { number }), say("seconds", { seconds: seconds.toFixed(1) }), sayExpression(expression)];
  });
  return table(["number", "seen", "mostly"], rows);
}

function table(heads: readonly Key[], rows: readonly string[][]): HTMLTableElement {
  const head = make("tr", "", ...heads.map((key) => {
    const cell = make("th", "", say(key));
    cell.scope = "col";
    return cell;
  }));
  const body = rows.map((row) => make("tr", "", ...row.map((text) => make("td", "", text))));
  return make("table", "", make("thead", "", head), make("tbody", "", ...body));
}
