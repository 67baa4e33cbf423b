/** mien/detection/face_finder.py: the faces in a picture, each with the way it stands. */
import { type Candidate, rollDegrees, uprightBox } from "./boxes";
import { type Network, findFaces } from "./decoding";
import { findInPhotograph } from "./looks";
import { type Picture } from "./picture";
import { quarterTurned, turnedBack } from "./quarter_turns";
import { type Settings } from "./settings";
import { type Standing, areUpsideDown } from "./turned_heads";

/**
 * finely: as a photograph, as finely as its pixels allow; it is taken for turned where no face in it stands upright.
 * Otherwise at one size, which is faster.
 */
export async function findStanding(
  picture: Picture,
  network: Network,
  finely: boolean,
  settings: Settings,
): Promise<Standing[]> {
  const find = finely ? findInPhotograph : findFaces;
  const found = await upright(picture, await find(picture, network, settings), network, settings);
  if (found.length || !finely) return found;
  const turns = await surestTurn(picture, network, settings);
  if (!turns) return [];
  const turned = await find(quarterTurned(picture, turns), network, settings);
  const back = turned.map((each) => turnedBack(each, turns, picture.width, picture.height));
  return upright(picture, back, network, settings);
}

/** Without those that are held upside down. */
async function upright(
  picture: Picture,
  found: readonly Candidate[],
  network: Network,
  settings: Settings,
): Promise<Standing[]> {
  const standing = found.map((each): Standing => {
    const roll = rollDegrees(each.landmarks);
    return { ...each, roll, upright: uprightBox(each.box, roll, settings.boxes) };
  });
  const refused = await areUpsideDown(picture, standing, network, settings);
  return standing.filter((_, index) => !refused[index]);
}

/** How many quarter turns show the surest face in a quick look; 0 where none shows one. */
async function surestTurn(picture: Picture, network: Network, settings: Settings): Promise<number> {
  const threshold = Math.max(settings.detector.score_threshold, settings.looks.turned_score);
  const stricter = { ...settings, detector: { ...settings.detector, score_threshold: threshold } };
  let [best, surest] = [0, 0];
  for (const turns of [1, 2, 3]) {
    const turned = quarterTurned(picture, turns);
    const found = await upright(turned, await findFaces(turned, network, stricter), network, settings);
    const score = Math.max(0, ...found.map((each) => each.score));
    if (score > surest) [best, surest] = [turns, score];
  }
  return best;
}
