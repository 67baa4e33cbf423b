/** mien/detection/looks.py: photographs looked at as finely as their pixels allow, within a budget. */
import { type Candidate, bySureness, iou, moved, nms, sizePx } from "./boxes";
import { type Network, decode, firstScale, inputSide, wholeLooks } from "./decoding";
import { type Box, type Picture } from "./picture";
import { resize } from "./resampling";
import { type Settings } from "./settings";

/** One side of a tile: where it begins and ends, and from where to where faces' centres belong to it. */
interface Stretch {
  readonly start: number;
  readonly end: number;
  readonly owned: readonly [number, number];
  readonly sidePx: number;
}

interface Tile {
  readonly across: Stretch;
  readonly down: Stretch;
}

const EVERYWHERE = [-Infinity, Infinity] as const;

function stretches(length: number, scale: number, settings: Settings): Stretch[] {
  const { tile_px, shared_px } = settings.looks;
  const { multiple_px } = settings.decoding;
  const seen = length * scale;
  const count = Math.max(1, Math.ceil((seen - shared_px) / (tile_px - shared_px)));
  if (count === 1) return [{ start: 0, end: length, owned: EVERYWHERE, sidePx: inputSide(seen, settings) }];
  const sidePx = Math.ceil((seen + (count - 1) * shared_px) / count / multiple_px) * multiple_px;
  const starts = Array.from({ length: count }, (_, index) => Math.floor((index * (seen - sidePx)) / (count - 1)) / scale);
  const side = sidePx / scale;
  const borders = starts.slice(1).map((start, index) => (starts[index]! + side + start) / 2);
  return starts.map((start, index) => ({
    start,
    end: start + side,
    owned: [borders[index - 1] ?? -Infinity, borders[index] ?? Infinity] as const,
    sidePx,
  }));
}

function tiles(width: number, height: number, scale: number, settings: Settings): Tile[] {
  const columns = stretches(width, scale, settings);
  return stretches(height, scale, settings).flatMap((down) => columns.map((across) => ({ across, down })));
}

function owns(tile: Tile, { box }: Candidate): boolean {
  const [x, y] = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
  const { across, down } = tile;
  return x >= across.owned[0] && x < across.owned[1] && y >= down.owned[0] && y < down.owned[1];
}

/** The faces in a picture, the surest first. */
export async function findInPhotograph(picture: Picture, network: Network, settings: Settings): Promise<Candidate[]> {
  const { looks, detector } = settings;
  const heard = Math.min(detector.score_threshold, looks.voting_score);
  const { width, height } = picture;
  const [first, ...finer] = wholeScales(width, height, settings);
  const least = Math.min(heard, looks.suggesting_score);
  let seen = await wholeLooks(picture, network, looks.longest_px, least, settings);
  let scale = first!;
  for (const following of finer) {
    const found: Candidate[] = [];
    for (const tile of tiles(width, height, following, settings)) {
      found.push(...(await lookAt(picture, tile, network, least, settings)));
    }
    const large = seen.filter((each) => sizePx(each) * scale >= looks.well_seen_px);
    seen = bySureness([...large, ...confirmed(bySureness(found), seen, scale, settings)]);
    scale = following;
  }
  const suggested = seen.filter((each) => each.score >= looks.suggesting_score && sizePx(each) * scale <= looks.largest_suggested_px);
  const found: Candidate[] = [];
  for (const tile of closest(width, height, scale, suggested, settings)) {
    found.push(...(await lookAt(picture, tile, network, heard, settings)));
  }
  seen = bySureness([...seen, ...confirmed(bySureness(found), seen, scale, settings)]);
  return nms(seen.filter((each) => each.score >= heard), looks, detector.score_threshold);
}

function wholeScales(width: number, height: number, settings: Settings): number[] {
  const { finer_looks_px, enlarged_px, least_finer } = settings.looks;
  const scales = [firstScale(width, height, settings.looks.longest_px, settings)];
  for (const longestPx of finer_looks_px) {
    const most = Math.max(1, enlarged_px / Math.max(width, height));
    const finer = Math.min(firstScale(width, height, longestPx, settings), most);
    if (finer >= scales[scales.length - 1]! * least_finer) scales.push(finer);
  }
  return scales;
}

/** Of the candidates of a look, those that the looks before, the last at `scale`, suggested or hardly could. */
function confirmed(found: readonly Candidate[], before: readonly Candidate[], scale: number, settings: Settings) {
  const { suggesting_score, well_seen_px, confirming_iou } = settings.looks;
  const suggesting = before.filter((each) => each.score >= suggesting_score);
  return found.filter(
    (each) => sizePx(each) * scale < well_seen_px || suggesting.some((other) => iou(each.box, other.box) >= confirming_iou),
  );
}

/** The tiles around suggested faces, as fine as allowed; none where that is not finer. */
function closest(
  width: number,
  height: number,
  scale: number,
  suggested: readonly Candidate[],
  settings: Settings,
): Tile[] {
  const { most_finer, least_finer, budget_px } = settings.looks;
  const last = Math.floor(2 / (scale * least_finer));
  for (let halves = Math.max(2, Math.ceil(2 / (scale * most_finer))); halves <= last; halves++) {
    const chosen = tiles(width, height, 2 / halves, settings).filter((tile) => suggested.some((each) => owns(tile, each)));
    const pixels = chosen.reduce((sum, { across, down }) => sum + across.sidePx * down.sidePx, 0);
    if (pixels <= budget_px) return chosen;
  }
  return [];
}

/** Candidates in a tile that belong to it and are not too large for it, in pixels of the picture. */
async function lookAt(
  picture: Picture,
  tile: Tile,
  network: Network,
  scoreThreshold: number,
  settings: Settings,
): Promise<Candidate[]> {
  const { across, down } = tile;
  const box: Box = [across.start, down.start, Math.min(across.end, picture.width), Math.min(down.end, picture.height)];
  const seen = resize(picture, across.sidePx, down.sidePx, box, 1);
  const found = decode(await network(seen), scoreThreshold, settings);
  const isWhole = across.owned === EVERYWHERE && down.owned === EVERYWHERE;
  const factor = [(box[2] - box[0]) / across.sidePx, (box[3] - box[1]) / down.sidePx] as const;
  return found
    .filter((each) => isWhole || sizePx(each) <= settings.looks.largest_in_tile_px)
    .map((each) => moved(each, factor, [box[0], box[1]]))
    .filter((each) => owns(tile, each));
}
