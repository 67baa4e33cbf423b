/** What Python tells the page (mien/web/settings.py): the networks and every constant of the rules ported here. */
export interface Settings {
  readonly version: string;
  readonly default_model: string;
  readonly models: readonly Model[];
  readonly detector: Detector;
  readonly boxes: BoxRules;
  readonly decoding: DecodingRules;
  readonly looks: LookRules;
  readonly turned_heads: TurnedHeadRules;
  readonly covered_mouth: CoveredMouthRules;
  readonly crops: { readonly flat_std: number; readonly largest_window_px: number };
  readonly tracking: TrackingRules;
  readonly colours: Readonly<Record<string, string>>;
  readonly other_colour: string;
  readonly max_pixels: number;
}

export interface Weights {
  readonly name: string;
  readonly url: string;
  /** Subresource integrity, "sha256-...". */
  readonly integrity: string;
  readonly bytes: number;
}

export interface Model extends Weights {
  readonly expressions: readonly string[];
  readonly preprocessing: Preprocessing;
  readonly unsure_below: number;
  readonly parameters: number;
}

export interface Preprocessing {
  readonly size_px: number;
  readonly channels: 1 | 3;
  readonly margin: number;
  readonly mean: number;
  readonly std: number;
  readonly standardize: boolean;
}

export interface Detector extends Weights {
  readonly score_threshold: number;
}

export interface BoxRules {
  readonly shape: number;
  readonly flattest: number;
  readonly longest: number;
}

export interface DecodingRules {
  readonly strides: readonly number[];
  readonly values: number;
  readonly size: number;
  readonly multiple_px: number;
}

/** mien/detection/options.py says what each is. */
export interface LookRules {
  readonly score_threshold: number;
  readonly nms_iou: number;
  readonly voting_iou: number;
  readonly voting_score: number;
  readonly longest_px: number;
  readonly largest_px: number;
  readonly most_enlarged: number;
  readonly narrowest_px: number;
  readonly well_found_px: number;
  readonly times_smaller: number;
  readonly smallest_again_px: number;
  readonly finer_looks_px: readonly number[];
  readonly enlarged_px: number;
  readonly well_seen_px: number;
  readonly confirming_iou: number;
  readonly least_finer: number;
  readonly most_finer: number;
  readonly tile_px: number;
  readonly shared_px: number;
  readonly largest_in_tile_px: number;
  readonly suggesting_score: number;
  readonly largest_suggested_px: number;
  readonly budget_px: number;
  readonly turned_score: number;
  readonly upside_down_px: number;
  readonly upside_down_from: number;
  readonly upside_down_iou: number;
  readonly upside_down_score: number;
  readonly doubted_share: number;
}

export interface TurnedHeadRules {
  readonly at_once: number;
  readonly columns: number;
}

/** The first and the next after the last row, and column. */
type Part = readonly [readonly [number, number], readonly [number, number]];

export interface CoveredMouthRules {
  readonly look: Preprocessing;
  readonly above: Part;
  readonly mouth: Part;
  readonly lower: Part;
  readonly less_red: number;
  readonly apart: number;
  readonly dark: number;
}

export interface TrackingRules {
  readonly velocity_half_life_s: number;
  readonly reach: readonly [number, number];
  readonly like_size: number;
  readonly confirmed_looks: number;
  readonly memory_s: number;
  readonly overlap: number;
  readonly half_life_s: number;
  readonly confirmed_s: number;
}
