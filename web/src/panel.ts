/** The faces beside the picture: a card for each, with a bar for each expression. */
import { make, put } from "./elements";
import { colourOf } from "./overlay";
import { type Settings } from "./settings";
import { type ShownFace, isUnsure, percent, ranked } from "./shown";
import { say, sayExpression } from "./texts";

const SHOWN_BRIEFLY = 3;
/** Where there are more faces than these, only the chosen one has all bars. */
const FULL_CARDS = 2;

export class Panel {
  /** Called with the number of a face that was chosen. */
  onChoose: (number: number) => void = () => {};
  private readonly cards = new Map<number, Card>();

  constructor(
    private readonly list: HTMLElement,
    private readonly settings: Settings,
  ) {}

  /** people: the numbers are persons'. */
  show(faces: readonly ShownFace[], chosen: number, people: boolean): void {
    const present = new Set(faces.map((each) => each.number));
    for (const [number, card] of this.cards) {
      if (present.has(number)) continue;
      card.element.remove();
      this.cards.delete(number);
    }
    for (const each of faces) {
      let card = this.cards.get(each.number);
      if (!card) {
        card = new Card(this.settings);
        card.element.onclick = () => this.onChoose(each.number);
        this.cards.set(each.number, card);
        this.list.append(card.element);
      }
      const full = faces.length <= FULL_CARDS || each.number === chosen;
      card.show(each, each.number === chosen && faces.length > 1, full, people);
    }
  }
}

class Card {
  readonly element = make("button", "card");
  private readonly badge = make("span", "badge");
  private readonly name = make("span", "name");
  private readonly share = make("span", "share");
  private readonly doubt = make("span", "doubt");
  private readonly bars = make("span", "bars");

  constructor(private readonly settings: Settings) {
    const head = make("span", "head", this.badge, this.name, this.doubt, this.share);
    this.element.type = "button";
    this.element.append(head, this.bars);
  }

  show(face: ShownFace, chosen: boolean, full: boolean, person: boolean): void {
    const rows = ranked(face);
    const [best, score] = rows[0]!;
    put(this.badge, String(face.number));
    put(this.name, sayExpression(best));
    put(this.share, percent(score));
    this.doubt.hidden = !isUnsure(face);
    const covered = face.face.mouthCovered;
    put(this.doubt, say(covered ? "covered" : "unsure"));
    this.doubt.title = say(covered ? "coveredWhy" : "unsureWhy");
    this.element.classList.toggle("chosen", chosen);
    this.element.setAttribute("aria-pressed", String(chosen));
    const who = say(person ? "person" : "face", { number: face.number });
    const shares = rows.slice(0, SHOWN_BRIEFLY).map(([name, share]) => `${sayExpression(name)} ${percent(share)}`);
    this.element.setAttribute("aria-label", `${who}: ${shares.join(", ")}${this.doubt.hidden ? "" : `, ${this.doubt.textContent}`}`);
    // People move: rows that stay in place are easier to read than rows in order.
    const shown = person ? inPlace(face) : rows;
    this.showBars(full ? shown : rows.slice(0, SHOWN_BRIEFLY));
  }

  private showBars(rows: readonly [string, number][]): void {
    while (this.bars.childElementCount > rows.length) this.bars.lastElementChild!.remove();
    while (this.bars.childElementCount < rows.length) {
      const track = make("span", "track", make("span", "fill"));
      this.bars.append(make("span", "row", make("span", "of"), track, make("span", "value")));
    }
    rows.forEach(([name, score], index) => {
      const [of, track, value] = this.bars.children[index]!.children as unknown as [Element, Element, Element];
      const fill = track.firstElementChild as HTMLElement;
      put(of, sayExpression(name));
      put(value, percent(score));
      fill.style.transform = `scaleX(${score.toFixed(4)})`;
      fill.style.backgroundColor = colourOf(name, this.settings);
    });
  }
}

function inPlace({ model, scores }: ShownFace): [string, number][] {
  return model.expressions.map((name, index) => [name, scores[index]!]);
}
