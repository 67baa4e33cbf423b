/** mien/covered_mouth.py: whether a face's mouth is covered, as by a mask, told by colour. */
import { type Picture } from "./picture";
import { type CoveredMouthRules } from "./settings";

type Colour = readonly [number, number, number];

/** face: RGB, as cropped by the rules' `look`. */
export function mouthIsCovered(face: Picture, rules: CoveredMouthRules): boolean {
  const within = ([[top, bottom], [left, right]]: CoveredMouthRules["above"]): Colour[] => {
    const found: Colour[] = [];
    for (let row = top; row < bottom; row++) {
      for (let column = left; column < right; column++) found.push(colourAt(face, row, column, rules.dark));
    }
    return found;
  };
  const [above, mouth, lower] = [within(rules.above), within(rules.mouth), within(rules.lower)];
  const lessRed = quantile(above.map(redness), 0.5) - quantile(mouth.map(redness), 0.75);
  const medians = (colours: readonly Colour[]): number[] =>
    [0, 1, 2].map((channel) => quantile(colours.map((each) => each[channel]!), 0.5));
  const [upper, under] = [medians(above), medians(lower)];
  const apart = Math.hypot(...upper.map((value, channel) => value - under[channel]!));
  return lessRed > rules.less_red || apart > rules.apart;
}

function colourAt({ data, width }: Picture, row: number, column: number, dark: number): Colour {
  const place = (row * width + column) * 3;
  const [red, green, blue] = [data[place]! / 255, data[place + 1]! / 255, data[place + 2]! / 255];
  const sum = red + green + blue + dark;
  return [red / sum, green / sum, blue / sum];
}

function redness([red, green, blue]: Colour): number {
  return red - (green + blue) / 2;
}

/** As NumPy's: between two values, in proportion. */
function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((first, second) => first - second);
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const [low, high] = [sorted[below]!, sorted[Math.min(below + 1, sorted.length - 1)]!];
  return low + (high - low) * (place - below);
}
